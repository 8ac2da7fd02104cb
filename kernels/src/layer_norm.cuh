// One row by one warp: the mathematics of layer_norm.rs, with the row in registers.
//
//     μ = 1/c Σ xⱼ     σ² = 1/c Σ (xⱼ − μ)²     yⱼ = γⱼ (xⱼ − μ) / √(σ² + ε) + βⱼ
//
// Lane l holds the values 4 (l + 32 i) … + 3 for i = 0, 1, …: each load of a warp is 512 bytes in a
// row. The row is read once; mean and squares take two passes over registers, and the second also
// sums d = x − μ to take back what μ was off by, as on the CPU.

#pragma once

#include "warp.cuh"

constexpr int WIDEST = 1024; // values of a row, at most: 32 registers a lane
constexpr int QUADS = WIDEST / (4 * 32);

// y `[c]` = LN(x), where `read(j)` gives x[j..j + 4]. c is a multiple of 4.
template <typename T, typename Read>
__device__ __forceinline__ void normalise(Read read, const float *gamma, const float *beta, float eps,
                                          int c, T *y) {
    const int lane = threadIdx.x % 32;
    float4 x[QUADS];
    float sum = 0;
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const int j = 4 * (lane + 32 * i);
        x[i] = j < c ? read(j) : make_float4(0, 0, 0, 0);
        sum += sum_of(x[i]);
    }
    const float guess = warp_sum(sum) / c;

    float deviations = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        if (4 * (lane + 32 * i) < c) {
            const float4 d = make_float4(x[i].x - guess, x[i].y - guess, x[i].z - guess, x[i].w - guess);
            deviations += sum_of(d);
            squares += d.x * d.x + d.y * d.y + d.z * d.z + d.w * d.w;
        }
    }
    deviations = warp_sum(deviations);
    const float shift = deviations / c;
    const float variance = fmaxf((warp_sum(squares) - deviations * shift) / c, 0.0f);
    const float mean = guess + shift, scale = 1 / sqrtf(variance + eps);

#pragma unroll
    for (int i = 0; i < QUADS; i++) {
        const int j = 4 * (lane + 32 * i);
        if (j < c) {
            const float4 g = load4(gamma + j), b = load4(beta + j);
            store4(y + j, make_float4((x[i].x - mean) * scale * g.x + b.x, (x[i].y - mean) * scale * g.y + b.y,
                                      (x[i].z - mean) * scale * g.z + b.z, (x[i].w - mean) * scale * g.w + b.w));
        }
    }
}
