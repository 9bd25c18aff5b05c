// memory huge: areas that a kernel may map with 2 MiB pages, cut and moved in every way.
//
// What it proves: contents and access are right to the page, whatever size of page lies
// under them. It asks for large pages, which need not be given.

#define _GNU_SOURCE
#include <sys/wait.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define LARGE (2 * MIB)

static char *area;
static const long len = 64 * MIB;
// What of it is written whole: the rest of a small machine's memory is for the others.
static const long whole = 16 * MIB;

// `len` bytes, at a multiple of 2 MiB.
static char *aligned(long bytes)
{
    char *at = hole(bytes + LARGE);
    at = (char *)(((uintptr_t)at + LARGE - 1) & -LARGE);
    map_at(at, bytes, RW, ANON | MAP_FIXED | MAP_NORESERVE);
    SYS(SYS_madvise, at, bytes, MADV_HUGEPAGE);
    return at;
}

static void test_sparse(void)
{
    area = aligned(len);
    int good = 1;
    // Nearly each in a large page of its own would be all of them: here are small ones, too.
    SYS(SYS_madvise, area + whole, len - whole, MADV_NOHUGEPAGE);
    for (long at = 0; at < len; at += 4 * MIB + 5 * PAGE)
        fill(area + at, PAGE, (int)(at / PAGE));
    for (long at = 0; at < len; at += 4 * MIB + 5 * PAGE)
        good &= holds(area + at, PAGE, (int)(at / PAGE)) && is_zero(area + at + PAGE, PAGE);
    check(good, "sparse", "changed");
    check(is_zero(area + 63 * MIB, MIB), "sparse-rest", "not zero");
}

static void test_whole(void)
{
    fill(area, whole, 1);
    check(holds(area, whole, 1), "whole", "changed");
    // Reads of a part that was never touched, then writes.
    char *other = aligned(8 * MIB);
    check(is_zero(other, 8 * MIB), "read-first-zero", "not zero");
    fill(other + 3 * MIB, PAGE, 2);
    check(is_zero(other, 3 * MIB) && is_zero(other + 3 * MIB + PAGE, 5 * MIB - PAGE) &&
              holds(other + 3 * MIB, PAGE, 2),
          "read-first-write", "changed");
    SYS(SYS_munmap, other, 8 * MIB);
}

static void test_cut(void)
{
    // In the middle of a large page, across two, and all of one.
    check_result("unmap-inside", SYS(SYS_munmap, area + MIB, 3 * PAGE), 0);
    check_touch("unmap-inside-taken", area + MIB + PAGE, READ, SEGV_MAPERR);
    check_touch("unmap-inside-before", area + MIB - 1, READ, 0);
    check_touch("unmap-inside-behind", area + MIB + 3 * PAGE, READ, 0);
    check_result("unmap-across", SYS(SYS_munmap, area + 4 * MIB - PAGE, 2 * PAGE), 0);
    check_touch("unmap-across-taken", area + 4 * MIB, READ, SEGV_MAPERR);
    check_result("unmap-one", SYS(SYS_munmap, area + 6 * MIB, LARGE), 0);
    check_touch("unmap-one-taken", area + 7 * MIB, WRITE, SEGV_MAPERR);
    check(holds(area, MIB, 1), "unmap-first", "changed");
    check(holds_from(area + MIB + 3 * PAGE, 3 * MIB - 4 * PAGE, 1, MIB / PAGE + 3), "unmap-between",
          "changed");
    check(holds_from(area + 4 * MIB + PAGE, 2 * MIB - PAGE, 1, 4 * MIB / PAGE + 1) &&
              holds_from(area + 8 * MIB, whole - 8 * MIB, 1, 8 * MIB / PAGE),
          "unmap-rest", "changed");
    map_at(area + 6 * MIB, LARGE, RW, ANON | MAP_FIXED);
    check(is_zero(area + 6 * MIB, LARGE), "unmap-again-zero", "old contents");
    check_result("dontneed", SYS(SYS_madvise, area + 8 * MIB + 7 * PAGE, PAGE, MADV_DONTNEED), 0);
    check(is_zero(area + 8 * MIB + 7 * PAGE, PAGE) &&
              holds_from(area + 8 * MIB, 7 * PAGE, 1, 8 * MIB / PAGE) &&
              holds_from(area + 8 * MIB + 8 * PAGE, MIB, 1, 8 * MIB / PAGE + 8),
          "dontneed-inside", "not so");
}

