// log-sum-exp of each row of logits, and the logits that somebody asks for: with top_k.cu what the
// corrector needs of a generator, so that a row of 21,128 logits never leaves the GPU.
//
//     whole[i] = ln Σⱼ e^xᵢⱼ        chosen[w] = x[i, wanted[w]]   for w in bounds[i]..bounds[i + 1]
//
// x `[m, stride]` f32, of which the first v columns are meant, whole `[m]`, bounds `[m + 1]`. A NaN or +∞ in
// the row shows in `whole`; of nothing but −∞ it is −∞. A block takes a row, in two passes (the second reads
// it from L2): its maximum, then the sum of e^(x − max), whose terms are added in an order that depends on v
// alone. Bound by memory: 8 bytes a logit.
//
// architectures: 75

#include "warp.cuh"

constexpr int LOG_SUM_EXP_WARPS = 8;
constexpr int LOG_SUM_EXP_THREADS = 32 * LOG_SUM_EXP_WARPS;

extern "C" __global__ void __launch_bounds__(LOG_SUM_EXP_THREADS)
log_sum_exp(const float *x, const unsigned *wanted, const unsigned *bounds, float *whole, float *chosen, int v,
            int stride) {
    __shared__ float parts[2][LOG_SUM_EXP_WARPS];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    x += (size_t)blockIdx.x * stride;

    float greatest = -infinity();
    for (int j = threadIdx.x; j < v; j += LOG_SUM_EXP_THREADS) {
        greatest = fmaxf(greatest, x[j]);
    }
    greatest = warp_max(greatest);
    if (lane == 0) {
        parts[0][warp] = greatest;
    }
    __syncthreads();
    greatest = warp_max(parts[0][lane % LOG_SUM_EXP_WARPS]);
    const float from = greatest == -infinity() ? 0 : greatest; // −∞ − −∞ would be no number

    float sum = 0;
    for (int j = threadIdx.x; j < v; j += LOG_SUM_EXP_THREADS) {
        sum += exp2_fast(LOG2_E * (x[j] - from));
    }
    sum = warp_sum(sum);
    if (lane == 0) {
        parts[1][warp] = sum;
    }
    __syncthreads();
    if (warp == 0) {
        sum = warp_sum(lane < LOG_SUM_EXP_WARPS ? parts[1][lane] : 0);
        if (lane == 0) {
            whole[blockIdx.x] = from + logf(sum);
        }
    }
    for (unsigned w = bounds[blockIdx.x] + threadIdx.x; w < bounds[blockIdx.x + 1]; w += LOG_SUM_EXP_THREADS) {
        chosen[w] = x[wanted[w]];
    }
}
