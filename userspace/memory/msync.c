// memory msync: msync on memory, and its errors.
//
// What it proves: nothing is lost or changed by it, and arguments are refused as on Linux.

#define _GNU_SOURCE
#include <fcntl.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define MSYNC(at, len, flags) SYS(SYS_msync, at, len, flags)

int test_msync(void)
{
    char *area = map(4 * PAGE, RW, ANON);
    char *shared = map(4 * PAGE, RW, SHARED);
    fill(area, 4 * PAGE, 1);
    fill(shared, 4 * PAGE, 2);
    check_result("private", MSYNC(area, 4 * PAGE, MS_SYNC), 0);
    check_result("shared", MSYNC(shared, 4 * PAGE, MS_SYNC), 0);
    check_result("async", MSYNC(shared, 4 * PAGE, MS_ASYNC), 0);
    check_result("invalidate", MSYNC(shared, 4 * PAGE, MS_SYNC | MS_INVALIDATE), 0);
    check_result("no-flags", MSYNC(shared, 4 * PAGE, 0), 0);
    check_result("part", MSYNC(shared + PAGE, PAGE + 5, MS_SYNC), 0);
    check_result("empty", MSYNC(shared, 0, MS_SYNC), 0);
    check_result("untouched", MSYNC(map(PAGE, RW, SHARED), PAGE, MS_SYNC), 0);
    check_result("prot-none", MSYNC(map(PAGE, NONE, ANON), PAGE, MS_SYNC), 0);
    int file = (int)SYS(SYS_open, "/etc/hostname", O_RDONLY);
    char *view = (char *)SYS(SYS_mmap, 0, PAGE, RD, MAP_SHARED, file, 0);
    check_result("file", MSYNC(view, PAGE, MS_SYNC), 0);
    check(holds(area, 4 * PAGE, 1) && holds(shared, 4 * PAGE, 2), "contents", "changed");

    check_error("unaligned", MSYNC(area + 1, PAGE, MS_SYNC), EINVAL);
    check_error("unknown-flag", MSYNC(area, PAGE, 8), EINVAL);
    check_error("both", MSYNC(area, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    check_error("unmapped", MSYNC(hole(PAGE), PAGE, MS_SYNC), ENOMEM);
    check_error("kernel", MSYNC(0xffffffff80000000, PAGE, MS_SYNC), ENOMEM);
    check_error("end-wraps", MSYNC(area, -(long)area, MS_SYNC), ENOMEM);
    SYS(SYS_munmap, area + PAGE, PAGE);
    check_error("hole", MSYNC(area, 4 * PAGE, MS_SYNC), ENOMEM);
    check_error("hole-async", MSYNC(area, 4 * PAGE, MS_ASYNC), ENOMEM);
    return summary();
}
