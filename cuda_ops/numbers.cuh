// Storage types of the kernels, read and written as float. No toolkit header is needed, so that NVRTC compiles
// this alone; the branch without __CUDA_ARCH__ lets the tests run kernels on a processor.
#pragma once

// Dynamic shared memory of the block: `SHARED_MEMORY(float, cell);`
#ifdef __CUDACC__
#define SHARED_MEMORY(type, name) extern __shared__ type name[]
#else
#define SHARED_MEMORY(type, name) type *name = reinterpret_cast<type *>(shared_memory)
#endif

struct bfloat16 {
    unsigned short bits;
};

struct float16 {
    unsigned short bits;
};

__device__ inline float as_float(float value) { return value; }

__device__ inline double as_float(double value) { return value; }

__device__ inline float as_float(bfloat16 value) {
    union {
        unsigned int bits;
        float number;
    } word;
    word.bits = static_cast<unsigned int>(value.bits) << 16;
    return word.number;
}

__device__ inline float as_float(float16 value) {
#ifdef __CUDA_ARCH__
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(value.bits));
    return number;
#else
    union {
        unsigned short bits;
        _Float16 number;
    } word;
    word.bits = value.bits;
    return static_cast<float>(word.number);
#endif
}

__device__ inline void store(float *target, float value) { *target = value; }

__device__ inline void store(double *target, double value) { *target = value; }

// Rounds to the nearest, ties to even; a NaN stays one.
__device__ inline void store(bfloat16 *target, float value) {
    union {
        float number;
        unsigned int bits;
    } word;
    word.number = value;
    if (value != value) {
        target->bits = 0x7fc0;
    } else {
        target->bits = static_cast<unsigned short>((word.bits + 0x7fff + ((word.bits >> 16) & 1)) >> 16);
    }
}

__device__ inline void store(float16 *target, float value) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(target->bits) : "f"(value));
#else
    union {
        _Float16 number;
        unsigned short bits;
    } word;
    word.number = static_cast<_Float16>(value);
    target->bits = word.bits;
#endif
}
