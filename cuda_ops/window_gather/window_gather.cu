// Windows of a table (row, channel), cut by their first row into a context and a target.
//
// `runs_*` moves whole windows as runs of memory, in the widest unit that rows and addresses allow. `rows_*` and
// `numbers_*` take one block per (window, tile of channels): the threads of a block lie along the channels first,
// so that neighbours read neighbours, and each channel has `lanes` threads over time. Sums over time are taken in
// a fixed order: the same bits in each run. A window with a wrong start reads nothing and comes out as zeros.
#include "numbers.cuh"

struct alignas(16) Unit16 {
    unsigned long long low, high;
};

struct Window {
    long long begin, origin, first, end;
    bool legal;
};

template <typename Unit>
__device__ void copy_run(const Unit *__restrict__ series, const long long *__restrict__ start,
                         Unit *__restrict__ context, Unit *__restrict__ target, long long rows, long long row_units,
                         long long context_steps, long long horizon) {
    const long long window = blockIdx.x, begin = start[window];
    const bool legal = begin >= 0 && begin + context_steps + horizon <= rows;
    const long long before = context_steps * row_units, after = horizon * row_units;
    const Unit *source = series + (legal ? begin : 0) * row_units;
    Unit *into_context = context + window * before, *into_target = target + window * after - before;
    const long long stride = static_cast<long long>(gridDim.y) * blockDim.x;
#pragma unroll 4
    for (long long unit = static_cast<long long>(blockIdx.y) * blockDim.x + threadIdx.x; unit < before + after;
         unit += stride) {
        const Unit value = legal ? source[unit] : Unit{};
        (unit < before ? into_context : into_target)[unit] = value;
    }
}

__device__ Window window_at(long long window, const long long *start, const long long *bounds,
                            const long long *owner, long long owners, long long rows, long long context_steps,
                            long long horizon, bool repeat) {
    Window found;
    found.begin = start[window];
    found.origin = found.begin + context_steps;
    found.first = 0;
    found.end = rows;
    bool known = true;
    if (bounds != nullptr) {
        const long long series = owner[window];
        known = series >= 0 && series < owners;
        found.first = known ? bounds[2 * series] : 0;
        found.end = known ? bounds[2 * series + 1] : 0;
        known = known && found.first >= 0 && found.end <= rows;
    }
    const bool begins = bounds != nullptr ? found.origin >= found.first : found.begin >= 0;
    const bool ends = repeat ? found.origin <= found.end && (horizon == 0 || found.end > found.first)
                             : found.origin + horizon <= found.end;
    found.legal = known && begins && ends;
    return found;
}

__device__ inline double as_number(unsigned char value) { return value; }
__device__ inline double as_number(short value) { return value; }
template <typename Stored> __device__ inline auto as_number(Stored value) { return as_float(value); }

// A product and a sum, each rounded, as torch computes them: no fused multiply-add.
__device__ inline double scaled(double value, double factor, double shift) {
#ifdef __CUDA_ARCH__
    return __dadd_rn(__dmul_rn(value, factor), shift);
#else
    const volatile double product = value * factor;
    return product + shift;
#endif
}

// Sum over the threads of a channel, the same for each of them; every thread of the block takes part.
template <typename Real> __device__ Real over_lanes(Real value, Real *partial, int tile, int lanes) {
    const int thread = threadIdx.x, lane = thread / tile;
    partial[thread] = value;
    __syncthreads();
    for (int count = lanes; count > 1;) {
        const int half = (count + 1) / 2;
        if (lane + half < count) partial[thread] += partial[thread + half * tile];
        __syncthreads();
        count = half;
    }
    const Real sum = partial[thread % tile];
    __syncthreads();
    return sum;
}

