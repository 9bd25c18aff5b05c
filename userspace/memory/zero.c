// memory zero: memory that was not written yet.
//
// What it proves: it reads as zeros; a kernel that maps one page of zeros for all of it
// never lets a write to one place be seen at another, whoever writes: the program, or the
// kernel for it.

#define _GNU_SOURCE
#include <fcntl.h>
#include <time.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

int test_zero(void)
{
    catch_faults(0);
    const long len = 64 * PAGE;
    char *a = map(len, RW, ANON), *b = map(len, RW, ANON), *gap = map(len, RD, ANON);
    check(is_zero(a, len) && is_zero(b, len) && is_zero(gap, len), "read", "not zero");
    a[3 * PAGE] = 1;
    check(a[3 * PAGE] == 1 && is_zero(a, 3 * PAGE) && is_zero(a + 4 * PAGE, len - 4 * PAGE) &&
              is_zero(b, len) && is_zero(gap, len),
          "write", "seen elsewhere");
    fill(a, len, 1);
    check(holds(a, len, 1) && is_zero(b, len) && is_zero(gap, len), "fill", "seen elsewhere");
    fill(b, len, 2);
    check(holds(a, len, 1) && holds(b, len, 2), "two", "are one");

    // The kernel writes to pages that were only read so far.
    char *c = map(len, RW, ANON), *d = map(len, RW, ANON);
    check(is_zero(c, len) && is_zero(d, len), "calls-read", "not zero");
    check_result("getrandom", SYS(SYS_getrandom, c, 256, 0), 256);
    check(!is_zero(c, 256) && is_zero(c + 256, len - 256), "getrandom-place", "not so");
    check_result("clock", SYS(SYS_clock_gettime, CLOCK_MONOTONIC, c + 5 * PAGE), 0);
    check(!is_zero(c + 5 * PAGE, 16), "clock-place", "zero");
    int file = (int)SYS(SYS_open, "/etc/motd", O_RDONLY);
    // Across two pages, of which neither was written.
    long got = SYS(SYS_read, file, c + 10 * PAGE - 2, 4);
    check(got == 4 && c[10 * PAGE - 1] && c[10 * PAGE], "file", "%ld", got);
    check(is_zero(c + 10 * PAGE + 8, len - 10 * PAGE - 8) && is_zero(c + 6 * PAGE, 3 * PAGE),
          "file-place", "not so");
    check(is_zero(d, len) && is_zero(gap, len), "calls-elsewhere", "not zero");

    // Not allowed to write: neither may the kernel.
    char *e = map(PAGE, RW, ANON);
    check(is_zero(e, PAGE), "protected-read", "not zero");
    SYS(SYS_mprotect, e, PAGE, RD);
    check_touch("protected-write", e, WRITE, SEGV_ACCERR);
    check_error("protected-call", SYS(SYS_getrandom, e, 8, 0), EFAULT);
    SYS(SYS_mprotect, e, PAGE, RW);
    check_touch("allowed-write", e, WRITE, 0);
    e[9] = 4;
    check(is_zero(d, len), "allowed-elsewhere", "not zero");

    // Moved and given back while only read.
    char *f = map(4 * PAGE, RW, ANON);
    check(is_zero(f, 4 * PAGE), "move-read", "not zero");
    char *to = hole(4 * PAGE);
    SYS(SYS_mremap, f, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    check(is_zero(to, 4 * PAGE), "moved", "not zero");
    to[PAGE] = 9;
    check(is_zero(to, PAGE) && is_zero(to + 2 * PAGE, 2 * PAGE) && is_zero(d, len), "moved-write",
          "seen elsewhere");
    SYS(SYS_madvise, to, 4 * PAGE, MADV_DONTNEED);
    check(is_zero(to, 4 * PAGE), "given-back", "not zero");

    // Shared memory is one, whether it is read or written first.
    char *shared = map(4 * PAGE, RW, SHARED);
    char *twin = (char *)SYS(SYS_mremap, shared, 0, 4 * PAGE, MREMAP_MAYMOVE);
    check(!is_error(twin) && is_zero(shared, 4 * PAGE) && is_zero(twin, 4 * PAGE), "shared-read",
          "not zero");
    if (!is_error(twin)) {
        twin[PAGE] = 5;
        check(shared[PAGE] == 5, "shared-write", "not seen");
    }
    check(is_zero(shared + 2 * PAGE, PAGE) && is_zero(d, len), "shared-elsewhere", "not zero");

    // Many pages read, and a large area that is only read.
    char *large = map(16 * MIB, RW, ANON);
    check(is_zero(large, 16 * MIB), "large-read", "not zero");
    large[7 * MIB + 5] = 1;
    check(is_zero(large, 7 * MIB) && is_zero(large + 7 * MIB + PAGE, 9 * MIB - PAGE), "large-write",
          "seen elsewhere");
    return summary();
}
