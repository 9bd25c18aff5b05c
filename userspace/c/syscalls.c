// syscalls: what each system call must do when all is well.
//
// What it proves: every call that the programs here and their C libraries and
// runtimes make gives the result that Linux gives, and leaves registers alone.
// errors has what must be refused; malloc_test has the rest of memory.

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

enum { PAGE = 4096 };

static uint64_t now_ns(void)
{
    struct timespec now = {0};
    SYS(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int all_zero(const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i])
            return 0;
    return 1;
}

static void test_write(void)
{
    static char text[] = "written\n";
    check_result("write", SYS(SYS_write, 1, text, 8), 8);
    check_result("write-nothing", SYS(SYS_write, 1, text, 0), 0);
    struct iovec parts[] = {{text, 3}, {NULL, 0}, {text + 3, 4}, {"", 0}, {text + 7, 1}};
    check_result("writev", SYS(SYS_writev, 1, parts, 5), 8);
    check_result("writev-none", SYS(SYS_writev, 1, parts, 0), 0);
    check_result("write-stderr", SYS(SYS_write, 2, text, 8), 8);
}

// The call may change rax, rcx and r11 only; rcx and r11 get what syscall puts there.
static void test_registers(void)
{
    uint64_t before[16], after[16];
    for (int i = 0; i < 16; i++)
        before[i] = 0x0101010101010101u * (unsigned)(i + 1);
    before[0] = SYS_getpid;
    __asm__ volatile("push %%rbp\n\t"
                     "push %[after]\n\t"
                     "mov %[before], %%rax\n\t"
                     "mov 8(%%rax), %%rbx\n\t"
                     "mov 16(%%rax), %%rdx\n\t"
                     "mov 24(%%rax), %%rsi\n\t"
                     "mov 32(%%rax), %%rdi\n\t"
                     "mov 40(%%rax), %%rbp\n\t"
                     "mov 48(%%rax), %%r8\n\t"
                     "mov 56(%%rax), %%r9\n\t"
                     "mov 64(%%rax), %%r10\n\t"
                     "mov 72(%%rax), %%r12\n\t"
                     "mov 80(%%rax), %%r13\n\t"
                     "mov 88(%%rax), %%r14\n\t"
                     "mov 96(%%rax), %%r15\n\t"
                     "mov (%%rax), %%rax\n\t"
                     "syscall\n"
                     "1:\n\t"
                     "xchg %%rax, (%%rsp)\n\t" // rax: after; the stack: the result
                     "mov %%rbx, 8(%%rax)\n\t"
                     "mov %%rdx, 16(%%rax)\n\t"
                     "mov %%rsi, 24(%%rax)\n\t"
                     "mov %%rdi, 32(%%rax)\n\t"
                     "mov %%rbp, 40(%%rax)\n\t"
                     "mov %%r8, 48(%%rax)\n\t"
                     "mov %%r9, 56(%%rax)\n\t"
                     "mov %%r10, 64(%%rax)\n\t"
                     "mov %%r12, 72(%%rax)\n\t"
                     "mov %%r13, 80(%%rax)\n\t"
                     "mov %%r14, 88(%%rax)\n\t"
                     "mov %%r15, 96(%%rax)\n\t"
                     "lea 1b(%%rip), %%rdx\n\t"
                     "sub %%rdx, %%rcx\n\t"
                     "mov %%rcx, 104(%%rax)\n\t" // 0 if rcx was the return address
                     "mov %%r11, 112(%%rax)\n\t"
                     "popq 120(%%rax)\n\t"
                     "pop %%rbp"
                     :
                     : [before] "D"(before), [after] "S"(after)
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
    int changed = 0;
    for (int i = 1; i <= 12; i++)
        changed += before[i] != after[i];
    check(!changed, "registers", "%d changed", changed);
    check_result("registers-rcx", (long)after[13], 0);
    check((after[14] & 0x202) == 0x202, "registers-r11", "%#lx", (unsigned long)after[14]);
    check_result("registers-rax", (long)after[15], SYS(SYS_getpid));
}

static void test_time(void)
{
    struct timespec time;
    check_result("clock_gettime-realtime", SYS(SYS_clock_gettime, CLOCK_REALTIME, &time), 0);
    check(time.tv_nsec >= 0 && time.tv_nsec < 1000000000, "clock_gettime-ns", "%ld", time.tv_nsec);
    check_result("clock_gettime-monotonic", SYS(SYS_clock_gettime, CLOCK_MONOTONIC, &time), 0);
    uint64_t last = now_ns();
    int back = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = now_ns();
        back += now < last;
        last = now;
    }
    check(!back, "clock-monotonic", "went back %d times", back);
    // Moves while a program computes.
    uint64_t start = now_ns();
    for (long i = 0; i < 1000000000 && now_ns() - start < 5000000; i++)
        ;
    check(now_ns() - start >= 5000000, "clock-moves", "stands still");

    uint64_t before = now_ns();
    struct timespec length = {0, 20000000};
    check_result("nanosleep", SYS(SYS_nanosleep, &length, NULL), 0);
    uint64_t slept = now_ns() - before;
    check(slept >= 20000000, "nanosleep-length", "%lu ns", (unsigned long)slept);
    length.tv_nsec = 0;
    check_result("nanosleep-zero", SYS(SYS_nanosleep, &length, NULL), 0);
}

