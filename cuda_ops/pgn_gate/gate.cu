// The gate of a parallel gated network: s h + (1 - s) t, (s, t) = (sigmoid, tanh) of one linear map of (x, h).
//
// Layouts, row-major: present (channel, inputs, columns), history (channel, width, columns), weight
// (channel, 2 width, inputs + width), bias (channel, 2 width). A block computes 32 features of both halves for 64
// columns of a channel: products in tiles of 16 in shared memory, summed in float32 in a fixed order; what follows
// is done in registers. Grid: (column tiles x channels, feature tiles), 256 threads.
#include "numbers.cuh"

constexpr int FEATURES = 32;
constexpr int COLUMNS = 64;
constexpr int DEPTH = 16;
constexpr int THREADS = 256;
constexpr int ACROSS = 16;                           // threads along the columns of a tile
constexpr int DOWN = THREADS / ACROSS;               // and along its features
constexpr int OWN_COLUMNS = COLUMNS / ACROSS;        // of a thread
constexpr int OWN_FEATURES = FEATURES / DOWN;

struct Gates {
    float before[2][OWN_FEATURES][OWN_COLUMNS];  // of the sigmoid, of the tanh
};

struct Tile {
    long long channel, first_column, first_feature;
};

__device__ inline Tile tile_of_block(long long columns) {
    const long long tiles = (columns + COLUMNS - 1) / COLUMNS;
    const long long tile = blockIdx.x;
    return {tile / tiles, tile % tiles * COLUMNS, static_cast<long long>(blockIdx.y) * FEATURES};
}

template <typename T>
__device__ inline Gates linear(const T *present, const T *history, const T *weight, const T *bias, Tile tile,
                               long long inputs, long long width, long long columns) {
    __shared__ float matrix[2][FEATURES][DEPTH + 1];
    __shared__ float input[DEPTH][COLUMNS];
    const int across = threadIdx.x % ACROSS, down = threadIdx.x / ACROSS;
    const long long depth = inputs + width;
    Gates sums = {};
    for (long long start = 0; start < depth; start += DEPTH) {
        for (int place = threadIdx.x; place < 2 * FEATURES * DEPTH; place += THREADS) {
            const int half = place / (FEATURES * DEPTH), feature = place / DEPTH % FEATURES, k = place % DEPTH;
            const long long row = tile.first_feature + feature, at = start + k;
            const bool inside = row < width && at < depth;
            const long long offset = ((tile.channel * 2 + half) * width + row) * depth + at;
            matrix[half][feature][k] = inside ? as_float(weight[offset]) : 0.0f;
        }
        for (int place = threadIdx.x; place < DEPTH * COLUMNS; place += THREADS) {
            const long long at = start + place / COLUMNS, column = tile.first_column + place % COLUMNS;
            float value = 0.0f;
            if (column < columns && at < inputs) {
                value = as_float(present[(tile.channel * inputs + at) * columns + column]);
            } else if (column < columns && at < depth) {
                value = as_float(history[(tile.channel * width + at - inputs) * columns + column]);
            }
            input[place / COLUMNS][place % COLUMNS] = value;
        }
        __syncthreads();
        for (int k = 0; k < DEPTH; ++k) {
            for (int half = 0; half < 2; ++half) {
                for (int i = 0; i < OWN_FEATURES; ++i) {
                    const float factor = matrix[half][down + i * DOWN][k];
                    for (int j = 0; j < OWN_COLUMNS; ++j) {
                        sums.before[half][i][j] += factor * input[k][across + j * ACROSS];
                    }
                }
            }
        }
        __syncthreads();
    }
    for (int half = 0; half < 2; ++half) {
        for (int i = 0; i < OWN_FEATURES; ++i) {
            const long long row = tile.first_feature + down + i * DOWN;
            const float added = row < width ? as_float(bias[(tile.channel * 2 + half) * width + row]) : 0.0f;
            for (int j = 0; j < OWN_COLUMNS; ++j) sums.before[half][i][j] += added;
        }
    }
    return sums;
}

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

template <typename T>
__device__ inline void forward(const T *present, const T *history, const T *weight, const T *bias, T *out,
                               long long inputs, long long width, long long columns) {
    const Tile tile = tile_of_block(columns);
    const Gates gates = linear(present, history, weight, bias, tile, inputs, width, columns);
    for (int i = 0; i < OWN_FEATURES; ++i) {
        const long long feature = tile.first_feature + threadIdx.x / ACROSS + i * DOWN;
        for (int j = 0; j < OWN_COLUMNS; ++j) {
            const long long column = tile.first_column + threadIdx.x % ACROSS + j * ACROSS;
            if (feature >= width || column >= columns) continue;
            const long long at = (tile.channel * width + feature) * columns + column;
            const float share = sigmoid(gates.before[0][i][j]), fresh = tanhf(gates.before[1][i][j]);
            store(out + at, fresh + share * (as_float(history[at]) - fresh));
        }
    }
}

// Gradient of both halves before sigmoid and tanh, (channel, 2 width, columns), and gradient x s, which is the part
// of history's gradient that does not pass through the linear map. s and t are computed again.
template <typename T>
__device__ inline void backward(const T *gradient, const T *present, const T *history, const T *weight,
                                const T *bias, T *of_linear, T *direct, long long inputs, long long width,
                                long long columns) {
    const Tile tile = tile_of_block(columns);
    const Gates gates = linear(present, history, weight, bias, tile, inputs, width, columns);
    for (int i = 0; i < OWN_FEATURES; ++i) {
        const long long feature = tile.first_feature + threadIdx.x / ACROSS + i * DOWN;
        for (int j = 0; j < OWN_COLUMNS; ++j) {
            const long long column = tile.first_column + threadIdx.x % ACROSS + j * ACROSS;
            if (feature >= width || column >= columns) continue;
            const long long at = (tile.channel * width + feature) * columns + column;
            const long long first = (tile.channel * 2 * width + feature) * columns + column;
            const float share = sigmoid(gates.before[0][i][j]), fresh = tanhf(gates.before[1][i][j]);
            const float arriving = as_float(gradient[at]);
            const float mixed = arriving * (as_float(history[at]) - fresh);
            store(of_linear + first, mixed * share * (1.0f - share));
            store(of_linear + first + width * columns, arriving * (1.0f - share) * (1.0f - fresh * fresh));
            store(direct + at, arriving * share);
        }
    }
}

#define KERNELS(name, type)                                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS) gate_forward_##name(                                  \
        const type *present, const type *history, const type *weight, const type *bias, type *out,              \
        long long inputs, long long width, long long columns) {                                                 \
        forward(present, history, weight, bias, out, inputs, width, columns);                                   \
    }                                                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS) gate_backward_##name(                                 \
        const type *gradient, const type *present, const type *history, const type *weight, const type *bias,   \
        type *of_linear, type *direct, long long inputs, long long width, long long columns) {                  \
        backward(gradient, present, history, weight, bias, of_linear, direct, inputs, width, columns);          \
    }

KERNELS(float32, float)
KERNELS(bfloat16, bfloat16)
KERNELS(float16, float16)
