// memory mremap: mappings that grow, shrink and move.
//
// What it proves: contents go along, what was there before is gone, what is new is zero,
// neighbours stay as they are, and what cannot be is refused with Linux's error.

#define _GNU_SOURCE
#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define MREMAP(...) SYS(SYS_mremap, __VA_ARGS__)
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

enum { MAY_MOVE = MREMAP_MAYMOVE, FIXED = MREMAP_MAYMOVE | MREMAP_FIXED };

static void test_in_place(void)
{
    char *at = hole(16 * PAGE);
    map_at(at, 4 * PAGE, RW, ANON | MAP_FIXED);
    fill(at, 4 * PAGE, 1);
    check_result("grow", MREMAP(at, 4 * PAGE, 8 * PAGE, 0), (long)at);
    check(holds(at, 4 * PAGE, 1) && is_zero(at + 4 * PAGE, 4 * PAGE), "grow-contents", "changed");
    check_touch("grow-end", at + 8 * PAGE, READ, SEGV_MAPERR);
    fill(at, 8 * PAGE, 2);
    check_result("shrink", MREMAP(at, 8 * PAGE, 2 * PAGE, 0), (long)at);
    check(holds(at, 2 * PAGE, 2), "shrink-contents", "changed");
    check_touch("shrink-end", at + 2 * PAGE, READ, SEGV_MAPERR);
    check_result("grow-again", MREMAP(at, 2 * PAGE, 3 * PAGE, 0), (long)at);
    check(is_zero(at + 2 * PAGE, PAGE), "grow-again-zero", "old contents");
    check_result("same", MREMAP(at, 3 * PAGE, 3 * PAGE, 0), (long)at);
    check_result("odd-lengths", MREMAP(at, 2 * PAGE + 1, 3 * PAGE - 1, 0), (long)at);

    map_at(at + 4 * PAGE, PAGE, RD, ANON | MAP_FIXED);
    check_error("grow-blocked", MREMAP(at, 3 * PAGE, 5 * PAGE, 0), ENOMEM);
    check_result("grow-up-to-it", MREMAP(at, 3 * PAGE, 4 * PAGE, 0), (long)at);
    // Not the end of its mapping: there is no room behind it.
    check_error("grow-inside", MREMAP(at, 2 * PAGE, 3 * PAGE, 0), ENOMEM);
    check_result("shrink-inside", MREMAP(at, 2 * PAGE, PAGE, 0), (long)at);
    check_touch("shrink-inside-taken", at + PAGE, READ, SEGV_MAPERR);
    check_touch("shrink-inside-rest", at + 2 * PAGE, WRITE, 0);
    check_touch("blocker-access", at + 4 * PAGE, WRITE, SEGV_ACCERR);
}

