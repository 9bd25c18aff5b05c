// chaos: runs random machine code, one instruction at a time.
//
// What it proves: no instruction of a user program, with whatever operands, does the
// kernel harm: it is a signal or it is done. The code comes from a fixed generator, whose
// seed is the second argument plus the process number: `chaos ROUNDS [SEED]`. Each round is
// a page of code; the trap flag ends it after some instructions, a fault earlier. There
// are no system calls in it: fuzz makes those.

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "sys.h"

enum { PAGE = 4096, STEPS = 60, TRAP_FLAG = 0x100 };

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static sigjmp_buf back;
static volatile int steps;
static uint64_t thread_pointer;

static void stop(void)
{
    // What the code may have changed and this program needs.
    SYS(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */, thread_pointer);
    siglongjmp(back, 1);
}

static void step(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    (void)info;
    if (signal != SIGTRAP || ++steps > STEPS)
        stop();
    user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG; // unless `popf` had cleared it
}

// The instructions that lead into the kernel on purpose become no-operations.
static void disarm(unsigned char *code, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (code[i] == 0xf0) // QEMU 7.2 aborts at some locked instructions
            code[i] = 0x90;
        int call = (code[i] == 0x0f && (code[i + 1] == 0x05 || code[i + 1] == 0x34)) ||
                   (code[i] == 0xcd && code[i + 1] == 0x80);
        if (call)
            code[i] = code[i + 1] = 0x90;
    }
}

static void fill(unsigned char *code)
{
    // Prefixes, two-byte opcodes, system instructions, segment loads and far branches come
    // more often than chance has them.
    static const unsigned char often[] = {
        0x0f, 0x0f, 0x0f, 0x01, 0x00, 0x20, 0x22, 0x30, 0x32, 0xae, 0xc7, 0x66, 0xf2, 0xf3,
        0x48, 0x8e, 0xff, 0xca, 0xcb, 0xcc, 0xcf, 0xf4, 0xfa, 0xfb, 0x9d, 0xdb,
    };
    for (int i = 0; i < PAGE; i++)
        code[i] = (unsigned char)(next() % 3 ? next() : often[next() % sizeof often]);
    disarm(code, PAGE);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        printf("usage: chaos ROUNDS [SEED]\n");
        return 2;
    }
    volatile long rounds = atol(argv[1]);
    state = 0x9e3779b97f4a7c15 * (uint64_t)(SYS(SYS_getpid) + (argc > 2 ? atol(argv[2]) : 0) + 1);
    SYS(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &thread_pointer);
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);

    // Code, data and stack of the rounds, apart from this program's own.
    unsigned char *code = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        return 1;
    for (volatile long round = 0; round < rounds; round++) {
        fill(code);
        steps = 0;
        if (sigsetjmp(back, 1))
            continue;
        uint64_t data = (uint64_t)code + 2 * PAGE, sp = (uint64_t)code + 4 * PAGE - 64;
        __asm__ volatile("mov %1, %%rsp\n\tpush %0\n\tpush $0x302\n\tpopf\n\t"
                         "mov %2, %%rax\n\tmov %%rax, %%rbx\n\tmov $3, %%ecx\n\tmov %%rax, %%rdx\n\t"
                         "mov %%rax, %%rsi\n\tmov %%rax, %%rdi\n\tmov %%rax, %%rbp\n\tret"
                         ::"r"(code), "r"(sp), "r"(data)
                         : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "memory", "cc");
        __builtin_unreachable();
    }
    static const char done[] = "chaos: done\n";
    SYS(SYS_write, 1, done, sizeof done - 1);
    SYS(SYS_exit_group, 0);
    return 1;
}
