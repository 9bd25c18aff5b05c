// memory mincore: which pages have frames.
//
// What it proves: pages that were touched are there, those that were not or are given back
// are not, and errors are Linux's. A kernel may bring neighbours of a touched page early, so
// pages that must not be there are a megabyte away.

#define _GNU_SOURCE
#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define MINCORE(at, len, states) SYS(SYS_mincore, at, len, states)

static unsigned char states[64 * MIB / PAGE];

static long count(long pages)
{
    long found = 0;
    for (long page = 0; page < pages; page++)
        found += states[page] & 1;
    return found;
}

static void test_residency(void)
{
    const long len = 32 * MIB, pages = len / PAGE;
    char *area = map(len, RW, ANON | MAP_NORESERVE);
    SYS(SYS_madvise, area, len, MADV_NOHUGEPAGE);
    check_result("fresh", MINCORE(area, len, states), 0);
    check_result("fresh-pages", count(pages), 0);
    area[20 * MIB] = 1;
    check_result("touched", MINCORE(area, len, states), 0);
    check(states[20 * MIB / PAGE] & 1, "touched-page", "not there");
    check(count(pages) < 512, "touched-pages", "%ld are there", count(pages));
    check_result("touched-far", resident(area + 10 * MIB), 0);
    check_result("read", *(volatile char *)(area + 5 * MIB), 0);
    check_result("read-page", resident(area + 5 * MIB), 1);
    check_result("read-far", resident(area + 6 * MIB + MIB / 2), 0);
    // What the kernel itself writes.
    SYS(SYS_getrandom, area + 30 * MIB, 8, 0);
    check_result("written-by-call", resident(area + 30 * MIB), 1);
    fill(area + 24 * MIB, MIB, 1);
    MINCORE(area + 24 * MIB, MIB, states);
    check_result("all-touched", count(MIB / PAGE), MIB / PAGE);

    SYS(SYS_madvise, area, len, MADV_DONTNEED);
    MINCORE(area, len, states);
    check_result("given-back", count(pages), 0);
    check_result("given-back-again", MINCORE(area, len, states), 0);
    SYS(SYS_mprotect, area, PAGE, NONE);
    check_result("prot-none", resident(area), 0);
    fill(area + 8 * MIB, PAGE, 2);
    SYS(SYS_mprotect, area + 8 * MIB, PAGE, NONE);
    check_result("prot-none-touched", resident(area + 8 * MIB), 1);
    SYS(SYS_munmap, area, len);

    char *shared = map(4 * MIB, RW, SHARED);
    check_result("shared-fresh", resident(shared), 0);
    shared[0] = 1;
    check_result("shared-touched", resident(shared), 1);
    check_result("shared-far", resident(shared + 3 * MIB), 0);
}

static void test_arguments(void)
{
    char *area = map(4 * PAGE, RW, ANON);
    fill(area, 4 * PAGE, 3);
    memset(states, 0xaa, 16);
    check_result("odd-length", MINCORE(area, PAGE + 1, states), 0);
    check((states[0] & 1) && (states[1] & 1) && states[2] == 0xaa, "odd-length-bytes",
          "%x %x %x", states[0], states[1], states[2]);
    check_result("empty", MINCORE(area, 0, states), 0);
    check_result("empty-no-vector", MINCORE(area, 0, NULL), 0);
    check_error("unaligned", MINCORE(area + 1, PAGE, states), EINVAL);
    check_error("no-vector", MINCORE(area, PAGE, NULL), EFAULT);
    check_error("kernel-vector", MINCORE(area, PAGE, 0xffffffff80000000), EFAULT);
    char *read_only = map(PAGE, RD, ANON);
    check_error("read-only-vector", MINCORE(area, PAGE, read_only), EFAULT);
    check_error("unmapped", MINCORE(hole(PAGE), PAGE, states), ENOMEM);
    check_error("kernel", MINCORE(0xffffffff80000000, PAGE, states), ENOMEM);
    check_error("length-wraps", MINCORE(area, -1L, states), ENOMEM);
    SYS(SYS_munmap, area + 2 * PAGE, PAGE);
    check_error("hole", MINCORE(area, 4 * PAGE, states), ENOMEM);
    check_error("hole-first", MINCORE(area + 2 * PAGE, 2 * PAGE, states), ENOMEM);
}

int test_mincore(void)
{
    catch_faults(0);
    test_residency();
    test_arguments();
    return summary();
}
