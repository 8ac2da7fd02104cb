// Rows of activations → rows of int8, each with a scale of its own: quantize.rs, on the GPU,
// with the same bytes wherever a row is finite.
//
//     s = max |xᵢ| / 127,  qᵢ = round(xᵢ / s)
//
// x `[t, c]`, q `[t, c]`, s `[t]`; c is a multiple of 16. A warp takes a row, reads it twice. A row whose greatest
// is so small that 1/s would overflow becomes zeros with s = 0; one with a NaN or an infinity has that
// in its scale. Bound by memory.
//
// architectures: 75

#include "../warp.cuh"

constexpr int QUANTIZE_ROWS = 4; // of a block

__device__ __forceinline__ int byte_of(float x, float inverse) {
    int q;
    asm("cvt.rni.s32.f32 %0, %1;" : "=r"(q) : "f"(fminf(fmaxf(x * inverse, -127.0f), 127.0f)));
    return q & 0xff;
}

template <typename T> __device__ __forceinline__ void quantize(const T *x, signed char *q, float *s, int t, int c) {
    const size_t row = (size_t)blockIdx.x * QUANTIZE_ROWS + threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    if (row >= t) {
        return;
    }
    x += row * c;
    // Bits of numbers without their sign are in the order of the numbers, NaN beyond all.
    unsigned greatest = 0;
    for (int j = 4 * lane; j < c; j += 4 * 32) {
        const float4 v = load4(x + j);
        const unsigned low = max(__float_as_uint(v.x) & 0x7fffffff, __float_as_uint(v.y) & 0x7fffffff);
        const unsigned high = max(__float_as_uint(v.z) & 0x7fffffff, __float_as_uint(v.w) & 0x7fffffff);
        greatest = max(greatest, max(low, high));
    }
    for (int bit = 16; bit > 0; bit /= 2) {
        greatest = max(greatest, __shfl_xor_sync(ALL, greatest, bit));
    }
    const float most = __uint_as_float(greatest);
    const bool vanishes = most < 127 * 1.17549435e-38f; // the least normal number
    const float scale = vanishes ? 0 : most / 127;
    const float inverse = vanishes ? 0 : 127 / most;
    if (lane == 0) {
        s[row] = scale;
    }
    for (int j = 4 * lane; j < c; j += 4 * 32) {
        const float4 v = load4(x + j);
        const unsigned word = byte_of(v.x, inverse) | byte_of(v.y, inverse) << 8 | byte_of(v.z, inverse) << 16 |
                              byte_of(v.w, inverse) << 24;
        *(unsigned *)(q + row * c + j) = word;
    }
}

extern "C" __global__ void __launch_bounds__(32 * QUANTIZE_ROWS)
quantize_f32(const float *x, signed char *q, float *s, int t, int c) {
    quantize(x, q, s, t, c);
}

extern "C" __global__ void __launch_bounds__(32 * QUANTIZE_ROWS)
quantize_f16(const f16 *x, signed char *q, float *s, int t, int c) {
    quantize(x, q, s, t, c);
}
