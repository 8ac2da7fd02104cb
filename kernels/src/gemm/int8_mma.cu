// The matrix product in int8, sums exact in 32 bits, on the tensor cores of sm_75 up.
//
//     c = activation(sᵢ tⱼ Σ qᵢₗ wⱼₗ + bias) + residual
//
// q `[m, k]` and its scales s `[m]` as quantize.cu makes them of activations, w `[n, k]` and t `[n]` as the
// weights were quantized when they were loaded. The tile is that of half_mma.cu with twice as many numbers in
// its bytes. With f32 for the other operands the bits of c are those of the CPU's int8.
//
// architectures: 75 80

#include "epilogue.cuh"
#include "tile.cuh"

constexpr int INT8_MMA_LARGE_M = 128;
constexpr int INT8_MMA_LARGE_N = 128;
constexpr int INT8_MMA_LARGE_THREADS = 256;
constexpr int INT8_MMA_SMALL_M = 32;
constexpr int INT8_MMA_SMALL_N = 64;
constexpr int INT8_MMA_SMALL_THREADS = 128;

using Large = Tile<signed char, int, INT8_MMA_LARGE_M, INT8_MMA_LARGE_N, 2, 4>;
using Small = Tile<signed char, int, INT8_MMA_SMALL_M, INT8_MMA_SMALL_N, 2, 2>;

template <typename Tile, typename T>
__device__ __forceinline__ void int8_mma(const signed char *q, const float *s, const signed char *w, const float *t,
                                         const float *bias, const T *residual, void *c, int m, int n, int k,
                                         int activation, int wide) {
    __shared__ alignas(128) unsigned char shared[Tile::SHARED];
    Tile tile;
    tile.multiply(shared, q, w, m, n, k);
    const Epilogue<T> epilogue = {bias, residual, c, m, n, activation, wide};
    tile.template finish<int4>(shared, m, n, [&](int row, int col, int4 sum) {
        // Product and bias in one rounding, as on the CPU.
        const float scale = s[row];
        const float4 by = load4(t + col), start = bias != nullptr ? load4(bias + col) : make_float4(0, 0, 0, 0);
        const float4 x = make_float4(fmaf((float)sum.x, scale * by.x, start.x), fmaf((float)sum.y, scale * by.y, start.y),
                                     fmaf((float)sum.z, scale * by.z, start.z), fmaf((float)sum.w, scale * by.w, start.w));
        epilogue.finish_after_bias((size_t)row * n + col, x);
    });
}

extern "C" __global__ void __launch_bounds__(INT8_MMA_LARGE_THREADS)
int8_mma_f32_large(const signed char *q, const float *s, const signed char *w, const float *t, const float *bias,
                   const float *residual, void *c, int m, int n, int k, int activation, int wide) {
    int8_mma<Large>(q, s, w, t, bias, residual, c, m, n, k, activation, wide);
}

extern "C" __global__ void __launch_bounds__(INT8_MMA_SMALL_THREADS)
int8_mma_f32_small(const signed char *q, const float *s, const signed char *w, const float *t, const float *bias,
                   const float *residual, void *c, int m, int n, int k, int activation, int wide) {
    int8_mma<Small>(q, s, w, t, bias, residual, c, m, n, k, activation, wide);
}

extern "C" __global__ void __launch_bounds__(INT8_MMA_LARGE_THREADS)
int8_mma_f16_large(const signed char *q, const float *s, const signed char *w, const float *t, const float *bias,
                   const f16 *residual, void *c, int m, int n, int k, int activation, int wide) {
    int8_mma<Large>(q, s, w, t, bias, residual, c, m, n, k, activation, wide);
}

extern "C" __global__ void __launch_bounds__(INT8_MMA_SMALL_THREADS)
int8_mma_f16_small(const signed char *q, const float *s, const signed char *w, const float *t, const float *bias,
                   const f16 *residual, void *c, int m, int n, int k, int activation, int wide) {
    int8_mma<Small>(q, s, w, t, bias, residual, c, m, n, k, activation, wide);
}
