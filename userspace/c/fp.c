// fp [SEED]: floating-point arithmetic whose numbers stay in registers.
//
// What it proves: the kernel keeps each task's x87, SSE and (where CPUID and XCR0
// say that it may be used) AVX registers and control words, when the timer switches
// tasks and when a system call is made. Two instances side by side, with different
// seeds (the process id, if none is given), must both get the right numbers.
//
// The loops (fp_loop.S) add a step to accumulators that start at different values.
// All are integers below 2^53, so every sum is exact whatever the rounding mode, and
// the result has a closed form: start + step * rounds.

#include <cpuid.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "fp.h"

_Static_assert(offsetof(struct fp_state, x87) == FP_X87, "x87");
_Static_assert(offsetof(struct fp_state, vector) == FP_VECTOR, "vector");
_Static_assert(offsetof(struct fp_state, rounds) == FP_ROUNDS, "rounds");
_Static_assert(offsetof(struct fp_state, now) == FP_NOW, "now");
_Static_assert(offsetof(struct fp_state, deadline) == FP_DEADLINE, "deadline");
_Static_assert(offsetof(struct fp_state, mxcsr) == FP_MXCSR, "mxcsr");
_Static_assert(offsetof(struct fp_state, fcw) == FP_FCW, "fcw");

enum { RUN_MS = 200, SEEDS = 1 << 22 };

// Control words as the System V ABI has them at the start of a program.
enum { INITIAL_MXCSR = 0x1f80, INITIAL_FCW = 0x37f };
enum { MXCSR_ROUNDING = 13, FCW_ROUNDING = 10, MXCSR_FLAGS = 0x3f };

static int avx_usable(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
        return 0;
    unsigned xcr0, high;
    __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    return (xcr0 & 6) == 6;
}

// Runs a loop of that many numbers per vector and checks every register.
static void run(const char *name, void (*loop)(struct fp_state *), int lanes, unsigned seed)
{
    static struct fp_state state;
    double step = seed % 1000 + 1;
    state.x87[0] = step;
    for (int i = 1; i < 8; i++)
        state.x87[i] = seed + i;
    for (int reg = 0; reg < 16; reg++)
        for (int lane = 0; lane < 4; lane++)
            state.vector[reg][lane] = reg == 15 ? step + lane : seed * 8.0 + reg * 4 + lane;
    // A rounding mode of its own for each seed, not the same in both units.
    uint32_t mxcsr = INITIAL_MXCSR | (seed & 3) << MXCSR_ROUNDING;
    uint16_t fcw = (uint16_t)(INITIAL_FCW | (~seed & 3) << FCW_ROUNDING);
    state.mxcsr = mxcsr;
    state.fcw = fcw;
    clock_gettime(CLOCK_MONOTONIC, &state.deadline);
    state.deadline.tv_nsec += RUN_MS * 1000000;
    if (state.deadline.tv_nsec >= 1000000000) {
        state.deadline.tv_sec++;
        state.deadline.tv_nsec -= 1000000000;
    }
    loop(&state);

    double rounds = (double)state.rounds;
    int wrong = state.x87[0] != step;
    for (int i = 1; i < 8; i++)
        wrong += state.x87[i] != seed + i + step * rounds;
    check(state.rounds > 0 && !wrong, "x87", "%d of 8 registers wrong", wrong);
    wrong = 0;
    for (int reg = 0; reg < 16; reg++)
        for (int lane = 0; lane < lanes; lane++) {
            double add = step + lane;
            double expected = reg == 15 ? add : seed * 8.0 + reg * 4 + lane + add * rounds;
            wrong += state.vector[reg][lane] != expected;
        }
    check(!wrong, name, "%d of %d numbers wrong", wrong, 16 * lanes);
    check((state.mxcsr & ~MXCSR_FLAGS) == mxcsr, "mxcsr", "%#x, not %#x", state.mxcsr, mxcsr);
    check(state.fcw == fcw, "fcw", "%#x, not %#x", state.fcw, fcw);
}

// pi = 16 atan(1/5) - 4 atan(1/239), summed in the precision of the type.
#define MACHIN(type, name)                                                       \
    static type name(void)                                                       \
    {                                                                            \
        type sum = 0, fifth = (type)16 / 5, other = (type)4 / 239;               \
        for (int odd = 1; odd < 60; odd += 2) {                                  \
            type term = fifth / odd - other / odd;                               \
            sum += odd % 4 == 1 ? term : -term;                                  \
            fifth /= 25;                                                         \
            other /= 239 * 239;                                                  \
        }                                                                        \
        return sum;                                                              \
    }
MACHIN(double, machin_sse)
MACHIN(long double, machin_x87)

static void check_pi(void)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.14f", machin_sse());
    check(!strcmp(digits, "3.14159265358979"), "pi-double", "%s", digits);
    snprintf(digits, sizeof digits, "%.17Lf", machin_x87());
    check(!strcmp(digits, "3.14159265358979324"), "pi-long-double", "%s", digits);
}

int main(int argc, char **argv)
{
    uint32_t mxcsr;
    uint16_t fcw;
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr), "=m"(fcw));
    check(mxcsr == INITIAL_MXCSR, "initial-mxcsr", "%#x", mxcsr);
    check(fcw == INITIAL_FCW, "initial-fcw", "%#x", fcw);

    unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : (unsigned)getpid();
    seed %= SEEDS;
    check_pi();
    run("sse", fp_run_sse, 2, seed);
    if (avx_usable())
        run("avx", fp_run_avx, 4, seed);
    else
        printf("no avx here\n");
    check_pi();
    return summary();
}
