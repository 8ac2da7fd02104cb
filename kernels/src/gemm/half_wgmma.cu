// The matrix product in f16 and bf16 on sm_90a: tiles copied by TMA, products by warpgroups.
//
//     c = activation(a · Wᵀ + bias) + residual
//
// a `[m, k]` and W `[n, k]` come as tensor maps; c and all else as in half_mma.cu. A block makes 128 x N values
// of c and has three warpgroups with different work:
//
//     one copies     for each step (64 of k, 128 bytes): wait until its stage is free, ask for 128 rows of a
//                    and N rows of W, which arrive by themselves
//     two multiply   64 rows each: wait until the stage is full, four products of 16 of k, and say that the
//                    stage before is free, whose products are done by then
//
// Every stage has two barriers: `full` (one arrival, and the bytes) and `empty` (one arrival of each
// of the eight warps that multiply). A stage is used every STAGES steps; the parity of its phase changes each time.
//
// Why N = 192: of 128 x 192 x 64 products a step needs 40 KB, five stages fill the 227 KB of a multiprocessor, a
// thread holds 96 sums, and ELECTRA-base's 768, 2304 and 3072 columns are 4, 12 and 16 tiles: 4,096
// rows of 768 columns are 128 tiles for the 132 multiprocessors of an H200. N = 128 for widths that 192 does not
// divide. 384 threads may have 168 registers each, which is enough: nothing has to be handed on.
// The unit leaves chunks of 16 bytes shuffled so that nobody meets in a bank; hopper.cuh has the place.
// Edges: TMA fills with zeros what is beyond a matrix; k a multiple of 8, n of 8.
// Sources: PTX ISA 9.7.15; NVIDIA, "CUTLASS 3", warp-specialized kernels (the division of work).
//
// architectures: 90a

#include "epilogue.cuh"
#include "hopper.cuh"

constexpr int HALF_WGMMA_M = 128;
constexpr int HALF_WGMMA_N = 128;
constexpr int HALF_WGMMA_WIDE_N = 192;
constexpr int HALF_WGMMA_K = 64; // of a step: a row of a tile is 128 bytes
constexpr int HALF_WGMMA_STAGES = 5;
constexpr int HALF_WGMMA_THREADS = 384;

// sums `[64, N]` of a warpgroup, from first_row and first_col, to c, by way of shared memory.
template <int N, typename T>
__device__ __forceinline__ void write_sums(const float (&sums)[N / 2], float *shared, int first_row, int first_col,
                                           const Epilogue<T> &epilogue) {
    constexpr int STRIDE = N + 4; // shifts each row by 4 banks
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 - 4;
    float *own = shared + warp * 16 * STRIDE; // each of the eight warps that multiply has 16 rows
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        own[(lane / 4 + i / 2 % 2 * 8) * STRIDE + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
    }
    __syncwarp();
#pragma unroll 1
    for (int at = lane; at < 16 * N / 4; at += 32) {
        const int r = at / (N / 4), col = at % (N / 4) * 4, row = first_row + warp % 4 * 16 + r;
        if (row < epilogue.m && first_col + col < epilogue.n) {
            epilogue.finish(row, first_col + col, *(const float4 *)&own[r * STRIDE + col]);
        }
    }
}

template <int N, typename T>
__device__ __forceinline__ void half_wgmma(const TensorMap &a, const TensorMap &w, int k, const Epilogue<T> &epilogue) {
    constexpr int A_BYTES = HALF_WGMMA_M * HALF_WGMMA_K * 2, STAGE = A_BYTES + N * HALF_WGMMA_K * 2;
    alignas(1024) extern __shared__ unsigned char shared[];
    const unsigned base = shared_address(shared), full = base + HALF_WGMMA_STAGES * STAGE,
                   empty = full + 8 * HALF_WGMMA_STAGES;
    const int group = threadIdx.x / 128, steps = (k + HALF_WGMMA_K - 1) / HALF_WGMMA_K;
    const int first_row = blockIdx.y * HALF_WGMMA_M, first_col = blockIdx.x * N;
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < HALF_WGMMA_STAGES; stage++) {
            barrier_init(full + 8 * stage, 1);
            barrier_init(empty + 8 * stage, 8);
        }
        barriers_fence();
    }
    __syncthreads();

    if (group == 0) {
        if (threadIdx.x == 0) {
            for (int step = 0; step < steps; step++) {
                const int stage = step % HALF_WGMMA_STAGES, round = step / HALF_WGMMA_STAGES;
                const unsigned to = base + stage * STAGE, barrier = full + 8 * stage;
                barrier_wait(empty + 8 * stage, (round + 1) % 2); // in the first round it is
                barrier_expect(barrier, STAGE);
                copy_tile(to, a, step * HALF_WGMMA_K, first_row, barrier);
                copy_tile(to + A_BYTES, w, step * HALF_WGMMA_K, first_col, barrier);
            }
        }
    } else {
        float sums[N / 2] = {};
        int step = 0;
        do { // at least once: ptxas must not see a way around the products to what reads the sums
            const int stage = step % HALF_WGMMA_STAGES, round = step / HALF_WGMMA_STAGES;
            const unsigned left = base + stage * STAGE + (group - 1) * A_BYTES / 2, right = base + stage * STAGE + A_BYTES;
            barrier_wait(full + 8 * stage, round % 2);
            products_fence();
#pragma unroll
            for (int i = 0; i < HALF_WGMMA_K / 16; i++) {
                multiply_tiles<T>(sums, descriptor(left, i), descriptor(right, i));
            }
            products_commit();
            products_wait<1>(); // those of the step before
            if (step > 0) {
                barrier_arrive(empty + 8 * ((step - 1) % HALF_WGMMA_STAGES));
            }
        } while (++step < steps);
        products_wait<0>();
        // Both groups are done with the stages, and nothing is being copied: their place is free.
        asm volatile("bar.sync 1, 256;" ::: "memory");
        write_sums<N>(sums, (float *)shared, first_row + (group - 1) * 64, first_col, epilogue);
    }
}

extern "C" __global__ void __launch_bounds__(HALF_WGMMA_THREADS)
half_wgmma_f16(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap w, const float *bias,
               const f16 *residual, void *c, int m, int n, int k, int activation, int wide) {
    half_wgmma<HALF_WGMMA_N, f16>(a, w, k, {bias, residual, c, m, n, activation, wide});
}

extern "C" __global__ void __launch_bounds__(HALF_WGMMA_THREADS)
half_wgmma_f16_wide(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap w, const float *bias,
                    const f16 *residual, void *c, int m, int n, int k, int activation, int wide) {
    half_wgmma<HALF_WGMMA_WIDE_N, f16>(a, w, k, {bias, residual, c, m, n, activation, wide});
}

extern "C" __global__ void __launch_bounds__(HALF_WGMMA_THREADS)
half_wgmma_bf16(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap w, const float *bias,
                const bf16 *residual, void *c, int m, int n, int k, int activation, int wide) {
    half_wgmma<HALF_WGMMA_N, bf16>(a, w, k, {bias, residual, c, m, n, activation, wide});
}

extern "C" __global__ void __launch_bounds__(HALF_WGMMA_THREADS)
half_wgmma_bf16_wide(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap w, const float *bias,
                     const bf16 *residual, void *c, int m, int n, int k, int activation, int wide) {
    half_wgmma<HALF_WGMMA_WIDE_N, bf16>(a, w, k, {bias, residual, c, m, n, activation, wide});
}
