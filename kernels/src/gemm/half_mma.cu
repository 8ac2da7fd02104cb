// The matrix product in f16 and bf16 with sums in f32, on the tensor cores of sm_75 (f16) and sm_80 up.
//
//     c = activation(a · Wᵀ + bias) + residual
//
// The mathematics stands in mod.rs, the tile in tile.cuh, what is done to its sums in epilogue.cuh.
// Two tiles: 128 x 128 by eight warps, which reads 64 bytes for 128 x 128 x 32 multiplications of a step and is
// bound by arithmetic; and 32 x 64 by four, for few rows, where what counts is how many blocks read W at
// the same time. half_mma.rs chooses.
//
// architectures: 75 80

#include "epilogue.cuh"
#include "tile.cuh"

constexpr int HALF_MMA_LARGE_M = 128;
constexpr int HALF_MMA_LARGE_N = 128;
constexpr int HALF_MMA_LARGE_THREADS = 256;
constexpr int HALF_MMA_SMALL_M = 32;
constexpr int HALF_MMA_SMALL_N = 64;
constexpr int HALF_MMA_SMALL_THREADS = 128;

template <typename T> using Large = Tile<T, float, HALF_MMA_LARGE_M, HALF_MMA_LARGE_N, 2, 4>;
template <typename T> using Small = Tile<T, float, HALF_MMA_SMALL_M, HALF_MMA_SMALL_N, 2, 2>;

template <typename Tile, typename T>
__device__ __forceinline__ void half_mma(const T *a, const T *w, const float *bias, const T *residual, void *c, int m,
                                         int n, int k, int activation, int wide) {
    __shared__ alignas(128) unsigned char shared[Tile::SHARED];
    Tile tile;
    tile.multiply(shared, a, w, m, n, k);
    const Epilogue<T> epilogue = {bias, residual, c, m, n, activation, wide};
    tile.template finish<float4>(shared, m, n, [&](int row, int col, float4 x) { epilogue.finish(row, col, x); });
}

extern "C" __global__ void __launch_bounds__(HALF_MMA_LARGE_THREADS)
half_mma_f16_large(const f16 *a, const f16 *w, const float *bias, const f16 *residual, void *c, int m, int n, int k,
                   int activation, int wide) {
    half_mma<Large<f16>>(a, w, bias, residual, c, m, n, k, activation, wide);
}

extern "C" __global__ void __launch_bounds__(HALF_MMA_SMALL_THREADS)
half_mma_f16_small(const f16 *a, const f16 *w, const float *bias, const f16 *residual, void *c, int m, int n, int k,
                   int activation, int wide) {
    half_mma<Small<f16>>(a, w, bias, residual, c, m, n, k, activation, wide);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void __launch_bounds__(HALF_MMA_LARGE_THREADS)
half_mma_bf16_large(const bf16 *a, const bf16 *w, const float *bias, const bf16 *residual, void *c, int m, int n,
                    int k, int activation, int wide) {
    half_mma<Large<bf16>>(a, w, bias, residual, c, m, n, k, activation, wide);
}

extern "C" __global__ void __launch_bounds__(HALF_MMA_SMALL_THREADS)
half_mma_bf16_small(const bf16 *a, const bf16 *w, const float *bias, const bf16 *residual, void *c, int m, int n,
                    int k, int activation, int wide) {
    half_mma<Small<bf16>>(a, w, bias, residual, c, m, n, k, activation, wide);
}
#endif
