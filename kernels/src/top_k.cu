// The k largest of each row, best first; of equal ones the lower index first. k ≤ 32.
//
// x `[m, stride]` f32, of which the first v columns are meant; values `[m, 32]` and indices `[m, 32]`: of each
// row the first min(32, v) mean something. A row with a NaN has no order; log_sum_exp.cu shows that it has one.
//
// A value and its index become one key whose order is the one wanted:
//
//     key = order(x) · 2³² + (2³² − 1 − j)      order: the bits of x, all flipped where x < 0,
//                                               else the sign flipped
//
// A block takes a row. Each of its warps goes through every eighth 32 values and keeps the best 32
// keys, sorted, one in each lane: lane 0 the best. A new key enters where it belongs, the lanes behind
// it move on by one. Few do: of v values in random order about 32 ln(v / 32). Then the first warp takes
// in the lists of the others. Bound by memory, once the lists have filled: 4 bytes a value.
// Source of the idea: Johnson, Douze & Jégou, arXiv:1702.08734, §4 (a simpler list than theirs).
//
// architectures: 75

#include "warp.cuh"

typedef unsigned long long Key;

constexpr int TOP_K_MOST = 32;
constexpr int TOP_K_WARPS = 8;

__device__ __forceinline__ Key key_of(float x, unsigned index) {
    const unsigned bits = __float_as_uint(x);
    const unsigned order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (Key)order << 32 | ~index;
}

// Takes up to 32 new keys, one a lane, into the sorted list that the lanes hold; 0 is no key.
__device__ __forceinline__ Key take_in(Key list, Key mine, int lane) {
    const Key least = __shfl_sync(ALL, list, 31);
    unsigned better = __ballot_sync(ALL, mine > least);
    while (better != 0) {
        const Key next = __shfl_sync(ALL, mine, __ffs(better) - 1);
        better &= better - 1;
        const int place = __popc(__ballot_sync(ALL, list > next));
        const Key before = __shfl_up_sync(ALL, list, 1);
        list = lane < place ? list : lane == place ? next : before;
    }
    return list;
}

extern "C" __global__ void __launch_bounds__(32 * TOP_K_WARPS)
top_k(const float *x, float *values, unsigned *indices, int v, int stride) {
    __shared__ Key lists[TOP_K_WARPS][32];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    x += (size_t)blockIdx.x * stride;

    Key list = 0;
    for (int first = 32 * warp; first < v; first += 32 * TOP_K_WARPS) {
        const int j = first + lane;
        list = take_in(list, j < v ? key_of(x[j], j) : 0, lane);
    }
    lists[warp][lane] = list;
    __syncthreads();
    if (warp != 0) {
        return;
    }
    for (int other = 1; other < TOP_K_WARPS; other++) {
        list = take_in(list, lists[other][lane], lane);
    }
    const unsigned order = list >> 32;
    const unsigned bits = order & 0x80000000u ? order & 0x7fffffffu : ~order;
    values[(size_t)blockIdx.x * TOP_K_MOST + lane] = __uint_as_float(bits);
    indices[(size_t)blockIdx.x * TOP_K_MOST + lane] = ~(unsigned)list;
}
