// CRPS and quantile losses of an ensemble, from its ordered members. Members are the leading axis: those of
// neighbouring cases are neighbours in memory, and neighbouring threads take neighbouring cases.
//
// Errors of the members, x − y, are ordered instead of the members: an offset of the data falls out before
// anything is added up. `registers_*`: a thread sorts the 1 to 64 members of its case in registers by Batcher's
// odd-even merge network. `block_*`: a block sorts up to 1,024 members of the cases of one memory sector in
// shared memory by a bitonic network. Sums have a fixed order. A NaN or an infinite error makes the case NaN:
// minimum and maximum drop a NaN, the sum of distances does not.
#include "numbers.cuh"

__device__ inline float least(float x, float y) { return fminf(x, y); }
__device__ inline double least(double x, double y) { return fmin(x, y); }
__device__ inline float most(float x, float y) { return fmaxf(x, y); }
__device__ inline double most(double x, double y) { return fmax(x, y); }
__device__ inline float distance(float x) { return fabsf(x); }
__device__ inline double distance(double x) { return fabs(x); }

template <typename Real> __device__ Real after_all() {
    const union {
        unsigned int bits;
        float number;
    } infinite = {0x7f800000u};
    return infinite.number;
}

// One layer of the network: pairs `DISTANCE` apart inside merges of runs of `RUN`.
template <typename Real, int SIZE, int RUN, int DISTANCE> struct Layer {
    static __device__ __forceinline__ void sort(Real (&error)[SIZE]) {
#pragma unroll
        for (int low = DISTANCE % RUN; low + DISTANCE < SIZE; ++low) {
            if ((low - DISTANCE % RUN) % (2 * DISTANCE) >= DISTANCE) continue;
            if (low / (2 * RUN) != (low + DISTANCE) / (2 * RUN)) continue;
            const Real one = error[low], other = error[low + DISTANCE];
            error[low] = least(one, other);
            error[low + DISTANCE] = most(one, other);
        }
        Layer<Real, SIZE, RUN, DISTANCE / 2>::sort(error);
    }
};

template <typename Real, int SIZE, int RUN> struct Layer<Real, SIZE, RUN, 0> {
    static __device__ __forceinline__ void sort(Real (&error)[SIZE]) {
        if constexpr (2 * RUN < SIZE) Layer<Real, SIZE, 2 * RUN, 2 * RUN>::sort(error);
    }
};

// Loss of an empirical quantile between two ordered errors, in the way of torch.lerp.
template <typename Real> __device__ Real quantile_loss(Real low, Real high, Real share, Real level) {
    const Real quantile = share < Real(0.5) ? low + share * (high - low) : high - (high - low) * (1 - share);
    return quantile < 0 ? level * -quantile : (1 - level) * quantile;
}

template <typename Stored, typename Real, int SIZE>
__device__ void scores_in_registers(const Stored *__restrict__ forecast, const Stored *__restrict__ observed,
                                    const long long *__restrict__ below, const Real *__restrict__ share,
                                    const Real *__restrict__ level, Real *__restrict__ crps, Real *__restrict__ loss,
                                    long long members, long long cases, long long levels, long long fair) {
    const long long at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= cases) return;
    const int count = static_cast<int>(members);
    const Real truth = as_float(observed[at]);
    Real error[SIZE], absolute = 0, spread = 0;
#pragma unroll
    for (int member = 0; member < SIZE; ++member)
        error[member] = member < count ? static_cast<Real>(as_float(forecast[member * cases + at])) - truth
                                       : after_all<Real>();
#pragma unroll
    for (int member = 0; member < SIZE; ++member)
        if (member < count) absolute += distance(error[member]);
    if constexpr (SIZE > 1) Layer<Real, SIZE, 1, 1>::sort(error);
#pragma unroll
    for (int member = 0; member < SIZE; ++member)
        if (member < count) spread += static_cast<Real>(2 * member + 1 - count) * error[member];
    const Real pairs = static_cast<Real>(count) * static_cast<Real>(fair && count > 1 ? count - 1 : count);
    const Real score = absolute / count - spread / pairs;
    crps[at] = score;
    for (long long one = 0; one < levels; ++one) {
        const int low = static_cast<int>(below[one]), high = low + 1 < count ? low + 1 : low;
        Real lower = 0, upper = 0;
#pragma unroll
        for (int member = 0; member < SIZE; ++member) {
            if (member == low) lower = error[member];
            if (member == high) upper = error[member];
        }
        loss[one * cases + at] = quantile_loss(lower, upper, share[one], level[one]) + (score - score);
    }
}

