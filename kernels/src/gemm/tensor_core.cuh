// The instructions of tensor cores and of the way to them, one function each (PTX ISA, 9.7.8 and 9.7.14).
//
// A warp multiplies 16 rows of a by 8 rows of W, 32 bytes of each at a time: 16 numbers of 16 bits, or
// 32 of 8. With g = lane / 4 and t = lane % 4 a lane holds
//
//     a   words 0, 1: row g, g + 8, the 4 bytes from 4t on;   words 2, 3: the same, 16 bytes further on
//     w   word 0:     row g, the 4 bytes from 4t on;          word 1:     the same, 16 bytes further on
//     c   values 0, 1: row g, columns 2t, 2t + 1;             values 2, 3: row g + 8
//
// which is how `ldmatrix` hands out rows of 16 bytes. Devices before sm_80 take half as much at once
// (sm_75: 16 × 8 × 8 of f16, 8 × 8 × 16 of int8); in the same fragments, so that it shows only here.

#pragma once

#include "../warp.cuh"

__device__ __forceinline__ unsigned shared_address(const void *x) { return (unsigned)__cvta_generic_to_shared(x); }

// 16 bytes from global to shared memory, or zeros where there are none. On sm_80 the copy goes on by
// itself until `copies_wait`; before, it is done at once, and the waits are nothing.
__device__ __forceinline__ void copy16(unsigned to, const void *from, bool there) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0) : "memory");
#else
    const uint4 x = there ? *(const uint4 *)from : make_uint4(0, 0, 0, 0);
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(x.x), "r"(x.y), "r"(x.z), "r"(x.w) : "memory");
#endif
}

// Ends a group of copies.
__device__ __forceinline__ void copies_commit() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Until at most so many groups of this thread are under way.
template <int GROUPS> __device__ __forceinline__ void copies_wait() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

// Four matrices of 8 rows of 16 bytes; lanes 8i … 8i + 7 say where the rows of matrix i are.
__device__ __forceinline__ void load_matrices(unsigned (&x)[4], unsigned at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at)
                 : "memory");
}

// The same, each matrix of 8 × 8 numbers of 16 bits transposed.
__device__ __forceinline__ void load_matrices_transposed(unsigned (&x)[4], unsigned at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(at)
                 : "memory");
}

// c += a · wᵀ over 32 bytes.
template <typename T, typename Sum>
__device__ __forceinline__ void multiply_add(Sum (&c)[4], const unsigned (&a)[4], unsigned w0, unsigned w1);

#if __CUDA_ARCH__ >= 800
template <>
__device__ __forceinline__ void multiply_add<bf16>(float (&c)[4], const unsigned (&a)[4], unsigned w0, unsigned w1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(w0), "r"(w1));
}

template <>
__device__ __forceinline__ void multiply_add<f16>(float (&c)[4], const unsigned (&a)[4], unsigned w0, unsigned w1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(w0), "r"(w1));
}

template <>
__device__ __forceinline__ void multiply_add<signed char>(int (&c)[4], const unsigned (&a)[4], unsigned w0, unsigned w1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(w0), "r"(w1));
}
#else
template <>
__device__ __forceinline__ void multiply_add<f16>(float (&c)[4], const unsigned (&a)[4], unsigned w0, unsigned w1) {
    const unsigned w[2] = {w0, w1};
#pragma unroll
    for (int half = 0; half < 2; half++) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(w[half]));
    }
}

template <>
__device__ __forceinline__ void multiply_add<signed char>(int (&c)[4], const unsigned (&a)[4], unsigned w0, unsigned w1) {
    const unsigned w[2] = {w0, w1};
#pragma unroll
    for (int part = 0; part < 4; part++) {
        const int half = part / 2, rows = part % 2;
        asm volatile("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
                     : "+r"(c[2 * rows]), "+r"(c[2 * rows + 1])
                     : "r"(a[2 * half + rows]), "r"(w[half]));
    }
}
#endif
