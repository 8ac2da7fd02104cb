// What every kernel needs of the machine: numbers of 16 bits, rows four values at a time, sums and
// maxima over a warp. No header of a toolkit is included anywhere: what CUDA C++ lacks without them
// is said in PTX (NVIDIA, "PTX ISA", chapter 9, names every instruction used).
//
// A warp is 32 threads in step; a lane is one of them. `shfl.bfly` lets each lane read the value of
// the lane whose number differs in one bit: after five of them all lanes hold the same sum, added
// in the same order whatever else the GPU does.

#pragma once

constexpr unsigned ALL = 0xffffffffu;
constexpr float LOG2_E = 1.4426950408889634f;

// 1 sign, 8 exponent, 7 fraction bits: the upper half of an f32.
struct bf16 {
    unsigned short bits;
};

// 1 sign, 5 exponent, 10 fraction bits (IEEE 754 binary16).
struct f16 {
    unsigned short bits;
};

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

__device__ __forceinline__ float value(float x) { return x; }

__device__ __forceinline__ float value(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

__device__ __forceinline__ float value(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

// The nearest number of the type, ties to even.
template <typename T> __device__ __forceinline__ T nearest(float x);

template <> __device__ __forceinline__ float nearest<float>(float x) { return x; }

template <> __device__ __forceinline__ f16 nearest<f16>(float x) {
    f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

// Two of them in a word, the first in its lower half: what tensor cores read.
template <typename T> __device__ __forceinline__ unsigned pair(float low, float high);

#if __CUDA_ARCH__ >= 800 // before it there is no bf16
template <> __device__ __forceinline__ bf16 nearest<bf16>(float x) {
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

template <> __device__ __forceinline__ unsigned pair<bf16>(float low, float high) {
    unsigned word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}

template <> __device__ __forceinline__ unsigned pair<f16>(float low, float high) {
    unsigned word;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
}
#else
template <> __device__ __forceinline__ unsigned pair<f16>(float low, float high) {
    return nearest<f16>(low).bits | (unsigned)nearest<f16>(high).bits << 16;
}
#endif

// Four values that lie one behind the other, at a place that is a multiple of four values: one load
// of 16 bytes, or of 8.
__device__ __forceinline__ float4 load4(const float *x) { return *(const float4 *)x; }

template <typename T> __device__ __forceinline__ float4 load4(const T *x) {
    const ushort4 bits = *(const ushort4 *)x;
    return make_float4(value(T{bits.x}), value(T{bits.y}), value(T{bits.z}), value(T{bits.w}));
}

__device__ __forceinline__ void store4(float *y, float4 x) { *(float4 *)y = x; }

template <typename T> __device__ __forceinline__ void store4(T *y, float4 x) {
    *(uint2 *)y = make_uint2(pair<T>(x.x, x.y), pair<T>(x.z, x.w));
}

__device__ __forceinline__ float4 operator+(float4 a, float4 b) {
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__device__ __forceinline__ float sum_of(float4 x) { return x.x + x.y + x.z + x.w; }

// 2ˣ, relative error 2⁻²²; 2^−∞ = 0.
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float warp_sum(float x) {
    for (int bit = 16; bit > 0; bit /= 2) {
        x += __shfl_xor_sync(ALL, x, bit);
    }
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int bit = 16; bit > 0; bit /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL, x, bit));
    }
    return x;
}
