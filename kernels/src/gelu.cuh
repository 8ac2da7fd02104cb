// The activations of gelu.rs, one value at a time: for the epilogue of a product.
//
//     Gelu       x/2 (1 + erf(x/√2))                    0        Silu       x σ(x)         3
//     GeluTanh   x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))  1     Tanh       tanh x         4
//     Relu       max(x, 0)                              2        QuickGelu  x σ(1.702 x)   5
//
// The number behind each is how a launch asks for it; any other is x itself. erf and tanh are the
// quotients of polynomials of saturating.rs, with the same coefficients.

#pragma once

#include "warp.cuh"

enum Activation { GELU, GELU_TANH, RELU, SILU, TANH, QUICK_GELU, LINEAR };

struct Saturating {
    float p[6], q[6], limit;
};

// x P(x²) / Q(x²), lowest power first; ±1 beyond the limit. NaN stays NaN.
__device__ __forceinline__ float saturating(const Saturating &f, float x) {
    const float z = x * x;
    float p = f.p[5], q = f.q[5];
#pragma unroll
    for (int i = 4; i >= 0; i--) {
        p = fmaf(p, z, f.p[i]);
        q = fmaf(q, z, f.q[i]);
    }
    const float y = __fdividef(x * p, q);
    return fabsf(x) >= f.limit ? copysignf(1.0f, x) : y;
}

__device__ __forceinline__ float erf_of(float x) {
    constexpr Saturating ERF = {
        {1.1283791f, 0.19059587f, 0.05276954f, 0.0037726304f, 2.848436e-4f, 2.0459888e-6f},
        {1.0f, 0.50224394f, 0.11418356f, 0.014983361f, 0.001163874f, 3.804738e-5f},
        3.925f,
    };
    return saturating(ERF, x);
}

__device__ __forceinline__ float tanh_of(float x) {
    constexpr Saturating TANH = {
        {1.0f, 0.14099216f, 0.004425958f, 4.2273954e-5f, 1.11177236e-7f, 3.674503e-11f},
        {1.0f, 0.4743255f, 0.029201124f, 5.008358e-4f, 2.6038742e-6f, 2.9512182e-9f},
        9.02f,
    };
    return saturating(TANH, x);
}

// 1 / (1 + e⁻ˣ)
__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.0f, 1 + exp2_fast(-LOG2_E * x)); }

__device__ __forceinline__ float gelu_of(float x) { return 0.5f * x * (1 + erf_of(0.70710678f * x)); }

__device__ __forceinline__ float activate(int activation, float x) {
    switch (activation) {
    case GELU:
        return gelu_of(x);
    case GELU_TANH:
        return 0.5f * x * (1 + tanh_of(0.7978846f * (x + 0.044715f * (x * x * x))));
    case RELU:
        return x < 0 ? 0 : x;
    case SILU:
        return x * sigmoid(x);
    case TANH:
        return tanh_of(x);
    case QUICK_GELU:
        return x * sigmoid(1.702f * x);
    default:
        return x;
    }
}