// Gradient of the CRPS with respect to the members. A member's place in the order is counted, ties in the order of
// the members, so that all paths agree on the subgradient.
template <typename Stored, typename Real, int SIZE>
__device__ void gradient_in_registers(const Stored *__restrict__ forecast, const Stored *__restrict__ observed,
                                      const Real *__restrict__ outer, Real *__restrict__ gradient, long long members,
                                      long long cases, long long fair) {
    const long long at = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= cases) return;
    const int count = static_cast<int>(members);
    const Real truth = as_float(observed[at]), factor = outer[at];
    Real error[SIZE], sum = 0;
#pragma unroll
    for (int member = 0; member < SIZE; ++member) {
        error[member] = member < count ? static_cast<Real>(as_float(forecast[member * cases + at])) - truth
                                       : after_all<Real>();
        if (member < count) sum += error[member] - error[member];
    }
    const Real pairs = static_cast<Real>(count) * static_cast<Real>(fair && count > 1 ? count - 1 : count);
    for (int member = 0; member < count; ++member) {
        const Real own = static_cast<Real>(as_float(forecast[member * cases + at])) - truth;
        int place = 0;
#pragma unroll
        for (int other = 0; other < SIZE; ++other)
            place += error[other] < own || (error[other] == own && other < member) ? 1 : 0;
        const Real side = own > 0 ? Real(1) : own < 0 ? Real(-1) : Real(0);
        const Real slope = side / count - static_cast<Real>(2 * place + 1 - count) / pairs + sum;
        gradient[member * cases + at] = factor == 0 ? Real(0) : factor * slope;
    }
}

// Sum over the threads of a case, the same for each of them; every thread of the block takes part.
template <typename Real> __device__ Real over_lanes(Real value, Real *partial, int width) {
    const int thread = threadIdx.x, lane = thread / width;
    partial[thread] = value;
    __syncthreads();
    for (int count = blockDim.x / width; count > 1; count = (count + 1) / 2) {
        const int half = (count + 1) / 2;
        if (lane + half < count) partial[thread] += partial[thread + half * width];
        __syncthreads();
    }
    const Real sum = partial[thread % width];
    __syncthreads();
    return sum;
}

template <typename Stored, typename Real>
__device__ void scores_in_block(const Stored *__restrict__ forecast, const Stored *__restrict__ observed,
                                const long long *below, const Real *share, const Real *level, Real *crps, Real *loss,
                                long long members, long long cases, long long levels, long long fair,
                                long long size) {
    SHARED_MEMORY(double, memory);
    constexpr int width = 32 / sizeof(Real);
    Real *partial = reinterpret_cast<Real *>(memory), *cell = partial + blockDim.x;
    const int column = threadIdx.x % width, lane = threadIdx.x / width, lanes = blockDim.x / width;
    const long long at = static_cast<long long>(blockIdx.x) * width + column;
    const bool used = at < cases;
    const int count = static_cast<int>(members), padded = static_cast<int>(size);
    const Real truth = used ? static_cast<Real>(as_float(observed[at])) : Real(0);
    Real absolute = 0, spread = 0;
    for (int member = lane; member < padded; member += lanes) {
        Real error = after_all<Real>();
        if (member < count) {
            error = used ? static_cast<Real>(as_float(forecast[member * cases + at])) - truth : Real(0);
            absolute += distance(error);
        }
        cell[member * width + column] = error;
    }
    absolute = over_lanes(absolute, partial, width);
    for (int run = 2; run <= padded; run *= 2) {
        for (int apart = run / 2; apart > 0; apart /= 2) {
            for (int pair = lane; pair < padded / 2; pair += lanes) {
                const int low = 2 * apart * (pair / apart) + pair % apart;
                Real &one = cell[low * width + column], &other = cell[(low + apart) * width + column];
                const Real smaller = least(one, other), larger = most(one, other);
                one = (low & run) == 0 ? smaller : larger;
                other = (low & run) == 0 ? larger : smaller;
            }
            __syncthreads();
        }
    }
    for (int member = lane; member < count; member += lanes)
        spread += static_cast<Real>(2 * member + 1 - count) * cell[member * width + column];
    spread = over_lanes(spread, partial, width);
    const Real pairs = static_cast<Real>(count) * static_cast<Real>(fair && count > 1 ? count - 1 : count);
    const Real score = absolute / count - spread / pairs;
    if (used && lane == 0) crps[at] = score;
    for (long long one = lane; used && one < levels; one += lanes) {
        const int low = static_cast<int>(below[one]), high = low + 1 < count ? low + 1 : low;
        loss[one * cases + at] =
            quantile_loss(cell[low * width + column], cell[high * width + column], share[one], level[one]) +
            (score - score);
    }
}