static void test_moves(void)
{
    char *at = map(5 * PAGE, RW, ANON);
    fill(at, 5 * PAGE, 3);
    SYS(SYS_mprotect, at + 4 * PAGE, PAGE, RD);
    char *to = (char *)MREMAP(at, 4 * PAGE, 8 * PAGE, MAY_MOVE);
    check(!is_error(to) && to != at, "move", "%ld", (long)to);
    check(holds(to, 4 * PAGE, 3) && is_zero(to + 4 * PAGE, 4 * PAGE), "move-contents", "changed");
    check_touch("move-old", at, READ, SEGV_MAPERR);
    check(holds_from(at + 4 * PAGE, PAGE, 3, 4), "move-neighbour", "changed");
    SYS(SYS_munmap, at + 4 * PAGE, PAGE);

    fill(to, 8 * PAGE, 4);
    char *place = map(12 * PAGE, RW, ANON);
    fill(place, 12 * PAGE, 5);
    check_result("fixed", MREMAP(to, 8 * PAGE, 8 * PAGE, FIXED, place + 2 * PAGE),
                 (long)place + 2 * PAGE);
    check(holds(place + 2 * PAGE, 8 * PAGE, 4), "fixed-contents", "changed");
    check(holds(place, 2 * PAGE, 5) && holds_from(place + 10 * PAGE, 2 * PAGE, 5, 10),
          "fixed-neighbours", "changed");
    check_touch("fixed-old", to + 7 * PAGE, READ, SEGV_MAPERR);
    char *small = hole(4 * PAGE);
    check_result("fixed-shrink", MREMAP(place + 2 * PAGE, 8 * PAGE, 3 * PAGE, FIXED, small),
                 (long)small);
    check(holds(small, 3 * PAGE, 4), "fixed-shrink-contents", "changed");
    check_touch("fixed-shrink-old", place + 9 * PAGE, READ, SEGV_MAPERR);
    check_touch("fixed-shrink-end", small + 3 * PAGE, READ, SEGV_MAPERR);
    check_result("middle", MREMAP(small + PAGE, PAGE, PAGE, FIXED, place + 4 * PAGE),
                 (long)place + 4 * PAGE);
    check(holds_from(place + 4 * PAGE, PAGE, 4, 1) && holds_from(small + 2 * PAGE, PAGE, 4, 2) &&
              holds(small, PAGE, 4),
          "middle-contents", "changed");
    check_touch("middle-old", small + PAGE, READ, SEGV_MAPERR);

    // What a page may be used for, and that it is shared, goes along.
    char *read_only = map(2 * PAGE, RW, ANON);
    fill(read_only, 2 * PAGE, 6);
    SYS(SYS_mprotect, read_only, 2 * PAGE, RD);
    char *elsewhere = hole(2 * PAGE);
    MREMAP(read_only, 2 * PAGE, 2 * PAGE, FIXED, elsewhere);
    check(holds(elsewhere, 2 * PAGE, 6), "read-only-contents", "changed");
    check_touch("read-only-access", elsewhere, WRITE, SEGV_ACCERR);

    // Many pages, of which few were touched.
    char *large = map(16 * MIB, RW, ANON | MAP_NORESERVE);
    for (long page = 0; page < 16 * MIB / PAGE; page += 97)
        fill(large + page * PAGE, PAGE, (int)page);
    char *moved = (char *)MREMAP(large, 16 * MIB, 24 * MIB, MAY_MOVE);
    int good = !is_error(moved);
    for (long page = 0; good && page < 16 * MIB / PAGE; page += 97)
        good = holds(moved + page * PAGE, PAGE, (int)page) && is_zero(moved + (page + 1) * PAGE, PAGE);
    check(good, "sparse-contents", "changed");
    check(good && is_zero(moved + 20 * MIB, PAGE), "sparse-tail", "not zero");
}

static void test_duplicates(void)
{
    char *private = map(2 * PAGE, RW, ANON);
    check_error("duplicate-private", MREMAP(private, 0, 2 * PAGE, MAY_MOVE), EINVAL);
    char *shared = map(4 * PAGE, RW, SHARED);
    fill(shared, 4 * PAGE, 7);
    char *twin = (char *)MREMAP(shared, 0, 4 * PAGE, MAY_MOVE);
    check(!is_error(twin) && twin != shared, "duplicate", "%ld", (long)twin);
    if (is_error(twin))
        return;
    check(holds(twin, 4 * PAGE, 7) && holds(shared, 4 * PAGE, 7), "duplicate-contents", "changed");
    twin[0] = 0x11;
    shared[PAGE] = 0x22;
    check(shared[0] == 0x11 && twin[PAGE] == 0x22, "duplicate-shared", "are two");
    SYS(SYS_munmap, shared, 4 * PAGE);
    check(twin[0] == 0x11 && twin[PAGE] == 0x22, "duplicate-alone", "changed");
    char *moved = (char *)MREMAP(twin, 4 * PAGE, 8 * PAGE, MAY_MOVE);
    check(!is_error(moved) && moved[PAGE] == 0x22, "shared-moved", "%ld", (long)moved);
    // An object of memory does not grow with its mapping.
    if (!is_error(moved))
        check_touch("shared-beyond-end", moved + 5 * PAGE, READ, BUS + BUS_ADRERR);
}

