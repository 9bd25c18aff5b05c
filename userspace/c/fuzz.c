// fuzz: calls random system calls with odd arguments.
//
// What it proves: whatever a program asks for, the kernel answers or kills the program,
// and goes on. The calls and arguments come from a fixed generator, whose seed is the
// second argument plus the process number: `fuzz CALLS [SEED]`.
//
// Nothing here may harm the machine that it is tried on: no path that exists is opened
// for writing but this program's own, no signal goes to others, no call sleeps.

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "sys.h"

enum { PAGE = 4096, ARENA_PAGES = 64 };

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

#define PICK(array) ((array)[next() % (sizeof(array) / sizeof((array)[0]))])

static char *arena; // what the calls may read, write, map and unmap

// An address: mostly a bad one.
static uint64_t pointer(void)
{
    static const uint64_t edges[] = {
        0, 1, 8, 0xfff, 0x1000, 0xffff, 0x10000, 0x7fffffffe000, 0x7fffffffeff8, 0x7fffffffefff,
        0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000,
        0xffffc00000000000, 0xffffffff80000000, -1UL, -8UL, -4096UL,
    };
    uint64_t page = (uint64_t)arena + next() % ARENA_PAGES * PAGE;
    switch (next() % 5) {
    case 0: return PICK(edges);
    case 1: return page;
    case 2: return page + next() % PAGE;
    case 3: return page + PAGE - next() % 32;
    default: return (uint64_t)&pointer; // may be read but not written
    }
}

// A page that may go away: not one of the program's own.
static uint64_t place(void)
{
    uint64_t page = pointer() & -4096UL;
    int own = page < (uint64_t)arena || (page >= (uint64_t)arena + ARENA_PAGES * PAGE && page >> 47 == 0);
    return own ? (uint64_t)arena + next() % ARENA_PAGES * PAGE : page;
}

static uint64_t number(void)
{
    static const uint64_t edges[] = {
        0, 1, 2, 3, 4, 7, 8, 16, 24, 31, 32, 64, 127, 1023, 1024, 1025, PAGE - 1, PAGE, PAGE + 1,
        2 * PAGE, 65536, 1 << 20, 1U << 31, 0xffffffff, 1UL << 32, 1UL << 40, 1UL << 46,
        1UL << 47, 1UL << 62, 1UL << 63, (1UL << 63) - 1, -1UL, -2UL, -4095UL, -4096UL, -8192UL,
    };
    switch (next() % 4) {
    case 0: return next();
    case 1: return next() % 256;
    default: return PICK(edges);
    }
}

static uint64_t flags(void) { return next() & next() & (next() % 2 ? 0xff : -1UL); }
static uint64_t length(void) { return next() % 2 ? next() % (8 * PAGE) : number(); }
// Not 0 to 2: nothing is to be printed, and nobody types.
static uint64_t descriptor(void) { return next() % 4 ? 3 + next() % 8 : number() | 0x80000008; }

static uint64_t path(void)
{
    static const char *const paths[] = {"", "/", ".", "..", "/no/such", "//..//.", "/etc/motd/x"};
    switch (next() % 4) {
    case 0: return pointer();
    case 1: return getauxval(AT_EXECFN);
    default: return (uint64_t)PICK(paths);
    }
}

// Pages are not brought all at once if they are many: the machine has other uses for them.
static uint64_t map_flags(uint64_t len)
{
    uint64_t bits = next() % 8 ? MAP_ANONYMOUS | MAP_PRIVATE : flags();
    bits |= flags() & ~(uint64_t)MAP_TYPE;
    return len > 1 << 20 ? bits & ~(uint64_t)(MAP_POPULATE | MAP_LOCKED) : bits;
}