// Energy score: a block takes one case, holds the errors of all members and adds up the distance of each pair once.
template <typename Stored, typename Real>
__device__ void energy_of_case(const Stored *__restrict__ forecast, const Stored *__restrict__ observed,
                               Real *__restrict__ score, long long members, long long cases, long long channels,
                               long long fair) {
    SHARED_MEMORY(double, memory);
    Real *partial = reinterpret_cast<Real *>(memory), *cell = partial + blockDim.x;  // (channel, member)
    const long long at = blockIdx.x;
    const int count = static_cast<int>(members), width = static_cast<int>(channels), threads = blockDim.x;
    for (int place = threadIdx.x; place < count * width; place += threads) {
        const int member = place / width, channel = place % width;
        const Real truth = as_float(observed[at * channels + channel]);
        cell[channel * count + member] =
            static_cast<Real>(as_float(forecast[(member * cases + at) * channels + channel])) - truth;
    }
    __syncthreads();
    Real error = 0, spread = 0;
    for (int member = threadIdx.x; member < count; member += threads) {
        Real squares = 0;
        for (int channel = 0; channel < width; ++channel)
            squares += cell[channel * count + member] * cell[channel * count + member];
        error += sqrt(squares);
        // Each pair once: with those up to half a round ahead; of an even number the opposite one from one side.
        for (int ahead = 1; 2 * ahead <= count; ++ahead) {
            if (2 * ahead == count && member >= ahead) break;
            const int other = member + ahead < count ? member + ahead : member + ahead - count;
            Real between = 0;
            for (int channel = 0; channel < width; ++channel) {
                const Real apart = cell[channel * count + member] - cell[channel * count + other];
                between += apart * apart;
            }
            spread += sqrt(between);
        }
    }
    error = over_lanes(error, partial, 1);
    spread = over_lanes(spread, partial, 1);
    const Real pairs = static_cast<Real>(count) * static_cast<Real>(fair && count > 1 ? count - 1 : count);
    if (threadIdx.x == 0) score[at] = error / count - spread / pairs + (error - error);  // NaN, not infinite
}

#define REGISTERS(name, Stored, Real, size)                                                                            \
    extern "C" __global__ void __launch_bounds__(128) registers_##name##_##size(                                      \
        const Stored *forecast, const Stored *observed, const long long *below, const Real *share,                    \
        const Real *level, Real *crps, Real *loss, long long members, long long cases, long long levels,              \
        long long fair) {                                                                                              \
        scores_in_registers<Stored, Real, size>(forecast, observed, below, share, level, crps, loss, members, cases,  \
                                                levels, fair);                                                         \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128) gradient_##name##_##size(                                       \
        const Stored *forecast, const Stored *observed, const Real *outer, Real *gradient, long long members,         \
        long long cases, long long fair) {                                                                             \
        gradient_in_registers<Stored, Real, size>(forecast, observed, outer, gradient, members, cases, fair);         \
    }

// 16-bit members are widened before: kernels of their own would double the time that compiling takes.
#define KERNELS(name, Stored, Real)                                                                                    \
    REGISTERS(name, Stored, Real, 1)                                                                                   \
    REGISTERS(name, Stored, Real, 2)                                                                                   \
    REGISTERS(name, Stored, Real, 4)                                                                                   \
    REGISTERS(name, Stored, Real, 8)                                                                                   \
    REGISTERS(name, Stored, Real, 16)                                                                                  \
    REGISTERS(name, Stored, Real, 32)                                                                                  \
    REGISTERS(name, Stored, Real, 64)                                                                                  \
    extern "C" __global__ void block_##name(const Stored *forecast, const Stored *observed, const long long *below,   \
                                            const Real *share, const Real *level, Real *crps, Real *loss,             \
                                            long long members, long long cases, long long levels, long long fair,     \
                                            long long size) {                                                          \
        scores_in_block<Stored, Real>(forecast, observed, below, share, level, crps, loss, members, cases, levels,    \
                                      fair, size);                                                                     \
    }                                                                                                                  \
    extern "C" __global__ void energy_##name(const Stored *forecast, const Stored *observed, Real *score,             \
                                             long long members, long long cases, long long channels,                  \
                                             long long fair) {                                                         \
        energy_of_case<Stored, Real>(forecast, observed, score, members, cases, channels, fair);                      \
    }

KERNELS(float32, float, float)
KERNELS(float64, double, double)
