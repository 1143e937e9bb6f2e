// What a CUDA source of ours needs to run on a processor, one host thread for each thread of a block. The whole
// block must reach every barrier and every shuffle.
#pragma once
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __shared__ static
#define __constant__ static const
#define __noinline__

struct Triple {
    unsigned int x, y, z;
};

static thread_local Triple threadIdx, blockIdx;
static Triple blockDim, gridDim;
static unsigned char *shared_memory;
static constexpr int warpSize = 32;

static std::mutex barrier_lock;
static std::condition_variable barrier_open;
static unsigned int barrier_waiting, barrier_round;
static double exchanged[1024];

static inline void __syncthreads() {
    std::unique_lock<std::mutex> held(barrier_lock);
    const unsigned int round = barrier_round;
    if (++barrier_waiting == blockDim.x * blockDim.y * blockDim.z) {
        barrier_waiting = 0;
        ++barrier_round;
        barrier_open.notify_all();
    } else {
        barrier_open.wait(held, [&] { return round != barrier_round; });
    }
}

static inline void __syncwarp(unsigned int = 0xffffffffu) { __syncthreads(); }

template <typename T> static inline T from_lane(T value, unsigned int source) {
    const unsigned int warp = threadIdx.x / warpSize * warpSize;
    exchanged[threadIdx.x] = static_cast<double>(value);
    __syncthreads();
    const unsigned int thread = warp + source;
    const T found = source < warpSize && thread < blockDim.x ? static_cast<T>(exchanged[thread]) : value;
    __syncthreads();
    return found;
}

template <typename T> static inline T __shfl_xor_sync(unsigned int, T value, int mask) {
    return from_lane(value, (threadIdx.x % warpSize) ^ mask);
}

template <typename T> static inline T __shfl_down_sync(unsigned int, T value, unsigned int delta) {
    return from_lane(value, threadIdx.x % warpSize + delta);
}

template <typename T> static inline T __shfl_sync(unsigned int, T value, int source) {
    return from_lane(value, source);
}

template <typename T> static inline T __ldg(const T *address) { return *address; }

static inline float __fdividef(float x, float y) { return x / y; }
static inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
static inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }

using std::max;
using std::min;

extern "C" void set_launch(unsigned int gx, unsigned int gy, unsigned int gz, unsigned int block, void *memory) {
    gridDim = {gx, gy, gz};
    blockDim = {block, 1, 1};
    shared_memory = static_cast<unsigned char *>(memory);
}

extern "C" void set_thread(unsigned int bx, unsigned int by, unsigned int bz, unsigned int thread) {
    blockIdx = {bx, by, bz};
    threadIdx = {thread, 0, 0};
}