static void test_poll(void)
{
    struct pollfd standard[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};
    long ready = SYS(SYS_poll, standard, 3, 0);
    int closed = (standard[0].revents | standard[1].revents | standard[2].revents) & POLLNVAL;
    check(ready >= 0 && !closed, "poll-standard", "%ld, closed %d", ready, closed);
    struct pollfd out[2] = {{.fd = 1, .events = POLLOUT}, {.fd = -1, .events = POLLIN}};
    check_result("poll-out", SYS(SYS_poll, out, 2, 1000), 1);
    check_result("poll-pollout", out[0].revents, POLLOUT);
    check_result("poll-ignored", out[1].revents, 0);
    uint64_t before = now_ns();
    check_result("poll-timeout", SYS(SYS_poll, NULL, 0, 20), 0);
    check(now_ns() - before >= 20000000, "poll-timeout-length", "too short");
}

static void test_identity(void)
{
    long pid = SYS(SYS_getpid);
    check(pid > 0 && SYS(SYS_getpid) == pid, "getpid", "%ld", pid);
    check_result("gettid", SYS(SYS_gettid), pid);
    static int tid;
    check_result("set_tid_address", SYS(SYS_set_tid_address, &tid), pid);
    struct utsname name;
    check_result("uname", SYS(SYS_uname, &name), 0);
    check(name.sysname[0] && name.nodename[0] && name.version[0], "uname-names", "empty");
    check(name.release[0] >= '0' && name.release[0] <= '9', "uname-release", "%s", name.release);
    check(!strcmp(name.machine, "x86_64"), "uname-machine", "%s", name.machine);
}

static void test_getrandom(void)
{
    static unsigned char first[4096], second[4096];
    check_result("getrandom", SYS(SYS_getrandom, first, 256, 0), 256);
    check_result("getrandom-nonblock", SYS(SYS_getrandom, second, 256, 1), 256);
    check(memcmp(first, second, 256) && !all_zero(first, 256), "getrandom-differs", "the same");
    check_result("getrandom-page", SYS(SYS_getrandom, first, 4096, 0), 4096);
    check(!all_zero(first + 4000, 96), "getrandom-page-filled", "zero at the end");
    check_result("getrandom-nothing", SYS(SYS_getrandom, first, 0, 0), 0);
}

