// A tile of c = a · Wᵀ by one block, on tensor cores: what half_mma.cu and int8_mma.cu have in common.
//
//     a `[m, k]`, W `[n, k]`: rows of k numbers, as activations and a Linear's weights lie, so that both
//     factors are read along k and neither is transposed.
//
// A block makes MxN values of c. It goes along k in steps of 64 bytes (32 numbers of 16 bits, 64 of 8): the
// rows of a step are copied to shared memory while earlier steps are multiplied (STAGES of them are there
// at once), then each warp multiplies its part, WARP_M x WARP_N.
//
// In shared memory a row of a step is four chunks of 16 bytes. `ldmatrix` reads one chunk of eight rows
// at a time, and eight chunks fill the 32 banks once: if chunk c of row r lies at c ^ (r / 2 % 4), the
// eight are always in different banks. (Two rows of 64 bytes go around the banks once, so rows 2i and
// 2i + 1 never meet, and i goes through four places.)
//
// What is beyond m, n or k counts as 0. k is a multiple of a chunk, n of 8.
// Sources: NVIDIA, "CUTLASS: efficient GEMM" (the hierarchy); PTX ISA 9.7.14 (fragments).

#pragma once

#include "tensor_core.cuh"

constexpr int CHUNK = 16;           // bytes of a copy
constexpr int STEP = 64;            // bytes of k in a step
constexpr int CHUNKS = STEP / CHUNK; // of a row
constexpr int STAGES = 3;           // 48 KB of the larger tile: what every device gives without being asked

// Where chunk c of row r lies.
__device__ __forceinline__ unsigned place(int r, int c) { return r * STEP + (c ^ (r / 2 % CHUNKS)) * CHUNK; }

template <typename T, typename Sum, int M, int N, int WARPS_M, int WARPS_N> struct Tile {
    static constexpr int THREADS = 32 * WARPS_M * WARPS_N;
    static constexpr int WARP_M = M / WARPS_M, WARP_N = N / WARPS_N;
    static constexpr int STAGE = (M + N) * STEP; // bytes
    static constexpr int SHARED = STAGES * STAGE;
    static constexpr int BANDS = WARP_M / 16, PAIRS = WARP_N / 16; // 16 rows of a, 2 x 8 rows of W

    // Sums of 16 rows and 8 columns, as the fragments have them.
    Sum sums[BANDS][2 * PAIRS][4] = {};

    __device__ __forceinline__ void multiply(unsigned char *shared, const T *a, const T *w, int m, int n, int k) {
        const int first_row = blockIdx.y * M, first_col = blockIdx.x * N;
        const unsigned base = shared_address(shared);
        const int steps = (k * (int)sizeof(T) + STEP - 1) / STEP;

        const auto load = [&](int step) {
            if (step < steps) {
                const unsigned stage = base + step % STAGES * STAGE;
                load_rows<M>(stage, a, first_row, m, k, step);
                load_rows<N>(stage + M * STEP, w, first_col, n, k, step);
            }
            copies_commit(); // an empty group, too: the waits count groups
        };
        for (int step = 0; step < STAGES - 1; step++) {
            load(step);
        }
        for (int step = 0; step < steps; step++) {
            copies_wait<STAGES - 2>(); // the copies of this thread for this step are done
            __syncthreads();           // and those of all others; and nobody reads the oldest stage any more
            load(step + STAGES - 1);
            multiply_step(base + step % STAGES * STAGE);
        }
        copies_wait<0>();
        __syncthreads(); // shared memory is free again
    }

    // ROWS rows of a step, beginning with row `first` of x `[rows, k]`.
    template <int ROWS>
    __device__ __forceinline__ void load_rows(unsigned to, const T *x, int first, int rows, int k, int step) {
#pragma unroll
        for (int i = 0; i < ROWS * CHUNKS / THREADS; i++) {
            const int at = threadIdx.x + i * THREADS;
            const int r = at / CHUNKS, c = at % CHUNKS;
            const int col = (step * STEP + c * CHUNK) / (int)sizeof(T);
            copy16(to + place(r, c), x + (size_t)(first + r) * k + col, first + r < rows && col < k);
        }
    }

    __device__ __forceinline__ void multiply_step(unsigned stage) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        const int row = warp / WARPS_N * WARP_M, col = warp % WARPS_N * WARP_N;
#pragma unroll
        for (int c = 0; c < CHUNKS; c += 2) { // 32 bytes of k at a time
            unsigned a[BANDS][4], w[PAIRS][4];
#pragma unroll
            for (int band = 0; band < BANDS; band++) {
                load_matrices(a[band], stage + place(row + 16 * band + lane % 16, c + lane / 16));
            }
#pragma unroll
            for (int pair = 0; pair < PAIRS; pair++) {
                const int r = col + 16 * pair + lane % 8 + lane / 16 * 8;
                load_matrices(w[pair], stage + M * STEP + place(r, c + lane / 8 % 2));
            }
#pragma unroll
            for (int band = 0; band < BANDS; band++) {
#pragma unroll
                for (int pair = 0; pair < PAIRS; pair++) {
                    multiply_add<T>(sums[band][2 * pair], a[band], w[pair][0], w[pair][1]);
                    multiply_add<T>(sums[band][2 * pair + 1], a[band], w[pair][2], w[pair][3]);
                }
            }
        }
    }

    // Hands each four neighbours of a row to `finish(row, col, four)`. They go through shared memory, where
    // a warp has a place of its own, so that the lanes of a warp write whole lines and what is done to
    // the sums is compiled once for many of them.
    template <typename Four, typename Finish>
    __device__ __forceinline__ void finish(unsigned char *shared, int m, int n, Finish finish) {
        constexpr int AT_ONCE = BANDS < 2 ? BANDS : 2; // bands: more would not fit beside those of other warps
        constexpr int STRIDE = WARP_N + 4;             // shifts each row by 4 banks
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        const int row = blockIdx.y * M + warp / WARPS_N * WARP_M, col = blockIdx.x * N + warp % WARPS_N * WARP_N;
        Sum *own = (Sum *)shared + warp * 16 * AT_ONCE * STRIDE;
        static_assert(4 * WARPS_M * WARPS_N * 16 * AT_ONCE * STRIDE <= SHARED, "the warps' places fit");
#pragma unroll
        for (int bands = 0; bands < BANDS; bands += AT_ONCE) {
#pragma unroll
            for (int band = 0; band < AT_ONCE; band++) {
#pragma unroll
                for (int j = 0; j < 2 * PAIRS; j++) {
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        const int r = 16 * band + lane / 4 + i / 2 * 8;
                        own[r * STRIDE + 8 * j + lane % 4 * 2 + i % 2] = sums[bands + band][j][i];
                    }
                }
            }
            __syncwarp();
            constexpr int QUARTERS = WARP_N / 4; // of a row
#pragma unroll 1
            for (int at = lane; at < 16 * AT_ONCE * QUARTERS; at += 32) {
                const int r = at / QUARTERS, c = at % QUARTERS * 4;
                if (row + 16 * bands + r < m && col + c < n) {
                    finish(row + 16 * bands + r, col + c, *(const Four *)&own[r * STRIDE + c]);
                }
            }
            __syncwarp();
        }
    }
};
