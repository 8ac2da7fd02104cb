// Multi-head self-attention over a batch without padding; the mathematics stands in attention.rs.
//
//     for each sentence (n rows) and each head (d columns):   y = softmax(q kᵀ / √d) v
//
// qkv `[t, 3h]`, y `[t, h]`. A block takes a head (blockIdx.y) and up to 64 queries of one sentence; the host
// lists such blocks: { first query, queries, first row of the sentence, rows of it } each. So sentences never
// meet, and a sentence's arithmetic is a matter of its own length.
//
// The scores of a query are never all there. Keys come in tiles; with m the greatest score so far, l the sum
// of e^(s − m) and o the sum of e^(s − m) v, a tile with greatest score m' changes them to
//
//     μ = max(m, m')    l ← l e^(m − μ) + Σ e^(s − μ)    o ← o e^(m − μ) + Σ e^(s − μ) v    m ← μ
//
// and at the end y = o / l (Milakov & Gimelshein, arXiv:1805.02867; Dao, arXiv:2307.08691, algorithm 1).
// Exponents are of two: the scores are scaled by log₂ e / √d.
//
// f16, bf16: a warp has 16 queries, and both products are its own, on tensor cores (gemm/tensor_core.cuh
// has the fragments). The sums of q kᵀ lie in the lanes just as the left factor of p · v must, so
// probabilities never leave the registers; rounded to 16 bits, as the weights of the values. The next
// tile of keys and values is copied while this one is multiplied. Bound by arithmetic and exponentials.
// f32: a warp has one query, a lane one key of 32; for parity, not for speed.
//
// architectures: 75 80

#include "gemm/tensor_core.cuh"

constexpr int ATTENTION_QUERIES = 64; // of a block; 16 of a warp
constexpr int ATTENTION_THREADS = ATTENTION_QUERIES / 16 * 32;
constexpr int ATTENTION_KEYS = 64; // of a tile
constexpr int ATTENTION_F32_QUERIES = 4; // of a block, one a warp
constexpr int ATTENTION_F32_WIDEST = 128; // columns of a head, at most

// Where chunk c (16 bytes) of row r of a tile lies whose rows are D numbers of 16 bits: as in gemm/tile.cuh,
// eight neighbours of a column of chunks are in different banks.
template <int D> __device__ __forceinline__ unsigned chunk_place(int r, int c) {
    constexpr int CHUNKS = D / 8, ROWS = 8 / CHUNKS; // rows that go around the banks once
    return r * 2 * D + (c ^ (r / ROWS % CHUNKS)) * 16;
}

// Rows of x (`stride` numbers apart) to a tile of ATTENTION_KEYS rows; zeros beyond `rows`.
template <int D, typename T>
__device__ __forceinline__ void load_tile(unsigned to, const T *x, size_t stride, int rows) {
#pragma unroll
    for (int i = 0; i < ATTENTION_KEYS * D / 8 / ATTENTION_THREADS; i++) {
        const int at = threadIdx.x + i * ATTENTION_THREADS;
        const int r = at / (D / 8), c = at % (D / 8);
        copy16(to + chunk_place<D>(r, c), x + r * stride + 8 * c, r < rows);
    }
}

template <int D, typename T>
__device__ __forceinline__ void attention(const T *qkv, const int4 *blocks, T *y, int h) {
    constexpr int TILE = ATTENTION_KEYS * D * 2; // bytes
    constexpr int KEYS_8 = ATTENTION_KEYS / 8, COLS_8 = D / 8;
    __shared__ alignas(128) unsigned char shared[5 * TILE]; // q; k and v of two tiles
    const int4 block = blocks[blockIdx.x];
    const int first = block.x, queries = block.y, sentence = block.z, n = block.w;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
    const size_t stride = 3 * (size_t)h;
    qkv += blockIdx.y * D;
    const T *keys = qkv + sentence * stride + h, *values = keys + h;
    const unsigned base = shared_address(shared);
    const int tiles = (n + ATTENTION_KEYS - 1) / ATTENTION_KEYS;

    const auto load = [&](int tile) {
        if (tile < tiles) {
            const unsigned to = base + TILE + tile % 2 * 2 * TILE;
            const size_t row = (size_t)tile * ATTENTION_KEYS;
            load_tile<D>(to, keys + row * stride, stride, n - tile * ATTENTION_KEYS);
            load_tile<D>(to + TILE, values + row * stride, stride, n - tile * ATTENTION_KEYS);
        }
        copies_commit();
    };
    load_tile<D>(base, qkv + first * stride, stride, queries);
    load(0);
    copies_wait<0>();
    __syncthreads();
    unsigned q[D / 16][4];
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        load_matrices(q[i], base + chunk_place<D>(16 * warp + lane % 16, 2 * i + lane / 16));
    }

    // Of rows g and g + 8: this lane's part of l, and its columns of o.
    float most[2] = {-infinity(), -infinity()}, sums[2] = {}, outputs[COLS_8][4] = {};
    const float scale = LOG2_E * rsqrtf((float)D);
    for (int tile = 0; tile < tiles; tile++) {
        load(tile + 1); // where tile − 1 was, which everybody has read
        const unsigned k = base + TILE + tile % 2 * 2 * TILE, v = k + TILE;

        float scores[KEYS_8][4] = {};
#pragma unroll
        for (int i = 0; i < D / 16; i++) {
#pragma unroll
            for (int j = 0; j < KEYS_8; j += 2) {
                unsigned w[4];
                load_matrices(w, k + chunk_place<D>(8 * j + lane % 8 + lane / 16 * 8, 2 * i + lane / 8 % 2));
                multiply_add<T>(scores[j], q[i], w[0], w[1]);
                multiply_add<T>(scores[j + 1], q[i], w[2], w[3]);
            }
        }

        const int left = n - tile * ATTENTION_KEYS;
        float greatest[2] = {most[0], most[1]};
#pragma unroll
        for (int j = 0; j < KEYS_8; j++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bool is_key = 8 * j + 2 * t + i % 2 < left;
                scores[j][i] = is_key ? scores[j][i] * scale : -infinity();
                greatest[i / 2] = fmaxf(greatest[i / 2], scores[j][i]);
            }
        }
