// What the tests of memory share: mapping, touching to see what happens, and
// contents that can be told apart. Include it after check.h.
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../c/sys.h"

#define PAGE 4096L
#define MIB (1L << 20)
#define NONE PROT_NONE
#define RD PROT_READ
#define RW (PROT_READ | PROT_WRITE)
#define RX (PROT_READ | PROT_EXEC)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED (MAP_SHARED | MAP_ANONYMOUS)
// The first address that is not the user's.
#define USER_END 0x7ffffffff000L

// What happened at a touch: 0 for nothing, SEGV_MAPERR, SEGV_ACCERR, or BUS and its code.
enum { BUS = 100 };
enum touch { READ, WRITE, EXEC };

static sigjmp_buf touched;
static volatile int touching;
static void *volatile fault_address;

__attribute__((unused)) static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    fault_address = info->si_addr;
    if (!touching) {
        printf("FAIL unexpected fault at %p\n", info->si_addr);
        _exit(4);
    }
    siglongjmp(touched, info->si_code + (signal == SIGBUS ? BUS : 0));
}

__attribute__((unused)) static void catch_faults(int flags)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

// Reads a byte, adds 0 to one, or calls the code there. The faults must be caught.
__attribute__((unused, noinline)) static int touch(const volatile void *at, enum touch how)
{
    int code = sigsetjmp(touched, 1);
    touching = !code;
    if (code)
        return code;
    switch (how) {
    case READ: __asm__ volatile("movb (%0), %%al" ::"r"(at) : "rax", "memory"); break;
    case WRITE: __asm__ volatile("lock addb $0, (%0)" ::"r"(at) : "memory"); break;
    case EXEC: __asm__ volatile("call *%0" ::"r"(at) : "memory"); break;
    }
    touching = 0;
    return 0;
}

// `touch` must end with `expected`, and a fault must name its address.
__attribute__((unused)) static void check_touch(const char *name, const volatile void *at,
                                                enum touch how, int expected)
{
    fault_address = (void *)at;
    int code = touch(at, how);
    check(code == expected && fault_address == at, name, "ended with %d at %p, not %d at %p", code,
          fault_address, expected, (void *)at);
}

__attribute__((unused)) static char *map_at(void *at, long len, int protection, int flags)
{
    long got = SYS(SYS_mmap, at, len, protection, flags, -1, 0);
    if (got < 0 && got > -4096) {
        printf("FAIL mmap(%p, %ld) = %ld\n", at, len, got);
        exit(3);
    }
    return (char *)got;
}

__attribute__((unused)) static char *map(long len, int protection, int flags)
{
    return map_at(NULL, len, protection, flags);
}

// Free addresses: nothing is mapped there, and nothing comes there by itself for now.
__attribute__((unused)) static char *hole(long len)
{
    char *at = map(len, NONE, ANON | MAP_NORESERVE);
    SYS(SYS_munmap, at, len);
    return at;
}

// Whether it is an error that a system call returned.
__attribute__((unused)) static int is_error(const void *result)
{
    return (long)result < 0 && (long)result > -4096;
}

static inline uint64_t word(int seed, long page)
{
    return (uint64_t)(page + 1) * 0x9e3779b97f4a7c15u + (uint64_t)seed;
}

// Writes two words into each page, at its start and its end.
__attribute__((unused)) static void fill(char *at, long len, int seed)
{
    for (long page = 0; page < len / PAGE; page++) {
        *(volatile uint64_t *)(at + page * PAGE) = word(seed, page);
        *(volatile uint64_t *)(at + page * PAGE + PAGE - 8) = ~word(seed, page);
    }
}

// Whether the pages from `first` on of what was filled are here.
__attribute__((unused)) static int holds_from(const char *at, long len, int seed, long first)
{
    for (long page = 0; page < len / PAGE; page++)
        if (*(volatile uint64_t *)(at + page * PAGE) != word(seed, first + page) ||
            *(volatile uint64_t *)(at + page * PAGE + PAGE - 8) != ~word(seed, first + page))
            return 0;
    return 1;
}

__attribute__((unused)) static int holds(const char *at, long len, int seed)
{
    return holds_from(at, len, seed, 0);
}

__attribute__((unused)) static int is_zero(const char *at, long len)
{
    for (long i = 0; i < len; i += 8)
        if (*(const volatile uint64_t *)(at + i))
            return 0;
    return 1;
}

// Whether pages have frames, as mincore(2) says; -1 on an error.
__attribute__((unused)) static int resident(char *at)
{
    unsigned char state = 0;
    return SYS(SYS_mincore, at, PAGE, &state) ? -1 : state & 1;
}
