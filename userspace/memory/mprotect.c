// memory mprotect: what a program may do with its pages, changed while they are used.
//
// What it proves: exactly the range changes, at once and with its contents, also on parts of
// mappings; a hole ends the change there; code runs only where PROT_EXEC says so.

#define _GNU_SOURCE
#include <fcntl.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define MPROTECT(at, len, protection) SYS(SYS_mprotect, at, len, protection)

enum { RET = 0xc3 };

// What may be done with each page: 'w' written, 'r' read, '-' nothing, '.' not mapped.
static void check_pages(const char *name, char *area, const char *expected)
{
    char found[32] = {0};
    for (int page = 0; expected[page]; page++) {
        char *at = area + page * PAGE + 100;
        int read = touch(at, READ);
        found[page] = touch(at, WRITE) == 0 ? 'w' : read == 0 ? 'r' : read == SEGV_ACCERR ? '-' : '.';
    }
    check(!strcmp(found, expected), name, "%s, not %s", found, expected);
}

static void test_ranges(void)
{
    char *area = map(10 * PAGE, RW, ANON);
    fill(area, 10 * PAGE, 1);
    check_result("middle", MPROTECT(area + 3 * PAGE, 3 * PAGE, RD), 0);
    check_pages("middle-pages", area, "wwwrrrwwww");
    check_result("inner", MPROTECT(area + 4 * PAGE, PAGE, NONE), 0);
    check_pages("inner-pages", area, "wwwr-rwwww");
    check_result("odd-length", MPROTECT(area + 8 * PAGE, PAGE + 1, RD), 0);
    check_pages("odd-length-pages", area, "wwwr-rwwrr");
    check_result("empty", MPROTECT(area, 0, NONE), 0);
    check_pages("empty-pages", area, "wwwr-rwwrr");
    check_result("all", MPROTECT(area, 10 * PAGE, RW), 0);
    check_pages("all-pages", area, "wwwwwwwwww");
    check(holds(area, 10 * PAGE, 1), "contents", "changed");

    // Before they were ever touched.
    char *fresh = map(4 * PAGE, RW, ANON);
    check_result("untouched", MPROTECT(fresh + PAGE, PAGE, RD), 0);
    check_pages("untouched-pages", fresh, "wrww");
    char *later = map(4 * PAGE, NONE, ANON);
    check_result("given-later", MPROTECT(later + PAGE, 2 * PAGE, RW), 0);
    check_pages("given-later-pages", later, "-ww-");
    check(is_zero(later + PAGE, 2 * PAGE), "given-later-zero", "not zero");

    // A mapping of another kind between.
    char *mixed = hole(6 * PAGE);
    map_at(mixed, 2 * PAGE, RW, ANON | MAP_FIXED);
    map_at(mixed + 2 * PAGE, 2 * PAGE, RW, SHARED | MAP_FIXED);
    map_at(mixed + 4 * PAGE, 2 * PAGE, NONE, ANON | MAP_FIXED);
    fill(mixed, 4 * PAGE, 2);
    check_result("several", MPROTECT(mixed + PAGE, 4 * PAGE, RD), 0);
    check_pages("several-pages", mixed, "wrrrr-");
    check(holds(mixed, 4 * PAGE, 2), "several-contents", "changed");
}

static void test_holes(void)
{
    char *area = map(6 * PAGE, RW, ANON);
    SYS(SYS_munmap, area + 2 * PAGE, PAGE);
    check_error("hole", MPROTECT(area, 6 * PAGE, RD), ENOMEM);
    check_pages("hole-pages", area, "rr.www");
    check_error("hole-first", MPROTECT(area + 2 * PAGE, 2 * PAGE, RD), ENOMEM);
    check_pages("hole-first-pages", area, "rr.www");
    check_error("hole-last", MPROTECT(area + PAGE, 2 * PAGE, RW), ENOMEM);
    check_pages("hole-last-pages", area, "rw.www");
    check_error("unmapped", MPROTECT(hole(PAGE), PAGE, RD), ENOMEM);
}