static void test_dont_unmap(void)
{
    char *at = map(4 * PAGE, RW, ANON);
    fill(at, 4 * PAGE, 8);
    char *to = (char *)MREMAP(at, 4 * PAGE, 4 * PAGE, MAY_MOVE | MREMAP_DONTUNMAP, 0);
    check(!is_error(to) && to != at, "dont-unmap", "%ld", (long)to);
    if (!is_error(to)) {
        check(holds(to, 4 * PAGE, 8), "dont-unmap-contents", "changed");
        check(is_zero(at, 4 * PAGE), "dont-unmap-old", "not zero");
        fill(at, 4 * PAGE, 9);
        check(holds(to, 4 * PAGE, 8) && holds(at, 4 * PAGE, 9), "dont-unmap-apart", "are one");
    }
    check_error("dont-unmap-alone", MREMAP(at, PAGE, PAGE, MREMAP_DONTUNMAP, 0), EINVAL);
    check_error("dont-unmap-grow",
                MREMAP(at, PAGE, 2 * PAGE, MAY_MOVE | MREMAP_DONTUNMAP, 0), EINVAL);
}

static void test_refused(void)
{
    char *at = hole(16 * PAGE); // nothing behind it
    char *none = at + 10 * PAGE;
    map_at(at, 8 * PAGE, RW, ANON | MAP_FIXED);
    fill(at, 8 * PAGE, 10);
    check_error("unaligned", MREMAP(at + 1, PAGE, 2 * PAGE, MAY_MOVE), EINVAL);
    check_error("no-new-bytes", MREMAP(at, PAGE, 0, MAY_MOVE), EINVAL);
    check_error("unknown-flag", MREMAP(at, PAGE, PAGE, 0x10), EINVAL);
    check_error("fixed-alone", MREMAP(at, PAGE, PAGE, MREMAP_FIXED, none), EINVAL);
    check_error("fixed-unaligned", MREMAP(at, PAGE, PAGE, FIXED, none + 1), EINVAL);
    check_error("fixed-kernel", MREMAP(at, PAGE, PAGE, FIXED, 0xffffffff80000000), EINVAL);
    check_error("fixed-across-end", MREMAP(at, 2 * PAGE, 2 * PAGE, FIXED, USER_END - PAGE), EINVAL);
    check_error("fixed-onto-itself", MREMAP(at, PAGE, PAGE, FIXED, at), EINVAL);
    check_error("fixed-overlap", MREMAP(at, 2 * PAGE, 2 * PAGE, FIXED, at + PAGE), EINVAL);
    check_error("fixed-overlap-below", MREMAP(at + PAGE, 2 * PAGE, 2 * PAGE, FIXED, at), EINVAL);
    check_error("unmapped", MREMAP(none, PAGE, 2 * PAGE, MAY_MOVE), EFAULT);
    check_error("huge", MREMAP(at, PAGE, 1L << 46, MAY_MOVE), ENOMEM);
    check_error("grow-without-room", MREMAP(at, PAGE, 2 * PAGE, 0), ENOMEM);
    check_error("past-its-end", MREMAP(at + 7 * PAGE, 2 * PAGE, 3 * PAGE, MAY_MOVE), EFAULT);
    SYS(SYS_mprotect, at + 4 * PAGE, PAGE, RD);
    check_error("two-mappings", MREMAP(at + 3 * PAGE, 2 * PAGE, 3 * PAGE, MAY_MOVE), EFAULT);
    check(holds(at, 8 * PAGE, 10), "refused-contents", "changed");
}

int test_mremap(void)
{
    catch_faults(0);
    test_in_place();
    test_moves();
    test_duplicates();
    test_dont_unmap();
    test_refused();
    return summary();
}