#pragma unroll
        for (int row = 0; row < 2; row++) { // the four lanes of a row
            greatest[row] = fmaxf(greatest[row], __shfl_xor_sync(ALL, greatest[row], 1));
            greatest[row] = fmaxf(greatest[row], __shfl_xor_sync(ALL, greatest[row], 2));
            const float shrink = exp2_fast(most[row] - greatest[row]);
            most[row] = greatest[row];
            sums[row] *= shrink;
#pragma unroll
            for (int j = 0; j < COLS_8; j++) {
                outputs[j][2 * row] *= shrink;
                outputs[j][2 * row + 1] *= shrink;
            }
        }
#pragma unroll
        for (int j = 0; j < KEYS_8; j++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                scores[j][i] = exp2_fast(scores[j][i] - most[i / 2]);
                sums[i / 2] += scores[j][i];
            }
        }

#pragma unroll
        for (int i = 0; i < KEYS_8 / 2; i++) { // 16 keys at a time
            const unsigned p[4] = {pair<T>(scores[2 * i][0], scores[2 * i][1]), pair<T>(scores[2 * i][2], scores[2 * i][3]),
                                   pair<T>(scores[2 * i + 1][0], scores[2 * i + 1][1]),
                                   pair<T>(scores[2 * i + 1][2], scores[2 * i + 1][3])};
#pragma unroll
            for (int j = 0; j < COLS_8; j += 2) {
                unsigned w[4]; // keys are rows here, so the matrices are transposed on the way
                load_matrices_transposed(w, v + chunk_place<D>(16 * i + lane % 16, j + lane / 16));
                multiply_add<T>(outputs[j], p, w[0], w[1]);
                multiply_add<T>(outputs[j + 1], p, w[2], w[3]);
            }
        }
        copies_wait<0>();
        __syncthreads();
    }

#pragma unroll
    for (int row = 0; row < 2; row++) {
        sums[row] += __shfl_xor_sync(ALL, sums[row], 1);
        sums[row] += __shfl_xor_sync(ALL, sums[row], 2);
        const int query = 16 * warp + g + 8 * row;
        if (query < queries) {
            const float inverse = 1 / sums[row];
            T *to = y + (size_t)(first + query) * h + blockIdx.y * D + 2 * t;
#pragma unroll
            for (int j = 0; j < COLS_8; j++) {
                *(unsigned *)(to + 8 * j) = pair<T>(outputs[j][2 * row] * inverse, outputs[j][2 * row + 1] * inverse);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
attention_f16_32(const f16 *qkv, const int4 *blocks, f16 *y, int h) {
    attention<32>(qkv, blocks, y, h);
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
attention_f16_64(const f16 *qkv, const int4 *blocks, f16 *y, int h) {
    attention<64>(qkv, blocks, y, h);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
attention_bf16_32(const bf16 *qkv, const int4 *blocks, bf16 *y, int h) {
    attention<32>(qkv, blocks, y, h);
}

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
attention_bf16_64(const bf16 *qkv, const int4 *blocks, bf16 *y, int h) {
    attention<64>(qkv, blocks, y, h);
}
#endif

extern "C" __global__ void __launch_bounds__(32 * ATTENTION_F32_QUERIES)
attention_f32(const float *qkv, const int4 *blocks, float *y, int h, int d) {
    const int4 block = blocks[blockIdx.x];
    const int first = block.x, queries = block.y, sentence = block.z, n = block.w;
    const int lane = threadIdx.x % 32, query = threadIdx.x / 32;
    if (query >= queries) {
        return;
    }
    constexpr int PARTS = ATTENTION_F32_WIDEST / 32;
    const size_t stride = 3 * (size_t)h;
    qkv += blockIdx.y * d;
    const float *q = qkv + (first + query) * stride;
    const float *keys = qkv + sentence * stride + h, *values = keys + h;
    const float scale = LOG2_E * rsqrtf((float)d);
    float most = -infinity(), sum = 0, output[PARTS] = {};
    for (int j = 0; j < n; j += 32) {
        float score = -infinity();
        if (j + lane < n) {
            const float *key = keys + (j + lane) * stride;
            float dot = 0;
            for (int c = 0; c < d; c++) {
                dot = fmaf(q[c], key[c], dot);
            }
            score = dot * scale;
        }
        const float greatest = fmaxf(most, warp_max(score)), shrink = exp2_fast(most - greatest);
        const float p = exp2_fast(score - greatest);
        most = greatest;
        sum = sum * shrink + warp_sum(p);
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            output[i] *= shrink;
        }
        for (int other = 0; other < 32 && j + other < n; other++) {
            const float weight = __shfl_sync(ALL, p, other);
#pragma unroll
            for (int i = 0; i < PARTS; i++) {
                if (lane + 32 * i < d) {
                    output[i] = fmaf(weight, values[(j + other) * stride + lane + 32 * i], output[i]);
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < PARTS; i++) {
        if (lane + 32 * i < d) {
            y[(size_t)(first + query) * h + blockIdx.y * d + lane + 32 * i] = output[i] / sum;
        }
    }
}