static long call(void)
{
    uint64_t len = length();
    switch (next() % 40) {
    case 0: return SYS(SYS_read, descriptor(), pointer(), len);
    case 1: return SYS(SYS_write, descriptor(), pointer(), len);
    case 2: return SYS(SYS_readv, descriptor(), pointer(), number());
    case 3: return SYS(SYS_writev, descriptor(), pointer(), number());
    case 4: return SYS(SYS_lseek, descriptor(), number(), number());
    case 5: return SYS(SYS_close, descriptor());
    case 6: return SYS(SYS_ioctl, descriptor(), 0x5400 + next() % 32, pointer());
    case 7: return SYS(SYS_poll, pointer(), next() % 2 ? next() % 70 : number(), 0);
    case 8: return SYS(SYS_open, path(), flags() & ~(uint64_t)O_CREAT);
    case 9: return SYS(SYS_openat, next() % 2 ? -100 : (long)descriptor(), path(),
                       flags() & ~(uint64_t)(O_CREAT | O_TMPFILE));
    case 10: return SYS(SYS_stat, path(), pointer());
    case 11: return SYS(SYS_lstat, path(), pointer());
    case 12: return SYS(SYS_fstat, descriptor(), pointer());
    case 13: return SYS(SYS_newfstatat, descriptor(), path(), pointer(), flags());
    case 14: return SYS(SYS_readlink, path(), pointer(), len);
    case 15: return SYS(SYS_readlinkat, descriptor(), path(), pointer(), len);
    case 16:
    case 17: return SYS(SYS_mmap, next() % 2 ? pointer() : pointer() & -4096UL, len, flags(),
                        map_flags(len) & ~(uint64_t)(MAP_FIXED | MAP_GROWSDOWN), descriptor(), number());
    case 18:
    case 19: return SYS(SYS_mmap, arena + next() % ARENA_PAGES * PAGE, next() % 8 * PAGE, flags(),
                        map_flags(0) | MAP_FIXED, descriptor(), number() & -4096UL);
    case 20: return SYS(SYS_munmap, arena + next() % ARENA_PAGES * PAGE, next() % 4 * PAGE);
    // Much at once would end this program at once: an odd address is refused.
    case 21: return SYS(SYS_munmap, place() | (len > 1 << 20), len);
    case 22:
    case 23: return SYS(SYS_mprotect, place(), len % (1 << 20), next() % 16);
    case 24:
    case 25: return SYS(SYS_mremap, place(), len, length(), flags() & 3, place());
    case 26:
    case 27: return SYS(SYS_madvise, place(), len % (1UL << 32), next() % 25);
    case 28: return SYS(SYS_brk, next() % 2 ? number() : (uint64_t)SYS(SYS_brk, 0) + next() % 65536);
    case 29: return SYS(SYS_rt_sigaction, next() % 70, pointer(), pointer(), 8);
    case 30: return SYS(SYS_rt_sigprocmask, next() % 4, pointer(), pointer(), 8);
    case 31: return SYS(SYS_rt_sigpending, pointer(), next() % 10);
    case 32: return SYS(SYS_sigaltstack, pointer(), pointer());
    case 33: return SYS(SYS_arch_prctl, 0x1000 + next() % 6, pointer());
    case 34: return SYS(SYS_prlimit64, 0, next() % 20, 0, pointer());
    case 35: return SYS(SYS_sched_getaffinity, 0, len, pointer());
    case 36: return SYS(SYS_clock_gettime, number(), pointer());
    case 37: return SYS(SYS_getrandom, pointer(), len & 0xffff, flags());
    // Few outlive one that is taken.
    case 38: return SYS(SYS_rseq, pointer() & -32UL, next() % 64 ? 33 : 32, next() % 2, number());
    default: return SYS(SYS_uname, pointer());
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        printf("usage: fuzz CALLS [SEED]\n");
        return 2;
    }
    long calls = atol(argv[1]);
    state = 0x9e3779b97f4a7c15 * (uint64_t)(SYS(SYS_getpid) + (argc > 2 ? atol(argv[2]) : 0) + 1);
    arena = mmap(NULL, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        return 1;
    for (int i = 0; i < ARENA_PAGES * PAGE; i += 8)
        *(uint64_t *)(arena + i) = next() % 3 ? pointer() : number();
    for (int i = 0; i < 4; i++)
        SYS(SYS_open, getauxval(AT_EXECFN), O_RDONLY);
    SYS(SYS_open, "/", O_RDONLY | O_DIRECTORY);
    long good = 0;
    for (long i = 0; i < calls; i++)
        good += call() >= 0;
    // The C library may have lost its memory.
    static const char done[] = "fuzz: done\n";
    SYS(SYS_write, 1, done, sizeof done - 1);
    SYS(SYS_exit_group, good == 0);
    return 1;
}
