// errors: tries what each system call must refuse, and checks the errno.
//
// What it proves: wrong file descriptors, pointers, lengths and flags are refused
// with the error that Linux gives, for every call that the other programs here make.
// hostile tries the pointers into the kernel. Standard output must be a terminal, a pipe
// or a file: /dev/null takes any pointer.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "check.h"
#include "sys.h"

enum { PAGE = 4096, NO_FD = 99, NO_PID = 1 << 30 };

// Pointers that no program can use.
#define KERNEL ((char *)0xffffffff80000000UL)
#define NON_CANONICAL ((char *)0x0000800000000000UL)

static char *mapped;   // one page, and
static char *unmapped; // right behind it, one that is not there
static int file;       // this program's own file, for reading
static const char *path;

#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)

static void prepare(void)
{
    mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unmapped = mapped + PAGE;
    path = (const char *)getauxval(AT_EXECFN);
    file = (int)SYS(SYS_openat, AT_FDCWD, path, O_RDONLY);
    int good = mapped != MAP_FAILED && !munmap(unmapped, PAGE) && file >= 0;
    check(good, "prepare", "mapped %p, file %d: %m", (void *)mapped, file);
    if (!good)
        exit(summary());
}

static void test_read_write(void)
{
    static char buffer[16] = "buffer";
    FAILS(EBADF, "write-ebadf", SYS_write, NO_FD, buffer, 6);
    FAILS(EBADF, "write-ebadf-negative", SYS_write, -1, buffer, 6);
    FAILS(EBADF, "write-ebadf-before-efault", SYS_write, NO_FD, NULL, 6);
    FAILS(EBADF, "write-ebadf-read-only", SYS_write, file, buffer, 6);
    FAILS(EFAULT, "write-efault-null", SYS_write, 1, NULL, 6);
    FAILS(EFAULT, "write-efault-unmapped", SYS_write, 1, unmapped, 6);
    FAILS(EFAULT, "write-efault-non-canonical", SYS_write, 1, NON_CANONICAL, 6);
    check_result("write-nothing-from-null", SYS(SYS_write, 1, NULL, 0), 0);

    FAILS(EBADF, "read-ebadf", SYS_read, NO_FD, buffer, 6);
    FAILS(EBADF, "read-ebadf-negative", SYS_read, -1, buffer, 6);
    FAILS(EFAULT, "read-efault-null", SYS_read, file, NULL, 6);
    FAILS(EFAULT, "read-efault-unmapped", SYS_read, file, unmapped, 6);
    FAILS(EFAULT, "read-efault-kernel", SYS_read, file, KERNEL, 6);
    FAILS(EFAULT, "read-efault-text", SYS_read, file, (char *)test_read_write, 6);

    FAILS(EBADF, "close-ebadf", SYS_close, NO_FD);
    FAILS(EBADF, "close-ebadf-negative", SYS_close, -1);
    int again = (int)SYS(SYS_openat, AT_FDCWD, path, O_RDONLY);
    check_result("close", SYS(SYS_close, again), 0);
    FAILS(EBADF, "close-ebadf-twice", SYS_close, again);
    FAILS(EBADF, "read-ebadf-closed", SYS_read, again, buffer, 6);
}

static void test_vectors(void)
{
    static char text[] = "vector\n";
    struct iovec one = {text, 7};
    struct iovec null = {NULL, 7}, kernel = {KERNEL, 7}, gone = {unmapped, 7};
    FAILS(EBADF, "writev-ebadf", SYS_writev, NO_FD, &one, 1);
    FAILS(EINVAL, "writev-einval-count", SYS_writev, 1, &one, -1);
    FAILS(EINVAL, "writev-einval-1025", SYS_writev, 1, &one, 1025);
    FAILS(EFAULT, "writev-efault-vector-null", SYS_writev, 1, NULL, 1);
    FAILS(EFAULT, "writev-efault-vector-kernel", SYS_writev, 1, KERNEL, 1);
    FAILS(EFAULT, "writev-efault-first", SYS_writev, 1, &null, 1);

    struct iovec middle[3] = {one, kernel, one};
    FAILS(EFAULT, "writev-efault-middle-kernel", SYS_writev, 1, middle, 3);
    // What stands before the bad part may have been written.
    middle[1] = gone;
    long result = SYS(SYS_writev, 1, middle, 3);
    check(result == -EFAULT || result == 7, "writev-efault-middle-unmapped", "%ld", result);

    struct iovec negative[2] = {one, {text, ~0UL}};
    FAILS(EINVAL, "writev-einval-length", SYS_writev, 1, negative, 2);

    // The vector's second entry lies on the page that is not there.
    struct iovec *edge = (struct iovec *)unmapped - 1;
    *edge = one;
    FAILS(EFAULT, "writev-efault-vector-end", SYS_writev, 1, edge, 2);
    check_result("writev-none", SYS(SYS_writev, 1, &one, 0), 0);

    FAILS(EBADF, "readv-ebadf", SYS_readv, NO_FD, &one, 1);
    FAILS(EINVAL, "readv-einval-count", SYS_readv, file, &one, -1);
    FAILS(EFAULT, "readv-efault-vector", SYS_readv, file, NULL, 1);
    FAILS(EFAULT, "readv-efault", SYS_readv, file, &kernel, 1);
}