static void test_memory(void)
{
    enum { RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };
    // Address space is reserved without memory; one page in it is then used.
    const long gib = 1L << 30;
    char *reserved = mmap(NULL, gib, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    check(reserved != MAP_FAILED, "mmap-reserve", "%m");
    if (reserved != MAP_FAILED) {
        char *page = reserved + gib / 2;
        check_result("mprotect-commit", SYS(SYS_mprotect, page, PAGE, RW), 0);
        check(all_zero((unsigned char *)page, PAGE), "mprotect-commit-zero", "not zero");
        memset(page, 1, PAGE);
        check_result("madvise-dontneed", SYS(SYS_madvise, page, PAGE, MADV_DONTNEED), 0);
        check(all_zero((unsigned char *)page, PAGE), "madvise-dontneed-zero", "not zero");
        check_result("madvise-free", SYS(SYS_madvise, page, PAGE, MADV_FREE), 0);
        check_result("munmap-reserve", SYS(SYS_munmap, reserved, gib), 0);
    }
    // A length that is no multiple of a page is rounded up.
    char *odd = mmap(NULL, PAGE + 1, RW, ANON | MAP_STACK, -1, 0);
    check(odd != MAP_FAILED, "mmap-odd-length", "%m");
    if (odd != MAP_FAILED) {
        odd[2 * PAGE - 1] = 1;
        check_result("munmap-odd-length", SYS(SYS_munmap, odd, PAGE + 1), 0);
        // It is free now: a hint there is followed, and rounded down.
        long hinted = SYS(SYS_mmap, odd + 8, PAGE, RW, ANON, -1, 0);
        check_result("mmap-hint", hinted, (long)odd);
        SYS(SYS_munmap, hinted, PAGE);
    }
    // A MAP_FIXED mapping replaces what was there.
    char *area = mmap(NULL, 3 * PAGE, RW, ANON, -1, 0);
    memset(area, 7, 3 * PAGE);
    check_result("mmap-fixed", SYS(SYS_mmap, area + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0),
                 (long)area + PAGE);
    check(all_zero((unsigned char *)area + PAGE, PAGE), "mmap-fixed-zero", "not zero");
    check(area[PAGE - 1] == 7 && area[2 * PAGE] == 7, "mmap-fixed-around", "changed");
    // Machine code, written and then made executable: mov eax, 42; ret.
    memcpy(area, "\xb8\x2a\0\0\0\xc3", 6);
    check_result("mprotect-exec", SYS(SYS_mprotect, area, PAGE, PROT_READ | PROT_EXEC), 0);
    check_result("mprotect-exec-runs", ((int (*)(void))(uintptr_t)area)(), 42);
    check_result("munmap", SYS(SYS_munmap, area, 3 * PAGE), 0);
}

static void test_files(void)
{
    const char *path = (const char *)getauxval(AT_EXECFN);
    char head[4], first[64], second[64];
    int file = (int)SYS(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    check(file >= 3, "openat", "%d", file);
    if (file < 0)
        return;
    check_result("read", SYS(SYS_read, file, head, 4), 4);
    check(!memcmp(head, "\177ELF", 4), "read-contents", "no ELF");
    check_result("read-on", SYS(SYS_read, file, first, 64), 64);
    check_result("read-nothing", SYS(SYS_read, file, NULL, 0), 0);
    int other = (int)SYS(SYS_openat, AT_FDCWD, path, O_RDONLY);
    check(other > file, "openat-again", "%d", other);
    struct iovec parts[] = {{head, 4}, {NULL, 0}, {second, 64}};
    check_result("readv", SYS(SYS_readv, other, parts, 3), 68);
    check(!memcmp(head, "\177ELF", 4) && !memcmp(first, second, 64), "readv-contents", "differ");

    struct stat status = {0};
    check_result("newfstatat", SYS(SYS_newfstatat, file, "", &status, AT_EMPTY_PATH), 0);
    check(S_ISREG(status.st_mode) && status.st_size > 4096, "newfstatat-regular", "%o, %ld",
          status.st_mode, (long)status.st_size);
    struct stat by_path = {0};
    check_result("newfstatat-path", SYS(SYS_newfstatat, AT_FDCWD, path, &by_path, 0), 0);
    check(by_path.st_ino == status.st_ino && by_path.st_size == status.st_size,
          "newfstatat-same", "differ");

    // To the end of the file: as many bytes as it is long.
    static char buffer[8192];
    long total = 68, got;
    while ((got = SYS(SYS_read, other, buffer, sizeof buffer)) > 0)
        total += got;
    check_result("read-to-end", total, (long)status.st_size);
    check_result("read-at-end", got, 0);
    check_result("close-other", SYS(SYS_close, other), 0);
    // The lowest free number is taken.
    check_result("openat-lowest", SYS(SYS_openat, AT_FDCWD, path, O_RDONLY), other);
    check_result("close-again", SYS(SYS_close, other), 0);
    check_result("close", SYS(SYS_close, file), 0);
}

static void test_directories(void)
{
    char here[256], entries[2048];
    check(SYS(SYS_getcwd, here, sizeof here) > 1 && here[0] == '/', "getcwd", "%s", here);
    check_result("chdir", SYS(SYS_chdir, "/proc/self/.."), 0);
    check_result("getcwd-length", SYS(SYS_getcwd, here, sizeof here), 6);
    check(!strcmp(here, "/proc"), "getcwd-proc", "%s", here);
    int relative = (int)SYS(SYS_openat, AT_FDCWD, "self/stat", O_RDONLY);
    check(relative >= 3, "openat-relative", "%d", relative);
    check_result("close-relative", SYS(SYS_close, relative), 0);

    int root = (int)SYS(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
    check_result("fchdir", SYS(SYS_fchdir, root), 0);
    check_result("getcwd-root", SYS(SYS_getcwd, here, 2), 2);
    long got, found = 0, all = 0;
    while ((got = SYS(SYS_getdents64, root, entries, sizeof entries)) > 0) {
        // Inode, position, length, type, name.
        for (long at = 0; at < got; at += *(unsigned short *)(entries + at + 16)) {
            const char *name = entries + at + 19;
            all++;
            found += (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "proc")) &&
                     entries[at + 18] == 4 && *(long *)(entries + at) != 0;
        }
    }
    check(got == 0 && found == 3, "getdents64", "%ld, %ld of %ld", got, found, all);
    check_result("getdents64-end", SYS(SYS_getdents64, root, entries, sizeof entries), 0);
    check_result("lseek-start", SYS(SYS_lseek, root, 0, SEEK_SET), 0);
    check(SYS(SYS_getdents64, root, entries, sizeof entries) > 0, "getdents64-again", "nothing");
    check_result("close-root", SYS(SYS_close, root), 0);
}

static void test_signals(void)
{
    enum { FLAGS = SA_RESTART | 0x04000000 }; // SA_RESTORER
    unsigned long action[4] = {(unsigned long)SIG_IGN, FLAGS, 0x1234, 1 << (SIGPIPE - 1)};
    unsigned long old[4] = {~0UL, ~0UL, ~0UL, ~0UL}, restore[4];
    check_result("rt_sigaction-get", SYS(SYS_rt_sigaction, SIGSEGV, NULL, old, 8), 0);
    check_result("rt_sigaction-default", (long)old[0], (long)SIG_DFL);
    check_result("rt_sigaction-set", SYS(SYS_rt_sigaction, SIGPIPE, action, restore, 8), 0);
    check_result("rt_sigaction-get-set", SYS(SYS_rt_sigaction, SIGPIPE, NULL, old, 8), 0);
    check(!memcmp(action, old, sizeof old), "rt_sigaction-kept", "differs");
    check_result("rt_sigaction-restore", SYS(SYS_rt_sigaction, SIGPIPE, restore, NULL, 8), 0);

    static char memory[16384];
    stack_t stack = {0}, set = {.ss_sp = memory, .ss_size = sizeof memory};
    check_result("sigaltstack-get", SYS(SYS_sigaltstack, NULL, &stack), 0);
    check_result("sigaltstack-none", stack.ss_flags, SS_DISABLE);
    check_result("sigaltstack-set", SYS(SYS_sigaltstack, &set, NULL), 0);
    stack_t disable = {.ss_flags = SS_DISABLE};
    check_result("sigaltstack-swap", SYS(SYS_sigaltstack, &disable, &stack), 0);
    check(stack.ss_sp == memory && stack.ss_size == sizeof memory && !stack.ss_flags,
          "sigaltstack-kept", "differs");
}

static void test_runtime(void)
{
    struct winsize size;
    long result = SYS(SYS_ioctl, 1, TIOCGWINSZ, &size);
    check(result == 0 || result == -ENOTTY, "ioctl-winsz", "%ld", result);
    char terminal[64];
    check_result("ioctl-tcgets", SYS(SYS_ioctl, 1, TCGETS, terminal), result);

    static struct {
        void *next;
        long offset;
        void *pending;
    } robust = {&robust, 0, NULL};
    check_result("set_robust_list", SYS(SYS_set_robust_list, &robust, 24), 0);

    struct {
        uint64_t soft, hard;
    } limit = {0, 0};
    check_result("prlimit64", SYS(SYS_prlimit64, 0, RLIMIT_STACK, NULL, &limit), 0);
    check(limit.soft >= 65536 && limit.hard >= limit.soft, "prlimit64-stack", "%lu",
          (unsigned long)limit.soft);

    unsigned long cpus[16] = {0};
    long length = SYS(SYS_sched_getaffinity, 0, sizeof cpus, cpus);
    check(length > 0 && length % 8 == 0, "sched_getaffinity", "%ld", length);
    check(!all_zero((unsigned char *)cpus, sizeof cpus), "sched_getaffinity-cpus", "none");

    char executable[256];
    result = SYS(SYS_readlink, "/proc/self/exe", executable, sizeof executable);
    check((result > 0 && executable[0] == '/') || result == -ENOENT, "readlink-exe", "%ld", result);

    static char area[32] __attribute__((aligned(32)));
    check_result("rseq", SYS(SYS_rseq, area, 32, 0, 0x53053053), 0);
    check_result("rseq-unregister", SYS(SYS_rseq, area, 32, 1, 0x53053053), 0);
}

int main(void)
{
    test_write();
    test_registers();
    test_time();
    test_poll();
    test_identity();
    test_getrandom();
    test_memory();
    test_files();
    test_directories();
    test_signals();
    test_runtime();
    return summary();
}