template <typename Stored>
__device__ void copy_rows(const Stored *__restrict__ series, const long long *start, const long long *channels,
                          const long long *bounds, const long long *owner, Stored *__restrict__ context,
                          Stored *__restrict__ target, unsigned char *context_mask, unsigned char *target_mask,
                          long long rows, long long columns, long long chosen, long long owners,
                          long long context_steps, long long horizon, long long repeat, long long tile) {
    const long long window = blockIdx.x, channel = blockIdx.y * tile + threadIdx.x % tile;
    const long long lane = threadIdx.x / tile, lanes = blockDim.x / tile;
    const Window at = window_at(window, start, bounds, owner, owners, rows, context_steps, horizon, repeat != 0);
    const bool marks = context_mask != nullptr && blockIdx.y == 0 && threadIdx.x % tile == 0;
    const bool used = channel < chosen;
    const long long column = used && channels != nullptr ? channels[channel] : channel;
    for (long long step = lane; step < context_steps; step += lanes) {
        const long long row = at.begin + step;
        const bool own = at.legal && row >= at.first;
        if (marks) context_mask[window * context_steps + step] = own;
        if (used) context[(window * context_steps + step) * chosen + channel] = own ? series[row * columns + column] : Stored{};
    }
    for (long long step = lane; step < horizon; step += lanes) {
        const long long row = at.origin + step;
        if (marks) target_mask[window * horizon + step] = at.legal && row < at.end;
        if (used)
            target[(window * horizon + step) * chosen + channel] =
                at.legal ? series[(row < at.end ? row : at.end - 1) * columns + column] : Stored{};
    }
}

template <typename Stored, typename Real, typename Out>
__device__ void gather_numbers(const Stored *__restrict__ series, const long long *start, const long long *channels,
                               const long long *bounds, const long long *owner, const double *scale,
                               const double *offset, Out *__restrict__ context, Out *__restrict__ target,
                               unsigned char *context_mask, unsigned char *target_mask, Out *mean_out,
                               Out *deviation_out, long long rows, long long columns, long long chosen,
                               long long owners, long long context_steps, long long horizon, long long repeat,
                               long long tile, long long held, long long epsilon_bits) {
    SHARED_MEMORY(double, memory);
    Real *partial = reinterpret_cast<Real *>(memory), *cell = partial + blockDim.x;
    const long long window = blockIdx.x, channel = blockIdx.y * tile + threadIdx.x % tile;
    const long long lane = threadIdx.x / tile, lanes = blockDim.x / tile;
    const Window at = window_at(window, start, bounds, owner, owners, rows, context_steps, horizon, repeat != 0);
    const bool marks = context_mask != nullptr && blockIdx.y == 0 && threadIdx.x % tile == 0;
    const bool used = channel < chosen;
    const long long column = used ? (channels != nullptr ? channels[channel] : channel) : 0;
    const double factor = scale != nullptr ? scale[column] : 1.0, shift = scale != nullptr ? offset[column] : 0.0;
    const auto value = [&](long long row) -> Real {
        const auto stored = as_number(series[row * columns + column]);
        return static_cast<Real>(scale != nullptr ? scaled(stored, factor, shift) : stored);
    };
    const auto own = [&](long long row) { return at.legal && used && row >= at.first; };

    Real mean = 0, deviation = 1;
    if (mean_out != nullptr) {
        const long long padding = at.first > at.begin ? at.first - at.begin : 0;
        const Real count = static_cast<Real>(context_steps > padding ? context_steps - padding : 1);
        Real sum = 0;
        for (long long step = lane; step < context_steps; step += lanes) {
            const Real number = own(at.begin + step) ? value(at.begin + step) : Real{};
            if (held) cell[step * tile + threadIdx.x % tile] = number;
            sum += number;
        }
        mean = over_lanes(sum, partial, tile, lanes) / count;
        Real squares = 0;
        for (long long step = lane; step < context_steps; step += lanes) {
            if (!own(at.begin + step)) continue;
            const Real number = held ? cell[step * tile + threadIdx.x % tile] : value(at.begin + step);
            squares += (number - mean) * (number - mean);
        }
        const union {
            long long bits;
            double number;
        } epsilon = {epsilon_bits};
        deviation = sqrt(over_lanes(squares, partial, tile, lanes) / count + static_cast<Real>(epsilon.number));
        if (used && lane == 0) {
            mean_out[window * chosen + channel] = static_cast<Out>(at.legal ? mean : Real{});
            deviation_out[window * chosen + channel] = static_cast<Out>(at.legal ? deviation : Real{});
        }
    }
    const bool normalised = mean_out != nullptr;
    for (long long step = lane; step < context_steps; step += lanes) {
        const long long row = at.begin + step;
        if (marks) context_mask[window * context_steps + step] = at.legal && row >= at.first;
        if (!used) continue;
        Real number = 0;
        if (own(row)) {
            number = normalised && held ? cell[step * tile + threadIdx.x % tile] : value(row);
            if (normalised) number = (number - mean) / deviation;
        }
        context[(window * context_steps + step) * chosen + channel] = static_cast<Out>(number);
    }
    for (long long step = lane; step < horizon; step += lanes) {
        const long long row = at.origin + step;
        if (marks) target_mask[window * horizon + step] = at.legal && row < at.end;
        if (!used) continue;
        Real number = 0;
        if (at.legal) {
            number = value(row < at.end ? row : at.end - 1);
            if (normalised) number = (number - mean) / deviation;
        }
        target[(window * horizon + step) * chosen + channel] = static_cast<Out>(number);
    }
}

