// A product with one or two columns: the end of the discriminator's head, where a tile would be empty.
//
//     c = a · Wᵀ + bias,   W `[n, k]`, n ≤ 2
//
// a `[m, k]` and W in the type of the activations, bias and c f32; k is a multiple of 4. A warp takes a row of a,
// and adds its lanes' sums in an order that depends on k alone. Bound by memory: each row is read once.
//
// architectures: 75 80

#include "../warp.cuh"

constexpr int THIN_ROWS = 4; // of a block
constexpr int THIN_MOST = 2; // columns

template <typename T>
__device__ __forceinline__ void thin(const T *a, const T *w, const float *bias, float *c, int m, int n, int k) {
    const size_t row = (size_t)blockIdx.x * THIN_ROWS + threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    if (row >= m) {
        return;
    }
    float sums[THIN_MOST] = {};
    for (int l = 4 * lane; l < k; l += 4 * 32) {
        const float4 x = load4(a + row * k + l);
#pragma unroll
        for (int j = 0; j < THIN_MOST; j++) {
            if (j < n) {
                const float4 y = load4(w + (size_t)j * k + l);
                sums[j] = fmaf(x.w, y.w, fmaf(x.z, y.z, fmaf(x.y, y.y, fmaf(x.x, y.x, sums[j]))));
            }
        }
    }
#pragma unroll
    for (int j = 0; j < THIN_MOST; j++) {
        const float sum = warp_sum(sums[j]);
        if (lane == 0 && j < n) {
            c[row * n + j] = sum + bias[j];
        }
    }
}

extern "C" __global__ void __launch_bounds__(32 * THIN_ROWS)
thin_f32(const float *a, const float *w, const float *bias, float *c, int m, int n, int k) {
    thin(a, w, bias, c, m, n, k);
}

extern "C" __global__ void __launch_bounds__(32 * THIN_ROWS)
thin_f16(const f16 *a, const f16 *w, const float *bias, float *c, int m, int n, int k) {
    thin(a, w, bias, c, m, n, k);
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void __launch_bounds__(32 * THIN_ROWS)
thin_bf16(const bf16 *a, const bf16 *w, const float *bias, float *c, int m, int n, int k) {
    thin(a, w, bias, c, m, n, k);
}
#endif