static void test_paths(void)
{
    static char long_path[5001], below[300];
    struct stat status;
    memset(long_path, 'a', sizeof long_path - 1);
    for (size_t i = 0; i < sizeof long_path - 1; i += 100)
        long_path[i] = '/';
    snprintf(below, sizeof below, "%s/below", path);
    // A path without an end before the page that is not there.
    char *endless = unmapped - 8;
    memcpy(endless, "/endless", 8);

    FAILS(ENOENT, "openat-enoent", SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
    FAILS(ENOENT, "openat-enoent-empty", SYS_openat, AT_FDCWD, "", O_RDONLY);
    FAILS(ENOTDIR, "openat-enotdir", SYS_openat, AT_FDCWD, below, O_RDONLY);
    FAILS(ENOTDIR, "openat-enotdir-flag", SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    FAILS(ENAMETOOLONG, "openat-enametoolong", SYS_openat, AT_FDCWD, long_path, O_RDONLY);
    FAILS(EFAULT, "openat-efault-null", SYS_openat, AT_FDCWD, NULL, O_RDONLY);
    FAILS(EFAULT, "openat-efault-kernel", SYS_openat, AT_FDCWD, KERNEL, O_RDONLY);
    FAILS(EFAULT, "openat-efault-endless", SYS_openat, AT_FDCWD, endless, O_RDONLY);
    FAILS(EBADF, "openat-ebadf", SYS_openat, NO_FD, "relative", O_RDONLY);
    FAILS(ENOTDIR, "openat-enotdir-fd", SYS_openat, file, "relative", O_RDONLY);
    FAILS(EISDIR, "openat-eisdir", SYS_openat, AT_FDCWD, "/", O_WRONLY);

    FAILS(ENOENT, "openat-enoent-create", SYS_openat, AT_FDCWD, "/no/such/file", O_CREAT | O_WRONLY);
    FAILS(ENOTDIR, "openat-enotdir-create", SYS_openat, AT_FDCWD, below, O_CREAT | O_WRONLY);
    FAILS(EEXIST, "openat-eexist", SYS_openat, AT_FDCWD, path, O_CREAT | O_EXCL);
    // A path alone: how it is to be written is not looked at.
    int only_path = (int)SYS(SYS_openat, AT_FDCWD, path, O_PATH | O_RDWR | O_CREAT | O_EXCL | O_TRUNC);
    check(only_path >= 0, "openat-path", "%d", only_path);
    FAILS(EBADF, "read-ebadf-path", SYS_read, only_path, long_path, 1);
    FAILS(EBADF, "lseek-ebadf-path", SYS_lseek, only_path, 0, SEEK_SET);
    FAILS(EBADF, "ioctl-ebadf-path", SYS_ioctl, only_path, TCGETS, long_path);
    FAILS(EBADF, "mmap-ebadf-path", SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, only_path, 0);
    FAILS(ENOENT, "openat-enoent-path", SYS_openat, AT_FDCWD, "/no-such-file", O_PATH | O_CREAT);
    SYS(SYS_close, only_path);

    FAILS(ENOENT, "readlink-enoent", SYS_readlink, "/no/such/file", long_path, 10);
    FAILS(EINVAL, "readlink-einval", SYS_readlink, path, long_path, 10);
    FAILS(EINVAL, "readlink-einval-size", SYS_readlink, path, long_path, 0);
    FAILS(EFAULT, "readlink-efault", SYS_readlink, NULL, long_path, 10);

    FAILS(EBADF, "newfstatat-ebadf", SYS_newfstatat, NO_FD, "", &status, AT_EMPTY_PATH);
    FAILS(ENOENT, "newfstatat-enoent", SYS_newfstatat, AT_FDCWD, "/no/such/file", &status, 0);
    FAILS(ENOENT, "newfstatat-enoent-empty", SYS_newfstatat, file, "", &status, 0);
    FAILS(EFAULT, "newfstatat-efault", SYS_newfstatat, file, "", KERNEL, AT_EMPTY_PATH);
    FAILS(EINVAL, "newfstatat-einval", SYS_newfstatat, file, "", &status, 0x40000000);
}

static void test_directories(void)
{
    char here[8];
    int root = (int)SYS(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
    FAILS(ENOENT, "chdir-enoent", SYS_chdir, "/no/such/place");
    FAILS(ENOENT, "chdir-enoent-empty", SYS_chdir, "");
    FAILS(ENOTDIR, "chdir-enotdir", SYS_chdir, path);
    FAILS(EFAULT, "chdir-efault", SYS_chdir, KERNEL);
    FAILS(EBADF, "fchdir-ebadf", SYS_fchdir, NO_FD);
    FAILS(ENOTDIR, "fchdir-enotdir", SYS_fchdir, file);
    FAILS(ERANGE, "getcwd-erange", SYS_getcwd, here, 1);
    FAILS(ERANGE, "getcwd-erange-nothing", SYS_getcwd, NULL, 0);
    FAILS(EFAULT, "getcwd-efault", SYS_getcwd, KERNEL, 4096);
    FAILS(EISDIR, "read-eisdir", SYS_read, root, here, sizeof here);
    FAILS(EBADF, "write-ebadf-directory", SYS_write, root, here, sizeof here);
    FAILS(EBADF, "getdents64-ebadf", SYS_getdents64, NO_FD, here, sizeof here);
    FAILS(ENOTDIR, "getdents64-enotdir", SYS_getdents64, file, mapped, PAGE);
    FAILS(EINVAL, "getdents64-einval", SYS_getdents64, root, mapped, 20);
    FAILS(EFAULT, "getdents64-efault", SYS_getdents64, root, KERNEL, PAGE);
    FAILS(EFAULT, "getdents64-efault-null", SYS_getdents64, root, NULL, PAGE);
    FAILS(EINVAL, "lseek-einval-directory", SYS_lseek, root, -1, SEEK_SET);
    FAILS(ENODEV, "mmap-enodev-directory", SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, root, 0);
    int only_path = (int)SYS(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY);
    FAILS(EBADF, "getdents64-ebadf-path", SYS_getdents64, only_path, mapped, PAGE);
    check_result("fchdir-path", SYS(SYS_fchdir, only_path), 0);
    SYS(SYS_close, only_path);
    SYS(SYS_close, root);
}

static void test_ioctl(void)
{
    char buffer[64];
    FAILS(EBADF, "ioctl-ebadf", SYS_ioctl, NO_FD, TIOCGWINSZ, buffer);
    FAILS(ENOTTY, "ioctl-enotty-winsz", SYS_ioctl, file, TIOCGWINSZ, buffer);
    FAILS(ENOTTY, "ioctl-enotty-tcgets", SYS_ioctl, file, TCGETS, buffer);
    FAILS(ENOTTY, "ioctl-enotty-unknown", SYS_ioctl, file, 0x12345678, buffer);
}

static void test_mmap(void)
{
    enum { RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };
    FAILS(EINVAL, "mmap-einval-empty", SYS_mmap, 0, 0, RW, ANON, -1, 0);
    FAILS(EINVAL, "mmap-einval-unaligned", SYS_mmap, mapped + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    FAILS(EINVAL, "mmap-einval-no-type", SYS_mmap, 0, PAGE, RW, MAP_ANONYMOUS, -1, 0);
    FAILS(EINVAL, "mmap-einval-offset", SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, file, 1);
    FAILS(EBADF, "mmap-ebadf", SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, NO_FD, 0);
    FAILS(ENOMEM, "mmap-enomem", SYS_mmap, 0, 1L << 47, RW, ANON, -1, 0);
    FAILS(ENOMEM, "mmap-enomem-wrap", SYS_mmap, 0, -1L, RW, ANON, -1, 0);
    FAILS(ENOMEM, "mmap-enomem-fixed-wrap", SYS_mmap, mapped, -2L * PAGE, RW, ANON | MAP_FIXED, -1,
          0);
    FAILS(EEXIST, "mmap-eexist", SYS_mmap, mapped, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);

    FAILS(EINVAL, "munmap-einval-unaligned", SYS_munmap, mapped + 1, PAGE);
    FAILS(EINVAL, "munmap-einval-empty", SYS_munmap, mapped, 0);
    FAILS(EINVAL, "munmap-einval-wrap", SYS_munmap, mapped, -PAGE);

    FAILS(EINVAL, "mprotect-einval-unaligned", SYS_mprotect, mapped + 1, PAGE, RW);
    FAILS(EINVAL, "mprotect-einval-bits", SYS_mprotect, mapped, PAGE, 0x100);
    FAILS(ENOMEM, "mprotect-enomem", SYS_mprotect, unmapped, PAGE, RW);
    FAILS(ENOMEM, "mprotect-enomem-tail", SYS_mprotect, mapped, 2 * PAGE, RW);
    FAILS(ENOMEM, "mprotect-enomem-wrap", SYS_mprotect, mapped, -2L * PAGE, RW);
    check_result("mprotect-empty", SYS(SYS_mprotect, mapped, 0, RW), 0);

    FAILS(EINVAL, "mremap-einval-unaligned", SYS_mremap, mapped + 1, PAGE, PAGE, 0);
    FAILS(EINVAL, "mremap-einval-empty", SYS_mremap, mapped, PAGE, 0, 0);
    FAILS(EINVAL, "mremap-einval-flags", SYS_mremap, mapped, PAGE, PAGE, 0x100);
    FAILS(EINVAL, "mremap-einval-fixed", SYS_mremap, mapped, PAGE, PAGE, MREMAP_FIXED, unmapped);
    FAILS(EFAULT, "mremap-efault", SYS_mremap, unmapped, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
    FAILS(ENOMEM, "mremap-enomem", SYS_mremap, mapped, PAGE, 1L << 46, MREMAP_MAYMOVE);

    // Less than before, but the end is no address of the program's.
    FAILS(EINVAL, "mremap-einval-end", SYS_mremap, mapped, -2L * PAGE - (long)mapped, PAGE, 0);
    FAILS(EINVAL, "mremap-einval-wrap", SYS_mremap, mapped, -2L * PAGE, PAGE, 0);
    FAILS(EOVERFLOW, "mmap-eoverflow", SYS_mmap, 0, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, -PAGE);

    FAILS(EINVAL, "madvise-einval-unaligned", SYS_madvise, mapped + 1, PAGE, MADV_DONTNEED);
    FAILS(EINVAL, "madvise-einval-advice", SYS_madvise, mapped, PAGE, 9999);
    FAILS(ENOMEM, "madvise-enomem", SYS_madvise, unmapped, PAGE, MADV_DONTNEED);

    // brk has no errors: it answers with the break as it is.
    long end = SYS(SYS_brk, 0);
    check_result("brk-too-high", SYS(SYS_brk, 1L << 46), end);
    check_result("brk-kernel", SYS(SYS_brk, KERNEL), end);
}

static void test_signals(void)
{
    unsigned long action[4] = {0};
    FAILS(EINVAL, "rt_sigaction-einval-0", SYS_rt_sigaction, 0, NULL, action, 8);
    FAILS(EINVAL, "rt_sigaction-einval-65", SYS_rt_sigaction, 65, NULL, action, 8);
    FAILS(EINVAL, "rt_sigaction-einval-kill", SYS_rt_sigaction, SIGKILL, action, NULL, 8);
    FAILS(EINVAL, "rt_sigaction-einval-stop", SYS_rt_sigaction, SIGSTOP, action, NULL, 8);
    FAILS(EINVAL, "rt_sigaction-einval-size", SYS_rt_sigaction, SIGPIPE, NULL, action, 16);
    FAILS(EFAULT, "rt_sigaction-efault-new", SYS_rt_sigaction, SIGPIPE, KERNEL, NULL, 8);
    FAILS(EFAULT, "rt_sigaction-efault-old", SYS_rt_sigaction, SIGPIPE, NULL, KERNEL, 8);

    stack_t small = {.ss_sp = mapped, .ss_size = 1024};
    stack_t flags = {.ss_sp = mapped, .ss_flags = 0x1234, .ss_size = PAGE};
    FAILS(ENOMEM, "sigaltstack-enomem", SYS_sigaltstack, &small, NULL);
    FAILS(EINVAL, "sigaltstack-einval", SYS_sigaltstack, &flags, NULL);
    FAILS(EFAULT, "sigaltstack-efault-new", SYS_sigaltstack, KERNEL, NULL);
    FAILS(EFAULT, "sigaltstack-efault-old", SYS_sigaltstack, NULL, KERNEL);
}

static void test_time_and_poll(void)
{
    struct timespec time, billion = {0, 1000000000}, negative = {-1, 0}, below = {0, -1};
    FAILS(EINVAL, "clock_gettime-einval", SYS_clock_gettime, 99, &time);
    FAILS(EFAULT, "clock_gettime-efault", SYS_clock_gettime, CLOCK_MONOTONIC, unmapped);
    FAILS(EFAULT, "clock_gettime-efault-kernel", SYS_clock_gettime, CLOCK_REALTIME, KERNEL);
    FAILS(EINVAL, "nanosleep-einval-ns", SYS_nanosleep, &billion, NULL);
    FAILS(EINVAL, "nanosleep-einval-s", SYS_nanosleep, &negative, NULL);
    FAILS(EINVAL, "nanosleep-einval-below", SYS_nanosleep, &below, NULL);
    FAILS(EFAULT, "nanosleep-efault", SYS_nanosleep, NULL, NULL);

    struct pollfd closed = {.fd = NO_FD, .events = POLLIN};
    FAILS(EFAULT, "poll-efault", SYS_poll, KERNEL, 1, 0);
    FAILS(EFAULT, "poll-efault-null", SYS_poll, NULL, 1, 0);
    FAILS(EINVAL, "poll-einval", SYS_poll, &closed, 1UL << 31, 0);
    check_result("poll-closed", SYS(SYS_poll, &closed, 1, 0), 1);
    check_result("poll-pollnval", closed.revents, POLLNVAL);
}

static void test_process(void)
{
    char buffer[128];
    FAILS(EINVAL, "getrandom-einval", SYS_getrandom, buffer, 8, 0x100);
    FAILS(EFAULT, "getrandom-efault", SYS_getrandom, unmapped, 8, 0);
    FAILS(EFAULT, "uname-efault", SYS_uname, unmapped);
    FAILS(EFAULT, "uname-efault-across", SYS_uname, unmapped - 100);
    FAILS(EINVAL, "arch_prctl-einval", SYS_arch_prctl, 0x9999, buffer);
    FAILS(EINVAL, "set_robust_list-einval", SYS_set_robust_list, buffer, 23);
    FAILS(EINVAL, "prlimit64-einval", SYS_prlimit64, 0, 99, NULL, buffer);
    FAILS(ESRCH, "prlimit64-esrch", SYS_prlimit64, NO_PID, RLIMIT_STACK, NULL, buffer);
    FAILS(EFAULT, "prlimit64-efault", SYS_prlimit64, 0, RLIMIT_STACK, NULL, KERNEL);
    FAILS(EINVAL, "sched_getaffinity-einval-7", SYS_sched_getaffinity, 0, 7, buffer);
    FAILS(EINVAL, "sched_getaffinity-einval-0", SYS_sched_getaffinity, 0, 0, buffer);
    FAILS(ESRCH, "sched_getaffinity-esrch", SYS_sched_getaffinity, NO_PID, 128, buffer);
    FAILS(EFAULT, "sched_getaffinity-efault", SYS_sched_getaffinity, 0, 128, KERNEL);
    FAILS(EINVAL, "rseq-einval-length", SYS_rseq, mapped, 7, 0, 0x53053053);
    FAILS(EINVAL, "rseq-einval-unaligned", SYS_rseq, mapped + 4, 32, 0, 0x53053053);
    FAILS(EINVAL, "rseq-einval-flags", SYS_rseq, mapped, 32, 8, 0x53053053);

    FAILS(ENOSYS, "enosys-1000", 1000);
    FAILS(ENOSYS, "enosys-last", 0x3fffffff);
    FAILS(ENOSYS, "enosys-negative", -1);
    FAILS(ENOSYS, "enosys-most-negative", -0x80000000L);
}

int main(void)
{
    prepare();
    test_read_write();
    test_vectors();
    test_paths();
    test_directories();
    test_ioctl();
    test_mmap();
    test_signals();
    test_time_and_poll();
    test_process();
    return summary();
}