#define RUNS(bits, Unit)                                                                                               \
    extern "C" __global__ void runs_##bits(const Unit *series, const long long *start, Unit *context, Unit *target,   \
                                           long long rows, long long row_units, long long context_steps,              \
                                           long long horizon) {                                                       \
        copy_run(series, start, context, target, rows, row_units, context_steps, horizon);                            \
    }

#define ROWS(bits, Stored)                                                                                             \
    extern "C" __global__ void rows_##bits(                                                                            \
        const Stored *series, const long long *start, const long long *channels, const long long *bounds,             \
        const long long *owner, Stored *context, Stored *target, unsigned char *context_mask,                         \
        unsigned char *target_mask, long long rows, long long columns, long long chosen, long long owners,            \
        long long context_steps, long long horizon, long long repeat, long long tile) {                               \
        copy_rows(series, start, channels, bounds, owner, context, target, context_mask, target_mask, rows, columns,  \
                  chosen, owners, context_steps, horizon, repeat, tile);                                              \
    }

#define NUMBERS(name, Stored, Real, Out)                                                                               \
    extern "C" __global__ void numbers_##name(                                                                         \
        const Stored *series, const long long *start, const long long *channels, const long long *bounds,             \
        const long long *owner, const double *scale, const double *offset, Out *context, Out *target,                 \
        unsigned char *context_mask, unsigned char *target_mask, Out *mean, Out *deviation, long long rows,           \
        long long columns, long long chosen, long long owners, long long context_steps, long long horizon,            \
        long long repeat, long long tile, long long held, long long epsilon_bits) {                                   \
        gather_numbers<Stored, Real, Out>(series, start, channels, bounds, owner, scale, offset, context, target,     \
                                          context_mask, target_mask, mean, deviation, rows, columns, chosen, owners,  \
                                          context_steps, horizon, repeat, tile, held, epsilon_bits);                  \
    }

RUNS(8, unsigned char)
RUNS(16, unsigned short)
RUNS(32, unsigned int)
RUNS(64, unsigned long long)
RUNS(128, Unit16)
ROWS(8, unsigned char)
ROWS(16, unsigned short)
ROWS(32, unsigned int)
ROWS(64, unsigned long long)
NUMBERS(uint8, unsigned char, double, float)
NUMBERS(int16, short, double, float)
NUMBERS(float16, float16, float, float)
NUMBERS(bfloat16, bfloat16, float, float)
NUMBERS(float32, float, float, float)
NUMBERS(float64, double, double, double)