static void test_protect(void)
{
    const long offset = 10 * MIB;
    char *at = area + offset;
    check_result("protect-inside", SYS(SYS_mprotect, at + MIB, 2 * PAGE, RD), 0);
    check_touch("protect-inside-write", at + MIB + PAGE, WRITE, SEGV_ACCERR);
    check_touch("protect-inside-before", at + MIB - 1, WRITE, 0);
    check_touch("protect-inside-behind", at + MIB + 2 * PAGE, WRITE, 0);
    check_result("protect-whole", SYS(SYS_mprotect, at + LARGE, LARGE, NONE), 0);
    check_touch("protect-whole-read", at + 3 * MIB, READ, SEGV_ACCERR);
    check_result("protect-across", SYS(SYS_mprotect, at + 3 * MIB + PAGE, 2 * MIB, RD), 0);
    check_touch("protect-across-none", at + 3 * MIB, READ, SEGV_ACCERR);
    check_touch("protect-across-write", at + 5 * MIB, WRITE, SEGV_ACCERR);
    check_result("protect-back", SYS(SYS_mprotect, at, whole - offset, RW), 0);
    check(holds_from(at, whole - offset, 1, offset / PAGE), "protect-contents", "changed");
    check_touch("protect-back-write", at + 3 * MIB, WRITE, 0);
}

static void test_advice(void)
{
    // Advice that makes a part a mapping of its own; then that is changed as a whole.
    char *at = aligned(2 * LARGE);
    fill(at, 2 * LARGE, 4);
    check_result("advice-inside", SYS(SYS_madvise, at + MIB, 3 * PAGE, MADV_DONTFORK), 0);
    check_result("advice-dontneed", SYS(SYS_madvise, at + MIB, 3 * PAGE, MADV_DONTNEED), 0);
    check(holds(at, MIB, 4) && is_zero(at + MIB, 3 * PAGE) &&
              holds_from(at + MIB + 3 * PAGE, 2 * LARGE - MIB - 3 * PAGE, 4, MIB / PAGE + 3),
          "advice-neighbours", "changed");
    char *wiped = at + LARGE + 5 * PAGE;
    check_result("advice-wipe", SYS(SYS_madvise, wiped, 2 * PAGE, MADV_WIPEONFORK), 0);
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(is_zero(wiped, 2 * PAGE) && holds_from(at + LARGE, 5 * PAGE, 4, LARGE / PAGE) &&
                      holds_from(wiped + 2 * PAGE, MIB, 4, LARGE / PAGE + 7)
                  ? 0
                  : 1);
    waitpid(child, &status, 0);
    check(child > 0 && status == 0, "advice-wiped", "status %#x", status);
    check(holds_from(wiped, 2 * PAGE, 4, LARGE / PAGE + 5), "advice-kept", "changed");
    check_result("advice-unmap", SYS(SYS_munmap, wiped, 2 * PAGE), 0);
    check(holds_from(at + LARGE, 5 * PAGE, 4, LARGE / PAGE), "advice-rest", "changed");
    SYS(SYS_munmap, at, 2 * LARGE);
}

static void test_move(void)
{
    // To where it fits large pages, and to where it does not.
    const long first = 10 * MIB / PAGE, size = 4 * MIB;
    const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
    char *from = area + 10 * MIB, *to = aligned(2 * size);
    fill(to, 2 * size, 3);
    check_result("move", SYS(SYS_mremap, from, size, size, fixed, to + 2 * MIB), (long)to + 2 * MIB);
    check(holds_from(to + 2 * MIB, size, 1, first), "move-contents", "changed");
    check(holds(to, 2 * MIB, 3) && holds_from(to + 6 * MIB, 2 * MIB, 3, 6 * MIB / PAGE),
          "move-neighbours", "changed");
    check_touch("move-old", from + MIB, READ, SEGV_MAPERR);
    check_touch("move-old-end", from + size, READ, 0);
    char *odd = hole(2 * size);
    odd = (char *)(((uintptr_t)odd + LARGE - 1) & -LARGE) + 3 * PAGE;
    check_result("move-odd", SYS(SYS_mremap, to + 2 * MIB, size, size, fixed, odd), (long)odd);
    check(holds_from(odd, size, 1, first), "move-odd-contents", "changed");
    check_result("move-part", SYS(SYS_mremap, odd + MIB, PAGE, PAGE, fixed, from), (long)from);
    check(holds_from(from, PAGE, 1, first + MIB / PAGE), "move-part-contents", "changed");
    check(holds_from(odd, MIB, 1, first) &&
              holds_from(odd + MIB + PAGE, size - MIB - PAGE, 1, first + MIB / PAGE + 1),
          "move-part-rest", "changed");
    // Large pages again from where on it is whole.
    char *grown = (char *)SYS(SYS_mremap, area + 14 * MIB, MIB, 5 * MIB, MREMAP_MAYMOVE);
    check(!is_error(grown) && holds_from(grown, MIB, 1, 14 * MIB / PAGE) &&
              is_zero(grown + MIB, 4 * MIB),
          "move-grow", "changed");
    check(holds_from(area + 15 * MIB, MIB, 1, 15 * MIB / PAGE), "rest", "changed");
    check_result("end", SYS(SYS_munmap, area, len), 0);
    check_touch("end-none", area + 50 * MIB, READ, SEGV_MAPERR);
}

int test_huge(void)
{
    catch_faults(0);
    test_sparse();
    test_whole();
    test_cut();
    test_protect();
    test_advice();
    test_move();
    return summary();
}
