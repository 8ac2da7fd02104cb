// Embedding and its layer norm: the mathematics stands in embedding.rs and layer_norm.rs.
//
//     y[i] = LN(word[ids[i]] + position[positions[i]] + token_type)
//
// The tables are in the type of the activations; sums are f32. positions[i] is the place of token i in
// its sentence: the host counts it once, where the CPU's kernel searches the offsets. Who calls has
// seen that every id and every position has its row.
//
// `embedding_rows` gathers rows of a matrix as they are: those of the last layer that a head reads.
//
// A warp takes a token; the gathered rows are read once and go straight into the norm. Bound by
// memory, by the scattered rows of `word`.
//
// architectures: 75 80

#include "layer_norm.cuh"

constexpr int EMBEDDING_ROWS = 4; // of a block

template <typename T>
__device__ __forceinline__ void embedding(const T *word, const T *position, const T *token_type,
                                          const unsigned *ids, const unsigned *positions, const float *gamma,
                                          const float *beta, float eps, T *y, int t, int c) {
    const size_t row = (size_t)blockIdx.x * EMBEDDING_ROWS + threadIdx.x / 32;
    if (row < t) {
        word += (size_t)ids[row] * c;
        position += (size_t)positions[row] * c;
        const auto read = [&](int j) { return load4(word + j) + load4(position + j) + load4(token_type + j); };
        normalise(read, gamma, beta, eps, c, y + row * c);
    }
}

extern "C" __global__ void __launch_bounds__(32 * EMBEDDING_ROWS)
embedding_f32(const float *word, const float *position, const float *token_type, const unsigned *ids,
              const unsigned *positions, const float *gamma, const float *beta, float eps, float *y, int t, int c) {
    embedding(word, position, token_type, ids, positions, gamma, beta, eps, y, t, c);
}

extern "C" __global__ void __launch_bounds__(32 * EMBEDDING_ROWS)
embedding_f16(const f16 *word, const f16 *position, const f16 *token_type, const unsigned *ids,
              const unsigned *positions, const float *gamma, const float *beta, float eps, f16 *y, int t, int c) {
    embedding(word, position, token_type, ids, positions, gamma, beta, eps, y, t, c);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void __launch_bounds__(32 * EMBEDDING_ROWS)
embedding_bf16(const bf16 *word, const bf16 *position, const bf16 *token_type, const unsigned *ids,
               const unsigned *positions, const float *gamma, const float *beta, float eps, bf16 *y, int t, int c) {
    embedding(word, position, token_type, ids, positions, gamma, beta, eps, y, t, c);
}
#endif

// y[i] = x[rows[i]], each row `quads` times 16 bytes.
extern "C" __global__ void __launch_bounds__(32 * EMBEDDING_ROWS)
embedding_rows(const uint4 *x, const unsigned *rows, uint4 *y, int m, int quads) {
    const size_t i = (size_t)blockIdx.x * EMBEDDING_ROWS + threadIdx.x / 32;
    if (i < m) {
        for (int j = threadIdx.x % 32; j < quads; j += 32) {
            y[i * quads + j] = x[(size_t)rows[i] * quads + j];
        }
    }
}
