// memory mmap: where mappings go, what they hold, and what mmap refuses.
//
// What it proves: each kind of mapping has the contents, the place and the access that was
// asked for, and what cannot be is refused with Linux's error.

#define _GNU_SOURCE
#include <fcntl.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

#define MMAP(...) SYS(SYS_mmap, __VA_ARGS__)

static void test_anonymous(void)
{
    char *area = map(3 * PAGE, RW, ANON);
    check(is_zero(area, 3 * PAGE), "private-zero", "not zero");
    fill(area, 3 * PAGE, 1);
    check(holds(area, 3 * PAGE, 1), "private-holds", "changed");
    char *shared = map(3 * PAGE, RW, SHARED);
    check(is_zero(shared, 3 * PAGE), "shared-zero", "not zero");
    fill(shared, 3 * PAGE, 2);
    check(holds(shared, 3 * PAGE, 2) && holds(area, 3 * PAGE, 1), "shared-holds", "changed");
    char *odd = map(PAGE + 1, RW, ANON);
    check_touch("odd-length-rounded-up", odd + 2 * PAGE - 1, WRITE, 0);
    char *none = map(PAGE, NONE, ANON);
    check_touch("prot-none-read", none, READ, SEGV_ACCERR);
    check_touch("prot-none-write", none, WRITE, SEGV_ACCERR);
    char *read_only = map(PAGE, RD, ANON);
    check_touch("read-only-read", read_only, READ, 0);
    check_touch("read-only-write", read_only, WRITE, SEGV_ACCERR);
    check(*read_only == 0, "read-only-zero", "not zero");
    // Unlike what it says, it can be read on x86.
    char *write_only = map(PAGE, PROT_WRITE, ANON);
    check_touch("write-only-write", write_only, WRITE, 0);
    check_touch("write-only-read", write_only, READ, 0);
}

static void test_places(void)
{
    char *at = hole(8 * PAGE);
    check(map_at(at, PAGE, RW, ANON) == at, "hint-free", "not taken");
    *at = 5;
    check(map_at(at + 2 * PAGE + 9, PAGE, RW, ANON) == at + 2 * PAGE, "hint-rounded-down", "not so");
    char *other = map_at(at, PAGE, RW, ANON);
    check(other != at && *at == 5, "hint-taken", "%p replaced", at);
    other = map_at((void *)USER_END, PAGE, RW, ANON);
    check((long)other > 0 && (long)other < USER_END, "hint-kernel", "at %p", (void *)other);

    check(map_at(at + PAGE, PAGE, RW, ANON | MAP_FIXED) == at + PAGE, "fixed-free", "not taken");
    fill(at, 2 * PAGE, 3);
    char *area = map(8 * PAGE, RW, ANON);
    fill(area, 8 * PAGE, 4);
    check(map_at(area + 2 * PAGE, 3 * PAGE, RW, ANON | MAP_FIXED) == area + 2 * PAGE,
          "fixed-replaces", "elsewhere");
    check(is_zero(area + 2 * PAGE, 3 * PAGE), "fixed-replaced-zero", "old contents");
    check(holds(area, 2 * PAGE, 4) && holds_from(area + 5 * PAGE, 3 * PAGE, 4, 5),
          "fixed-neighbours", "changed");
    map_at(area + PAGE, 2 * PAGE, RD, ANON | MAP_FIXED);
    check_touch("fixed-other-access", area + PAGE, WRITE, SEGV_ACCERR);
    check_touch("fixed-neighbour-access", area, WRITE, 0);

    const int noreplace = ANON | MAP_FIXED_NOREPLACE;
    check_error("noreplace-taken", MMAP(area, PAGE, RW, noreplace, -1, 0), EEXIST);
    check_error("noreplace-overlap", MMAP(area - PAGE, 2 * PAGE, RW, noreplace, -1, 0), EEXIST);
    SYS(SYS_munmap, area + 6 * PAGE, PAGE);
    check(map_at(area + 6 * PAGE, PAGE, RW, noreplace) == area + 6 * PAGE, "noreplace-free",
          "not taken");
    check(holds_from(area + 5 * PAGE, PAGE, 4, 5) && is_zero(area + 6 * PAGE, PAGE),
          "noreplace-contents", "changed");
    check_error("noreplace-unaligned", MMAP(at + 1, PAGE, RW, noreplace, -1, 0), EINVAL);
    check_error("noreplace-user-end", MMAP(USER_END, PAGE, RW, noreplace, -1, 0), ENOMEM);

    char *low = map(PAGE, RW, ANON | MAP_32BIT);
    check((long)low + PAGE <= 1L << 32, "32bit", "at %p", (void *)low);
    check_touch("32bit-write", low, WRITE, 0);
    char *grows = map(2 * PAGE, RW, ANON | MAP_GROWSDOWN);
    check_touch("growsdown-write", grows, WRITE, 0);
    check_error("growsdown-shared", MMAP(0, PAGE, RW, SHARED | MAP_GROWSDOWN, -1, 0), EINVAL);
}

