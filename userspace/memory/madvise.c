// memory madvise: advice that changes contents, advice that only asks for speed, and errors.
//
// What it proves: private pages that are not needed come back as zeros, or as the file's
// bytes; what is shared keeps its contents; pages are brought early; the rest is refused as
// Linux refuses it. What fork makes of advice is in `memory cow`.

#define _GNU_SOURCE
#include <fcntl.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#define MADVISE(at, len, advice) SYS(SYS_madvise, at, len, advice)

static void test_dont_need(void)
{
    char *area = map(8 * PAGE, RW, ANON);
    fill(area, 8 * PAGE, 1);
    check_result("dontneed", MADVISE(area + 2 * PAGE, 3 * PAGE, MADV_DONTNEED), 0);
    check(is_zero(area + 2 * PAGE, 3 * PAGE), "dontneed-zero", "not zero");
    check(holds(area, 2 * PAGE, 1) && holds_from(area + 5 * PAGE, 3 * PAGE, 1, 5),
          "dontneed-neighbours", "changed");
    fill(area, 8 * PAGE, 2);
    check(holds(area, 8 * PAGE, 2), "dontneed-written-again", "changed");
    check_result("dontneed-odd-length", MADVISE(area + 6 * PAGE, 1, MADV_DONTNEED), 0);
    check(is_zero(area + 6 * PAGE, PAGE) && holds_from(area + 7 * PAGE, PAGE, 2, 7),
          "dontneed-odd-length-page", "not so");
    SYS(SYS_mprotect, area, PAGE, RD);
    check_result("dontneed-read-only", MADVISE(area, PAGE, MADV_DONTNEED), 0);
    check(is_zero(area, PAGE), "dontneed-read-only-zero", "not zero");
    check_touch("dontneed-keeps-access", area, WRITE, SEGV_ACCERR);

    char *shared = map(4 * PAGE, RW, SHARED);
    fill(shared, 4 * PAGE, 3);
    check_result("dontneed-shared", MADVISE(shared, 4 * PAGE, MADV_DONTNEED), 0);
    check(holds(shared, 4 * PAGE, 3), "dontneed-shared-keeps", "changed");

    static char bytes[PAGE];
    int file = (int)SYS(SYS_open, "/etc/hostname", O_RDONLY);
    SYS(SYS_read, file, bytes, PAGE);
    char *view = (char *)SYS(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, file, 0);
    view[0] ^= 0x33;
    check_result("dontneed-file", MADVISE(view, PAGE, MADV_DONTNEED), 0);
    check(!memcmp(view, bytes, PAGE), "dontneed-file-again", "not the file's");

    // A hole: the rest is done all the same.
    char *holed = map(5 * PAGE, RW, ANON);
    fill(holed, 5 * PAGE, 4);
    SYS(SYS_munmap, holed + 2 * PAGE, PAGE);
    check_error("dontneed-hole", MADVISE(holed + PAGE, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    check(holds(holed, PAGE, 4) && is_zero(holed + PAGE, PAGE) && is_zero(holed + 3 * PAGE, PAGE) &&
              holds_from(holed + 4 * PAGE, PAGE, 4, 4),
          "dontneed-hole-rest", "not so");
}

static void test_free(void)
{
    char *area = map(4 * PAGE, RW, ANON);
    fill(area, 4 * PAGE, 5);
    check_result("free", MADVISE(area, 4 * PAGE, MADV_FREE), 0);
    int good = 1;
    for (int page = 0; page < 4; page++)
        good &= is_zero(area + page * PAGE, PAGE) || holds_from(area + page * PAGE, PAGE, 5, page);
    check(good, "free-old-or-zero", "something else");
    fill(area, 4 * PAGE, 6);
    check(holds(area, 4 * PAGE, 6), "free-written-again", "changed");
    check_error("free-shared", MADVISE(map(PAGE, RW, SHARED), PAGE, MADV_FREE), EINVAL);
    check_error("free-hole", MADVISE(hole(PAGE), PAGE, MADV_FREE), ENOMEM);
}

static void test_populate(void)
{
    char *area = map(16 * PAGE, RW, ANON);
    check_result("populate-write", MADVISE(area, 16 * PAGE, MADV_POPULATE_WRITE), 0);
    int all = 1;
    for (int page = 0; page < 16; page++)
        all &= resident(area + page * PAGE) == 1;
    check(all, "populate-write-there", "not all pages");
    check(is_zero(area, 16 * PAGE), "populate-write-zero", "not zero");
    fill(area, 16 * PAGE, 7);
    check_result("populate-again", MADVISE(area, 16 * PAGE, MADV_POPULATE_WRITE), 0);
    check_result("populate-read-again", MADVISE(area, 16 * PAGE, MADV_POPULATE_READ), 0);
    check(holds(area, 16 * PAGE, 7), "populate-keeps", "changed");

    char *read = map(4 * PAGE, RD, ANON);
    check_result("populate-read", MADVISE(read, 4 * PAGE, MADV_POPULATE_READ), 0);
    check(resident(read) == 1 && resident(read + 3 * PAGE) == 1, "populate-read-there", "not");
    check_error("populate-write-read-only", MADVISE(read, PAGE, MADV_POPULATE_WRITE), EINVAL);
    char *none = map(PAGE, NONE, ANON);
    check_error("populate-read-none", MADVISE(none, PAGE, MADV_POPULATE_READ), EINVAL);
    check_error("populate-hole", MADVISE(hole(PAGE), PAGE, MADV_POPULATE_READ), ENOMEM);
    char *shared = map(4 * PAGE, RW, SHARED);
    check_result("populate-shared", MADVISE(shared, 4 * PAGE, MADV_POPULATE_WRITE), 0);
    check(is_zero(shared, 4 * PAGE), "populate-shared-zero", "not zero");
}

static void test_others(void)
{
    static const struct {
        const char *name;
        int advice;
    } hints[] = {
        {"normal", MADV_NORMAL},         {"random", MADV_RANDOM},
        {"sequential", MADV_SEQUENTIAL}, {"dontdump", MADV_DONTDUMP},
        {"dodump", MADV_DODUMP},         {"cold", MADV_COLD},
        {"dontfork", MADV_DONTFORK},     {"dofork", MADV_DOFORK},
        {"wipeonfork", MADV_WIPEONFORK}, {"keeponfork", MADV_KEEPONFORK},
        {"hugepage", MADV_HUGEPAGE},     {"nohugepage", MADV_NOHUGEPAGE},
    };
    char *area = map(8 * PAGE, RW, ANON);
    fill(area, 8 * PAGE, 8);
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        check_result(hints[i].name, MADVISE(area + PAGE, 3 * PAGE, hints[i].advice), 0);
    check(holds(area, 8 * PAGE, 8), "hints-keep", "changed");
    check_result("empty", MADVISE(area, 0, MADV_DONTNEED), 0);
    check(holds(area, PAGE, 8), "empty-keeps", "changed");
    check_error("hint-hole", MADVISE(hole(PAGE), PAGE, MADV_RANDOM), ENOMEM);
    check_error("unknown", MADVISE(area, PAGE, 9999), EINVAL);
    check_error("unknown-negative", MADVISE(area, PAGE, -1), EINVAL);
    check_error("unknown-empty", MADVISE(area, 0, 9999), EINVAL);
    check_error("unaligned", MADVISE(area + 1, PAGE, MADV_DONTNEED), EINVAL);
    check_error("length-wraps", MADVISE(area, -1L, MADV_DONTNEED), EINVAL);
    check_error("end-wraps", MADVISE(area, -(long)area - PAGE + 2 * PAGE, MADV_DONTNEED), EINVAL);
    check_error("kernel", MADVISE(0xffffffff80000000, PAGE, MADV_DONTNEED), ENOMEM);
    check_error("wipeonfork-shared", MADVISE(map(PAGE, RW, SHARED), PAGE, MADV_WIPEONFORK), EINVAL);
    check_error("remove-private", MADVISE(area, PAGE, MADV_REMOVE), EINVAL);
    check(holds(area, 8 * PAGE, 8), "refused-keep", "changed");
}

int test_madvise(void)
{
    catch_faults(0);
    test_dont_need();
    test_free();
    test_populate();
    test_others();
    return summary();
}
