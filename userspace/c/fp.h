// What fp.c and fp_loop.S share: constants, and the state that the loop works on.
#pragma once

#define FP_ROUNDS_PER_CHUNK 20000 // between two looks at the clock

// Offsets in struct fp_state, bytes; fp.c asserts them.
#define FP_X87 0
#define FP_VECTOR 64
#define FP_ROUNDS 576
#define FP_NOW 584
#define FP_DEADLINE 600
#define FP_MXCSR 616
#define FP_FCW 620

#ifndef __ASSEMBLER__
#include <stdint.h>
#include <time.h>

struct fp_state {
    double x87[8];                // st(0), the step, and st(1) to st(7)
    double vector[16][4];         // 15 vector registers and, last, the step
    uint64_t rounds;              // out: how often the step was added
    struct timespec now;          // scratch: the clock
    struct timespec deadline;     // when to stop
    uint32_t mxcsr;               // control words: loaded, and stored at the end
    uint16_t fcw;
} __attribute__((aligned(32)));

// Adds the step to each accumulator until the deadline. SSE uses the first two
// numbers of each vector, AVX all four.
void fp_run_sse(struct fp_state *state);
void fp_run_avx(struct fp_state *state);
#endif