static void test_none_keeps(void)
{
    char *area = map(4 * PAGE, RW, ANON);
    char *shared = map(4 * PAGE, RW, SHARED);
    fill(area, 4 * PAGE, 3);
    fill(shared, 4 * PAGE, 4);
    MPROTECT(area, 4 * PAGE, NONE);
    MPROTECT(shared, 4 * PAGE, NONE);
    check_pages("none-pages", area, "----");
    check_pages("none-shared-pages", shared, "----");
    check_error("none-given-to-call", SYS(SYS_write, 1, area, 1), EFAULT);
    check_error("none-filled-by-call", SYS(SYS_getrandom, area, 8, 0), EFAULT);
    MPROTECT(area, 4 * PAGE, RD);
    check_error("read-only-filled-by-call", SYS(SYS_getrandom, area, 8, 0), EFAULT);
    MPROTECT(shared, 4 * PAGE, RW);
    check(holds(area, 4 * PAGE, 3) && holds(shared, 4 * PAGE, 4), "none-contents", "changed");
}

static void test_code(void)
{
    char *code = map(2 * PAGE, RW, ANON);
    *(volatile unsigned char *)code = RET;
    check_touch("exec-writable", code, EXEC, SEGV_ACCERR);
    check_result("code", MPROTECT(code, PAGE, RX), 0);
    check_touch("exec", code, EXEC, 0);
    check_touch("code-write", code, WRITE, SEGV_ACCERR);
    check_result("code-back", MPROTECT(code, PAGE, RW), 0);
    check_touch("exec-no-more", code, EXEC, SEGV_ACCERR);
    check_touch("write-again", code, WRITE, 0);
    check_result("code-again", MPROTECT(code, PAGE, RX), 0);
    check_touch("exec-again", code, EXEC, 0);
    check_touch("exec-neighbour", code + PAGE, EXEC, SEGV_ACCERR);
    MPROTECT(code, PAGE, RD);
    check_touch("exec-read-only", code, EXEC, SEGV_ACCERR);
    MPROTECT(code, PAGE, NONE);
    check_touch("exec-none", code, EXEC, SEGV_ACCERR);
    // As a compiler at run time does it: new code at an address that ran before.
    MPROTECT(code, PAGE, RW);
    memcpy(code, "\xb8\x07\x00\x00\x00\xc3", 6); // mov $7, %eax; ret
    MPROTECT(code, PAGE, RX);
    check_result("new-code", ((int (*)(void))code)(), 7);
}

static void test_refused(void)
{
    char *area = map(2 * PAGE, RW, ANON);
    check_error("unaligned", MPROTECT(area + 1, PAGE, RD), EINVAL);
    check_error("unknown-bits", MPROTECT(area, PAGE, 0x100), EINVAL);
    check_error("length-wraps", MPROTECT(area, -1L, RD), ENOMEM);
    check_error("end-wraps", MPROTECT(area, -(long)area, RD), ENOMEM);
    check_error("kernel", MPROTECT(0xffffffff80000000, PAGE, RW), ENOMEM);
    check_error("user-end", MPROTECT(USER_END, PAGE, RW), ENOMEM);
    check_error("page-zero", MPROTECT(0, PAGE, RW), ENOMEM);
    check_error("grows-up-and-down",
                MPROTECT(area, PAGE, RD | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
    check_error("growsdown-of-another", MPROTECT(area, PAGE, RD | PROT_GROWSDOWN), EINVAL);
    check_pages("refused-pages", area, "ww");

    int file = (int)SYS(SYS_open, "/etc/hostname", O_RDONLY);
    char *shared = (char *)SYS(SYS_mmap, 0, PAGE, RD, MAP_SHARED, file, 0);
    char *private = (char *)SYS(SYS_mmap, 0, PAGE, RD, MAP_PRIVATE, file, 0);
    char first = *shared;
    SYS(SYS_close, file);
    check_error("shared-read-only-file", MPROTECT(shared, PAGE, RW), EACCES);
    check_touch("shared-read-only-write", shared, WRITE, SEGV_ACCERR);
    check_result("shared-none", MPROTECT(shared, PAGE, NONE), 0);
    check_result("shared-read", MPROTECT(shared, PAGE, RD), 0);
    check_result("private-file", MPROTECT(private, PAGE, RW), 0);
    *private ^= 1;
    check(*shared == first && *private == (first ^ 1), "private-file-write", "seen by others");
}

int test_mprotect(void)
{
    catch_faults(0);
    test_ranges();
    test_holes();
    test_none_keeps();
    test_code();
    test_refused();
    return summary();
}
