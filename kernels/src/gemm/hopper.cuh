// What sm_90a adds to the language, one function each (PTX ISA, 9.7.8.24, 9.7.12.15, 9.7.15).
//
// - A barrier in shared memory counts arrivals of threads and bytes of copies; its phases are even and odd.
// - A unit of its own (TMA) copies a tile that one thread asks for, and reports its bytes to a barrier.
// - A warpgroup, four warps, multiplies 64 rows of a by N rows of W, both from shared memory, and goes on
//   while that happens. Values of c lie in the lanes of each warp as after `mma`, 16 rows a warp.

#pragma once

#include "tensor_core.cuh"

// What `cuTensorMapEncodeTiled` makes: where a matrix lies, how large it is, what a tile of it is.
struct alignas(64) TensorMap {
    unsigned char bytes[128];
};

__device__ __forceinline__ void barrier_init(unsigned barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// Makes new barriers known to the unit that copies.
__device__ __forceinline__ void barriers_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// An arrival of a warp: of its lanes the first counts. No lane branches, as what follows is done by all together.
__device__ __forceinline__ void barrier_arrive(unsigned barrier) {
    asm volatile("{\n.reg .pred first;\n.reg .b64 state;\nsetp.eq.u32 first, %1, 0;\n"
                 "@first mbarrier.arrive.shared::cta.b64 state, [%0];\n}" ::"r"(barrier),
                 "r"(threadIdx.x % 32)
                 : "memory");
}

// An arrival that says how many bytes have to come before the phase ends.
__device__ __forceinline__ void barrier_expect(unsigned barrier, int bytes) {
    asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;\n}" ::"r"(barrier), "r"(bytes)
                 : "memory");
}

// Until the phase of this parity has ended. Before the first phase the one of parity 1 counts as ended.
__device__ __forceinline__ void barrier_wait(unsigned barrier, unsigned parity) {
    unsigned ended = 0;
    while (!ended) { // the instruction itself waits a while
        asm volatile("{\n.reg .pred ended;\nmbarrier.try_wait.parity.shared::cta.b64 ended, [%1], %2;\nselp.u32 %0, 1, 0, ended;\n}"
                     : "=r"(ended)
                     : "r"(barrier), "r"(parity)
                     : "memory");
    }
}

// The tile whose first value is in column x of row y; what lies beyond the matrix is 0.
__device__ __forceinline__ void copy_tile(unsigned to, const TensorMap &map, int x, int y, unsigned barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(&map), "r"(x), "r"(y), "r"(barrier)
                 : "memory");
}

// A tile whose rows are 128 bytes, as TMA leaves it with SWIZZLE_128B: from a multiple of 1024 on,
// eight rows after eight, chunk c of row r at c ^ (r % 8). The 32 bytes of k at `step` begin so much further on.
__device__ __forceinline__ unsigned long long descriptor(unsigned tile, int step) {
    const unsigned long long start = (tile + 32 * step) >> 4, eight_rows = 1024 >> 4, swizzle_128b = 1;
    return start | 1ull << 16 | eight_rows << 32 | swizzle_128b << 62;
}

// Between other uses of the sums and the products that change them.
__device__ __forceinline__ void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Until at most so many groups of products are under way.
template <int GROUPS> __device__ __forceinline__ void products_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(GROUPS) : "memory");
}

// Registers that an instruction names: eight sums, and their places in its text.
#define SUMS(i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define PLACES_64                                                                                                      \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, "   \
    "%24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, "   \
    "%46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define PLACES_96                                                                                                      \
    PLACES_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, " \
              "%84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"

// c (64 x N values, N / 2 a thread) += a · wᵀ over 16 of k. The numbers at the end leave the signs as they are and
// say that both factors are read along k. The sums must have begun as something, 0: a sum that is first
// written here makes ptxas 12.0 wait for each product before it issues the next (its remark C7515).
template <typename T> __device__ __forceinline__ void multiply_tiles(float (&c)[64], unsigned long long a, unsigned long long w);
template <typename T> __device__ __forceinline__ void multiply_tiles(float (&c)[96], unsigned long long a, unsigned long long w);

#define MULTIPLY(type, name, n, count, places, a_at, w_at, ...)                                                        \
    template <>                                                                                                        \
    __device__ __forceinline__ void multiply_tiles<type>(float (&c)[count], unsigned long long a,                      \
                                                         unsigned long long w) {                                       \
        asm volatile("{\n.reg .pred add;\nsetp.eq.u32 add, 0, 0;\n"                                                    \
                     "wgmma.mma_async.sync.aligned.m64n" n "k16.f32." name "." name " {" places "}, %" a_at ", %" w_at \
                     ", add, 1, 1, 0, 0;\n}"                                                                           \
                     : __VA_ARGS__                                                                                     \
                     : "l"(a), "l"(w));                                                                                \
    }
#define SUMS_64 SUMS(0), SUMS(8), SUMS(16), SUMS(24), SUMS(32), SUMS(40), SUMS(48), SUMS(56)
#define SUMS_96 SUMS_64, SUMS(64), SUMS(72), SUMS(80), SUMS(88)

MULTIPLY(bf16, "bf16", "128", 64, PLACES_64, "64", "65", SUMS_64)
MULTIPLY(f16, "f16", "128", 64, PLACES_64, "64", "65", SUMS_64)
MULTIPLY(bf16, "bf16", "192", 96, PLACES_96, "96", "97", SUMS_96)
MULTIPLY(f16, "f16", "192", 96, PLACES_96, "96", "97", SUMS_96)
