// An activation by itself, x in place: in the network it is the epilogue of a product, so this
// kernel serves study and the tests alone. The mathematics stands in gelu.rs.
//
// A thread takes a value. Bound by memory: 8 bytes for some 30 operations.
//
// architectures: 75

#include "gelu.cuh"

constexpr int GELU_THREADS = 256;

extern "C" __global__ void __launch_bounds__(GELU_THREADS) gelu(int activation, float *x, int len) {
    const size_t i = (size_t)blockIdx.x * GELU_THREADS + threadIdx.x;
    if (i < len) {
        x[i] = activate(activation, x[i]);
    }
}