static void test_refused(void)
{
    check_error("empty", MMAP(0, 0, RW, ANON, -1, 0), EINVAL);
    check_error("empty-fixed", MMAP(PAGE * 100, 0, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
    check_error("whole-space", MMAP(0, 1L << 47, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
    check_error("wraps", MMAP(0, -1L, RW, ANON, -1, 0), ENOMEM);
    check_error("wraps-to-a-page", MMAP(0, -PAGE, RW, ANON, -1, 0), ENOMEM);
    char *page = map(PAGE, RW, ANON);
    check_error("fixed-unaligned", MMAP(page + 8, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
    check_error("fixed-user-end", MMAP(USER_END, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    check_error("fixed-across-end", MMAP(USER_END - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0),
                ENOMEM);
    check_error("fixed-kernel", MMAP(0xffffffff80000000, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    check_error("fixed-non-canonical", MMAP(1L << 47, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    check_error("fixed-wraps", MMAP(page, -2L * PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    check_error("no-type", MMAP(0, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    check_error("validate-unknown-flag",
                MMAP(0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS | 1 << 23, -1, 0), EINVAL);
    check_touch("refused-keep-what-was", page, WRITE, 0);

    // More than any machine has, which could never be filled.
    const long much = 1L << 45;
    check_error("overcommit", MMAP(0, much, RW, ANON, -1, 0), ENOMEM);
    check_error("overcommit-shared", MMAP(0, much, RW, SHARED, -1, 0), ENOMEM);
    char *none = (char *)MMAP(0, much, NONE, ANON, -1, 0);
    check(!is_error(none), "address-space-only", "%ld", (long)none);
    check_error("overcommit-by-mprotect", SYS(SYS_mprotect, none, much, RW), ENOMEM);
    check_result("address-space-back", SYS(SYS_munmap, none, much), 0);
    char *most = (char *)MMAP(0, much, RW, ANON | MAP_NORESERVE, -1, 0);
    check(!is_error(most), "noreserve", "%ld", (long)most);
    check_touch("noreserve-middle", most + much / 2, WRITE, 0);
    check_result("noreserve-back", SYS(SYS_munmap, most, much), 0);
    // Takes no more for its size when it is shared.
    char *shared = (char *)MMAP(0, much, RW, SHARED | MAP_NORESERVE, -1, 0);
    check(!is_error(shared), "noreserve-shared", "%ld", (long)shared);
    check_touch("noreserve-shared-end", shared + much - 1, WRITE, 0);
    check_touch("noreserve-shared-start", shared, WRITE, 0);
    check_result("noreserve-shared-back", SYS(SYS_munmap, shared, much), 0);
}

static void test_populate(void)
{
    char *area = map(64 * PAGE, RW, ANON | MAP_POPULATE);
    int all = 1;
    for (int page = 0; page < 64; page++)
        all &= resident(area + page * PAGE) == 1;
    check(all, "populate", "not all pages are there");
    check(is_zero(area, 64 * PAGE), "populate-zero", "not zero");
    check_touch("populate-prot-none", map(PAGE, NONE, ANON | MAP_POPULATE), READ, SEGV_ACCERR);
}

static void test_file(void)
{
    static char bytes[PAGE];
    int file = (int)SYS(SYS_open, "/etc/hostname", O_RDONLY);
    long len = SYS(SYS_read, file, bytes, PAGE);
    check(len > 0 && len < PAGE, "file-read", "%ld", len);
    char *view = (char *)MMAP(0, 2 * PAGE, RW, MAP_PRIVATE, file, 0);
    check(!is_error(view) && !memcmp(view, bytes, PAGE), "file-contents", "others");
    check_touch("file-beyond-end", view + PAGE, READ, BUS + BUS_ADRERR);
    view[0] ^= 0x55;
    char *again = (char *)MMAP(0, PAGE, RD, MAP_PRIVATE, file, 0);
    char *shared = (char *)MMAP(0, PAGE, RD, MAP_SHARED, file, 0);
    check(!is_error(again) && again[0] == bytes[0], "file-private-writes", "seen by others");
    check(!is_error(shared) && !memcmp(shared, bytes, PAGE), "file-shared-read", "others");
    check_touch("file-shared-write", shared, WRITE, SEGV_ACCERR);
    check_error("file-shared-writable", MMAP(0, PAGE, RW, MAP_SHARED, file, 0), EACCES);
    check_error("file-offset-unaligned", MMAP(0, PAGE, RD, MAP_PRIVATE, file, 8), EINVAL);
    check_error("file-validate-flag",
                MMAP(0, PAGE, RD, MAP_SHARED_VALIDATE | 1 << 23, file, 0), EOPNOTSUPP);
    check_error("file-bad", MMAP(0, PAGE, RD, MAP_PRIVATE, 999, 0), EBADF);
    check_error("file-bad-shared", MMAP(0, PAGE, RD, MAP_SHARED, -1, 0), EBADF);
    long beyond = MMAP(0, PAGE, RD, MAP_PRIVATE, file, 16 * PAGE);
    check(beyond > 0, "file-offset-beyond", "%ld", beyond);
    check_touch("file-offset-beyond-read", (void *)beyond, READ, BUS + BUS_ADRERR);
    int directory = (int)SYS(SYS_open, "/etc", O_RDONLY);
    check_error("directory", MMAP(0, PAGE, RD, MAP_PRIVATE, directory, 0), ENODEV);
    SYS(SYS_close, file);
    check(again[0] == bytes[0] && view[1] == bytes[1], "file-closed", "gone");
}

// Last: it gives up rights, where there are any. With them Linux lets page 0 be mapped.
static void test_page_zero(void)
{
    SYS(SYS_setuid, 65534);
    check_error("page-zero", MMAP(0, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
    check_error("page-zero-noreplace", MMAP(0, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EPERM);
    check_error("page-zero-growsdown", MMAP(0, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0),
                EPERM);
    check_touch("page-zero-read", (void *)8, READ, SEGV_MAPERR);
    long low = MMAP(8, PAGE, RW, ANON, -1, 0);
    check(low >= PAGE, "page-zero-hint", "%ld", low);
}

int test_mmap(void)
{
    catch_faults(0);
    test_anonymous();
    test_places();
    test_refused();
    test_populate();
    test_file();
    test_page_zero();
    return summary();
}
