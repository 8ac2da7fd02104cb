// Layer normalisation; the mathematics stands in layer_norm.rs, one row of it in layer_norm.cuh.
//
// x `[t, c]` in f32: the sum of a product, its bias and its residual, which has not been rounded
// since. y `[t, c]` in the type that the next product reads. c is a multiple of 4, at most WIDEST.
//
// A warp takes a row; four rows a block. Bound by memory: 4 bytes in and 2 or 4 out a value.
//
// architectures: 75 80

#include "layer_norm.cuh"

constexpr int LAYER_NORM_ROWS = 4; // of a block

template <typename T>
__device__ __forceinline__ void layer_norm(const float *gamma, const float *beta, float eps, const float *x,
                                           T *y, int t, int c) {
    const size_t row = (size_t)blockIdx.x * LAYER_NORM_ROWS + threadIdx.x / 32;
    if (row < t) {
        normalise([&](int j) { return load4(x + row * c + j); }, gamma, beta, eps, c, y + row * c);
    }
}

extern "C" __global__ void __launch_bounds__(32 * LAYER_NORM_ROWS)
layer_norm_f32(const float *gamma, const float *beta, float eps, const float *x, float *y, int t, int c) {
    layer_norm(gamma, beta, eps, x, y, t, c);
}

extern "C" __global__ void __launch_bounds__(32 * LAYER_NORM_ROWS)
layer_norm_f16(const float *gamma, const float *beta, float eps, const float *x, f16 *y, int t, int c) {
    layer_norm(gamma, beta, eps, x, y, t, c);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void __launch_bounds__(32 * LAYER_NORM_ROWS)
layer_norm_bf16(const float *gamma, const float *beta, float eps, const float *x, bf16 *y, int t, int c) {
    layer_norm(gamma, beta, eps, x, y, t, c);
}
#endif
