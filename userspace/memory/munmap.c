// memory munmap: what munmap takes away, what it leaves, and what it refuses.
//
// What it proves: exactly the pages of the range go, whatever holes and borders of mappings
// lie in it, and come back as zeros.

#define _GNU_SOURCE
#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define MUNMAP(at, len) SYS(SYS_munmap, at, len)

// Whether the pages of `area` are there as `expected` says, one character each: '.' is none.
static void check_pages(const char *name, char *area, const char *expected)
{
    char found[32] = {0};
    for (int page = 0; expected[page]; page++)
        found[page] = touch(area + page * PAGE, READ) == SEGV_MAPERR ? '.' : 'x';
    check(!strcmp(found, expected), name, "%s, not %s", found, expected);
}

static void test_parts(void)
{
    char *area = map(10 * PAGE, RW, ANON);
    fill(area, 10 * PAGE, 1);
    check_result("front", MUNMAP(area, PAGE), 0);
    check_pages("front-pages", area, ".xxxxxxxxx");
    check_result("back", MUNMAP(area + 9 * PAGE, PAGE), 0);
    check_pages("back-pages", area, ".xxxxxxxx.");
    check_result("middle", MUNMAP(area + 4 * PAGE, 2 * PAGE), 0);
    check_pages("middle-pages", area, ".xxx..xxx.");
    check(holds_from(area + PAGE, 3 * PAGE, 1, 1) && holds_from(area + 6 * PAGE, 3 * PAGE, 1, 6),
          "parts-hold", "changed");
    check_result("odd-length", MUNMAP(area + 2 * PAGE, 1), 0);
    check_pages("odd-length-pages", area, ".x.x..xxx.");
    check_result("across-holes", MUNMAP(area + 2 * PAGE, 6 * PAGE), 0);
    check_pages("across-holes-pages", area, ".x......x.");
    check_result("hole", MUNMAP(area + 3 * PAGE, 2 * PAGE), 0);
    check_result("again", MUNMAP(area + 2 * PAGE, 6 * PAGE), 0);
    check(holds_from(area + PAGE, PAGE, 1, 1) && holds_from(area + 8 * PAGE, PAGE, 1, 8),
          "rest-holds", "changed");
    map_at(area, 10 * PAGE, RW, ANON | MAP_FIXED);
    check(is_zero(area, 10 * PAGE), "back-as-zero", "old contents");
    check_result("all", MUNMAP(area, 10 * PAGE), 0);
    check_pages("all-pages", area, "..........");
}

// Three neighbours that cannot be one mapping.
static void test_several(void)
{
    char *area = hole(12 * PAGE);
    map_at(area, 4 * PAGE, RW, ANON | MAP_FIXED);
    map_at(area + 4 * PAGE, 4 * PAGE, RD, ANON | MAP_FIXED);
    map_at(area + 8 * PAGE, 4 * PAGE, RW, SHARED | MAP_FIXED);
    fill(area, 4 * PAGE, 2);
    fill(area + 8 * PAGE, 4 * PAGE, 3);
    check_result("several", MUNMAP(area + 3 * PAGE, 6 * PAGE), 0);
    check_pages("several-pages", area, "xxx......xxx");
    check(holds(area, 3 * PAGE, 2) && holds_from(area + 9 * PAGE, 3 * PAGE, 3, 1), "several-hold",
          "changed");
    check_touch("several-taken", area + 5 * PAGE, READ, SEGV_MAPERR);
    MUNMAP(area, 12 * PAGE);

    // Never touched: there is nothing but the mapping itself.
    char *untouched = map(64 * MIB, RW, ANON | MAP_NORESERVE);
    check_result("untouched", MUNMAP(untouched + 16 * MIB, 32 * MIB), 0);
    check_touch("untouched-taken", untouched + 20 * MIB, WRITE, SEGV_MAPERR);
    check_touch("untouched-left", untouched + 48 * MIB, WRITE, 0);
    MUNMAP(untouched, 64 * MIB);

    // Every second page of many.
    enum { COUNT = 512 };
    char *many = map(COUNT * PAGE, RW, ANON);
    fill(many, COUNT * PAGE, 4);
    int good = 1;
    for (int page = 1; page < COUNT; page += 2)
        good &= MUNMAP(many + page * PAGE, PAGE) == 0;
    for (int page = 0; page < COUNT; page += 2)
        good &= holds_from(many + page * PAGE, PAGE, 4, page);
    check(good, "every-second", "not so");
    check_pages("every-second-pages", many, "x.x.x.x.x.x.x.x.");
    check_result("every-second-rest", MUNMAP(many, COUNT * PAGE), 0);
    check_touch("every-second-none", many + 6 * PAGE, READ, SEGV_MAPERR);
}

static void test_refused(void)
{
    char *area = map(4 * PAGE, RW, ANON);
    fill(area, 4 * PAGE, 5);
    check_error("empty", MUNMAP(area, 0), EINVAL);
    check_error("unaligned", MUNMAP(area + 1, PAGE), EINVAL);
    check_error("kernel", MUNMAP(0xffffffff80000000, PAGE), EINVAL);
    check_error("user-end", MUNMAP(USER_END, PAGE), EINVAL);
    check_error("across-user-end", MUNMAP(USER_END - PAGE, 2 * PAGE), EINVAL);
    check_error("wraps", MUNMAP(area, -(long)area), EINVAL);
    check_error("length-wraps", MUNMAP(area, -1), EINVAL);
    check(holds(area, 4 * PAGE, 5), "refused-holds", "changed");
    check_result("page-zero", MUNMAP(0, PAGE), 0);
}

int test_munmap(void)
{
    catch_faults(0);
    test_parts();
    test_several();
    test_refused();
    return summary();
}
