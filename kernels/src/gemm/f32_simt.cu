// The matrix product in f32, without tensor cores: for parity with the CPU, and for whoever wants every digit.
//
//     c = activation(bias + a · Wᵀ) + residual
//
// Each sum is one chain of fused multiply-adds over k in order, beginning with the bias, as it is on a CPU with
// vectors: the same bits. A block of 16 x 16 threads makes 64 x 64 values, each thread 4 x 4. A step takes 16
// of k: both tiles go to shared memory with k as their rows, so that a thread reads four neighbours of
// either at once, 8 numbers for 16 multiply-adds. Bound by those reads and by the additions.
// Source: NVIDIA, "CUTLASS: efficient GEMM". k and n are multiples of 4.
//
// architectures: 75

#include "epilogue.cuh"

constexpr int F32_SIMT_M = 64;
constexpr int F32_SIMT_N = 64;
constexpr int F32_SIMT_K = 16;
constexpr int F32_SIMT_THREADS = 256;

// 4 more than 64: the four k that neighbours write then lie in different banks.
typedef float Step[F32_SIMT_K][F32_SIMT_M + 4];

// 64 rows of x `[rows, k]` from row `first` and column `col`; a thread takes four neighbours of a row.
__device__ __forceinline__ void load_step(Step &to, const float *x, int first, int rows, int col, int k) {
    const int r = threadIdx.x / 4, c = threadIdx.x % 4 * 4;
    float4 v = make_float4(0, 0, 0, 0);
    if (first + r < rows && col + c < k) {
        v = load4(x + (size_t)(first + r) * k + col + c);
    }
    to[c][r] = v.x;
    to[c + 1][r] = v.y;
    to[c + 2][r] = v.z;
    to[c + 3][r] = v.w;
}

extern "C" __global__ void __launch_bounds__(F32_SIMT_THREADS)
f32_simt(const float *a, const float *w, const float *bias, const float *residual, float *c, int m, int n, int k,
         int activation) {
    __shared__ Step left, right;
    const int first_row = blockIdx.y * F32_SIMT_M, first_col = blockIdx.x * F32_SIMT_N;
    const int row = first_row + threadIdx.x / 16 * 4, col = first_col + threadIdx.x % 16 * 4;
    const float4 start = bias != nullptr && col < n ? load4(bias + col) : make_float4(0, 0, 0, 0);
    float4 sums[4] = {start, start, start, start};

    for (int l = 0; l < k; l += F32_SIMT_K) {
        load_step(left, a, first_row, m, l, k);
        load_step(right, w, first_col, n, l, k);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < F32_SIMT_K; i++) {
            const float4 x = *(const float4 *)&left[i][row - first_row], y = *(const float4 *)&right[i][col - first_col];
            const float rows[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
            for (int r = 0; r < 4; r++) {
                sums[r] = make_float4(fmaf(rows[r], y.x, sums[r].x), fmaf(rows[r], y.y, sums[r].y),
                                      fmaf(rows[r], y.z, sums[r].z), fmaf(rows[r], y.w, sums[r].w));
            }
        }
        __syncthreads();
    }
    const Epilogue<float> epilogue = {nullptr, residual, c, m, n, activation, true};
#pragma unroll
    for (int r = 0; r < 4; r++) {
        if (row + r < m && col < n) {
            epilogue.finish(row + r, col, sums[r]);
        }
    }
}
