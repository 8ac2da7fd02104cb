// What happens to four sums of a row before anybody reads them: epilogue.rs, on the GPU.
//
//     c = activation(sum + bias) + residual
//
// Where a layer norm follows, c is `wide`: f32, so that the sum is rounded once, after the norm.

#pragma once

#include "../gelu.cuh"

template <typename T> struct Epilogue {
    const float *bias;  // `[n]`, or null
    const T *residual;  // `[m, n]`, or null
    void *c;            // `[m, n]`: T, or f32 where it is wide
    int m, n;           // n is a multiple of 8
    int activation;     // gelu.cuh has the numbers
    int wide;

    __device__ __forceinline__ void finish(int row, int col, float4 x) const {
        const size_t at = (size_t)row * n + col;
        if (bias != nullptr) {
            x = x + load4(bias + col);
        }
        finish_after_bias(at, x);
    }

    __device__ __forceinline__ void finish_after_bias(size_t at, float4 x) const {
        if (activation == GELU) { // nearly always
            x = make_float4(gelu_of(x.x), gelu_of(x.y), gelu_of(x.z), gelu_of(x.w));
        } else if (activation != LINEAR) {
#pragma unroll 1 // four times around, so that the code of all activations is there once
            for (int i = 0; i < 4; i++) {
                x = make_float4(x.y, x.z, x.w, activate(activation, x.x));
            }
        }
        if (residual != nullptr) {
            x = x + load4(residual + at);
        }
        if (wide) {
            store4((float *)c + at, x);
        } else {
            store4((T *)c + at, x);
        }
    }
};
