// memory brk: the program break, in both directions.
//
// What it proves: the break moves byte by byte and memory page by page, is zero when it
// comes (again), never meets other mappings, and stays where it is when it cannot move.

#define _GNU_SOURCE
#include "../c/check.h"
#include "mem.h"
#include "memory.h"

static char *set_break(const void *to) { return (char *)SYS(SYS_brk, to); }

static char *page_up(char *at) { return (char *)(((uintptr_t)at + PAGE - 1) & -PAGE); }

int test_brk(void)
{
    catch_faults(0);
    char *start = set_break(0);
    check((long)start > 0, "now", "%p", (void *)start);
    check_result("too-low", (long)set_break((char *)16), (long)start);
    check_result("minus-one", (long)set_break((char *)-1), (long)start);
    check_result("kernel", (long)set_break((char *)0xffffffff80000000), (long)start);
    check_result("huge", (long)set_break(start + (1L << 46)), (long)start);

    // From a page's start on, so that the pages can be counted.
    char *base = page_up(start);
    check_result("align", (long)set_break(base), (long)base);
    check_touch("nothing-behind", base, READ, SEGV_MAPERR);
    check_result("grow-a-byte", (long)set_break(base + 1), (long)base + 1);
    check_touch("grow-a-byte-page", base + PAGE - 1, WRITE, 0);
    check_touch("grow-a-byte-next", base + PAGE, READ, SEGV_MAPERR);
    check_result("grow", (long)set_break(base + 10 * PAGE), (long)base + 10 * PAGE);
    check(is_zero(base, 10 * PAGE), "grow-zero", "not zero");
    fill(base, 10 * PAGE, 1);
    check_touch("no-code", base, EXEC, SEGV_ACCERR);
    check_result("shrink", (long)set_break(base + 4 * PAGE + 100), (long)base + 4 * PAGE + 100);
    check(holds(base, 5 * PAGE, 1), "shrink-contents", "changed");
    check_touch("shrink-behind", base + 5 * PAGE, READ, SEGV_MAPERR);
    check_result("grow-again", (long)set_break(base + 10 * PAGE), (long)base + 10 * PAGE);
    check(holds(base, 5 * PAGE, 1) && is_zero(base + 5 * PAGE, 5 * PAGE), "grow-again-contents",
          "changed");
    check_result("same", (long)set_break(base + 10 * PAGE), (long)base + 10 * PAGE);
    check_result("asked", (long)set_break(0), (long)base + 10 * PAGE);

    // Another mapping in the way.
    char *block = map_at(base + 20 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE);
    *block = 7;
    check_result("blocked", (long)set_break(base + 21 * PAGE), (long)base + 10 * PAGE);
    check_result("blocked-far", (long)set_break(base + 60 * PAGE), (long)base + 10 * PAGE);
    check(*block == 7, "blocker", "changed");
    check_result("below-it", (long)set_break(base + 15 * PAGE), (long)base + 15 * PAGE);
    SYS(SYS_munmap, block, PAGE);
    check_result("free-again", (long)set_break(base + 40 * PAGE), (long)base + 40 * PAGE);
    check(is_zero(base + 10 * PAGE, 30 * PAGE), "free-again-zero", "not zero");

    // Parts of it are changed as any mapping is.
    check_result("protect", SYS(SYS_mprotect, base + 2 * PAGE, PAGE, RD), 0);
    check_touch("protect-write", base + 2 * PAGE, WRITE, SEGV_ACCERR);
    check_result("unmap", SYS(SYS_munmap, base + 30 * PAGE, PAGE), 0);
    check_touch("unmap-read", base + 30 * PAGE, READ, SEGV_MAPERR);
    check_result("shrink-across", (long)set_break(base + PAGE), (long)base + PAGE);
    check_touch("shrink-across-behind", base + 2 * PAGE, READ, SEGV_MAPERR);
    check(holds(base, PAGE, 1), "shrink-across-contents", "changed");

    // Large, in steps.
    int good = 1;
    for (long step = 1; step <= 64; step++)
        good &= set_break(base + step * 256 * 1024) == base + step * 256 * 1024;
    check(good, "sixteen-megabytes", "stopped at %p", (void *)set_break(0));
    for (long step = 1; good && step <= 64; step++)
        fill(base + (step - 1) * 256 * 1024, PAGE, (int)step);
    for (long step = 1; good && step <= 64; step++)
        good &= holds(base + (step - 1) * 256 * 1024, PAGE, (int)step);
    check(good, "sixteen-megabytes-hold", "changed");
    check_result("back", (long)set_break(start), (long)start);
    check_touch("back-behind", page_up(start), READ, SEGV_MAPERR);
    return summary();
}
