// memory many: as many mappings as there may be, and mappings as long as they may be.
//
// What it proves: a program that has all the mappings that it may have can still change and
// take whole ones; one touch of a very long shared mapping costs a page or two, and harms
// nobody.

#define _GNU_SOURCE
#include "../c/check.h"
#include "mem.h"
#include "memory.h"

// Linux's usual limit is 65530; where it is higher, what it says is not tried.
enum { MOST = 66000 };

static void test_most_mappings(void)
{
    char *area = map(MOST * PAGE, RD, ANON);
    long at = 1;
    while (at < MOST && mprotect(area + at * PAGE, PAGE, RW) == 0)
        at += 2;
    if (at < MOST) {
        check(errno == ENOMEM, "too-many", "errno %d", errno);
        check_result("whole-mapping", SYS(SYS_mprotect, area + PAGE, PAGE, RX), 0);
        check_result("part-of-mapping", SYS(SYS_mprotect, area + (at + 3) * PAGE, PAGE, RW), -ENOMEM);
        check_result("unmap-whole", SYS(SYS_munmap, area + PAGE, PAGE), 0);
    }
    check_result("unmap-all", SYS(SYS_munmap, area, MOST * PAGE), 0);
}

static void test_long_shared(void)
{
    const long len = 1L << 45;
    char *area = map(len, RW, SHARED | MAP_NORESERVE);
    area[len - 1] = 1;
    area[len / 3] = 2;
    area[0] = 3;
    check(area[len - 1] == 1 && area[len / 3] == 2 && area[0] == 3, "far-pages", "lost");
    char *again = mremap(area + len - PAGE, 0, PAGE, MREMAP_MAYMOVE);
    check(again != MAP_FAILED && again[PAGE - 1] == 1, "far-page-again", "errno %d", errno);
    check_result("unmap-long", SYS(SYS_munmap, area, len), 0);
}

int test_many(void)
{
    test_most_mappings();
    test_long_shared();
    return summary();
}
