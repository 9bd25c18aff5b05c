// Ways round the protection of memory: page 0 by every call that places a mapping, kernel
// addresses by every kind of pointer that a call takes, and frames of signal handlers that
// would lead into the kernel or to rights that a program has not.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>

#include "hostile.h"

enum { RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

// Linux lets a program with enough rights map page 0: it gives them up.
static void drop_rights(void) { SYS(SYS_setuid, 65534); }

// Whether address 8 can be written: then the program goes on, else it ends here.
static int page_zero_is_there(void)
{
    __asm__ volatile("movb $1, (%0)" ::"r"(8L) : "memory");
    return 1;
}

static int map_page_zero(int flags)
{
    drop_rights();
    if (SYS(SYS_mmap, 0, PAGE_SIZE, RW, ANON | flags, -1, 0) != -EPERM)
        return 1;
    return page_zero_is_there();
}

static int page_zero_fixed(void) { return map_page_zero(MAP_FIXED); }
static int page_zero_noreplace(void) { return map_page_zero(MAP_FIXED_NOREPLACE); }
static int page_zero_shared(void)
{
    drop_rights();
    if (SYS(SYS_mmap, 0, 16 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != -EPERM)
        return 1;
    return page_zero_is_there();
}

static int page_zero_remap(void)
{
    drop_rights();
    unsigned char *page = fresh_page();
    page[0] = 1;
    long moved = SYS(SYS_mremap, page, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 0);
    if (moved != -EPERM && moved != -EINVAL)
        return 1;
    return page_zero_is_there();
}

static int page_zero_break(void)
{
    drop_rights();
    long now = SYS(SYS_brk, 0);
    if (SYS(SYS_brk, PAGE_SIZE) != now || SYS(SYS_brk, 16) != now)
        return 1;
    return page_zero_is_there();
}

// An area just above what may be mapped grows down.
static int page_zero_growth(void)
{
    drop_rights();
    unsigned char *low = (unsigned char *)0x10000;
    if ((long)low != SYS(SYS_mmap, low, PAGE_SIZE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0))
        return 1;
    *(volatile unsigned char *)low = 1;
    return page_zero_is_there();
}

// By a call's pointer, which makes such an area grow, too.
static int page_zero_growth_by_call(void)
{
    drop_rights();
    unsigned char *low = (unsigned char *)0x10000;
    if ((long)low != SYS(SYS_mmap, low, PAGE_SIZE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0))
        return 1;
    if (SYS(SYS_getrandom, 8, 8, 0) != -EFAULT)
        return 1;
    return page_zero_is_there();
}

static int page_zero_protect(void)
{
    if (SYS(SYS_mprotect, 0, PAGE_SIZE, RW) != -ENOMEM)
        return 1;
    return page_zero_is_there();
}

static int move_kernel(void)
{
    const int fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
    unsigned char *page = fresh_page();
    return SYS(SYS_mremap, KERNEL_IMAGE, PAGE_SIZE, PAGE_SIZE, fixed, page) >= 0 ||
           SYS(SYS_mremap, page, PAGE_SIZE, PAGE_SIZE, fixed, KERNEL_IMAGE) != -EINVAL ||
           SYS(SYS_mremap, page, PAGE_SIZE, PAGE_SIZE, fixed, NON_CANONICAL) != -EINVAL ||
           SYS(SYS_madvise, KERNEL_IMAGE, PAGE_SIZE, MADV_DONTNEED) != -ENOMEM ||
           SYS(SYS_madvise, KERNEL_HALF, PAGE_SIZE, MADV_DONTNEED) != -ENOMEM ||
           SYS(SYS_brk, KERNEL_HALF) == (long)KERNEL_HALF;
}

// Calls with a pointer to `at`, each of which must fail with EFAULT. A call that is not
// there cannot be a way in.
static int give(unsigned long at)
{
    char buffer[64];
    const int file = (int)SYS(SYS_open, "/", O_RDONLY);
    const struct iovec part = {(void *)at, 8};
    struct call {
        const char *name;
        long result;
    } calls[] = {
        {"open", SYS(SYS_open, at, O_RDONLY)},
        {"openat", SYS(SYS_openat, AT_FDCWD, at, O_RDONLY)},
        {"stat", SYS(SYS_stat, at, buffer)},
        {"stat result", SYS(SYS_stat, "/", at)},
        {"fstat", SYS(SYS_fstat, file, at)},
        {"newfstatat", SYS(SYS_newfstatat, AT_FDCWD, "/", at, 0)},
        {"readlink", SYS(SYS_readlink, at, buffer, sizeof buffer)},
        {"write", SYS(SYS_write, 1, at, 8)},
        {"writev vector", SYS(SYS_writev, 1, at, 1)},
        {"writev part", SYS(SYS_writev, 1, &part, 1)},
        {"readv vector", SYS(SYS_readv, 0, at, 1)},
        {"poll", SYS(SYS_poll, at, 1, 0)},
        {"clock_gettime", SYS(SYS_clock_gettime, CLOCK_MONOTONIC, at)},
        {"clock_getres", SYS(SYS_clock_getres, CLOCK_MONOTONIC, at)},
        {"gettimeofday", SYS(SYS_gettimeofday, at, 0)},
        {"time", SYS(SYS_time, at)},
        {"nanosleep", SYS(SYS_nanosleep, at, 0)},
        {"clock_nanosleep", SYS(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, at, 0)},
        {"getrandom", SYS(SYS_getrandom, at, 8, 0)},
        {"uname", SYS(SYS_uname, at)},
        {"rt_sigaction new", SYS(SYS_rt_sigaction, SIGUSR1, at, 0, 8)},
        {"rt_sigaction old", SYS(SYS_rt_sigaction, SIGUSR1, 0, at, 8)},
        {"rt_sigprocmask new", SYS(SYS_rt_sigprocmask, SIG_BLOCK, at, 0, 8)},
        {"rt_sigprocmask old", SYS(SYS_rt_sigprocmask, SIG_BLOCK, 0, at, 8)},
        {"rt_sigpending", SYS(SYS_rt_sigpending, at, 8)},
        {"sigaltstack new", SYS(SYS_sigaltstack, at, 0)},
        {"sigaltstack old", SYS(SYS_sigaltstack, 0, at)},
        {"sched_getaffinity", SYS(SYS_sched_getaffinity, 0, 8, at)},
        {"sched_setaffinity", SYS(SYS_sched_setaffinity, 0, 8, at)},
        {"sched_getparam", SYS(SYS_sched_getparam, 0, at)},
        {"prlimit64 old", SYS(SYS_prlimit64, 0, RLIMIT_STACK, 0, at)},
        {"prlimit64 new", SYS(SYS_prlimit64, 0, RLIMIT_CORE, at, 0)},
        {"getrlimit", SYS(SYS_getrlimit, RLIMIT_STACK, at)},
        {"getcpu", SYS(SYS_getcpu, at, 0, 0)},
        {"arch_prctl", SYS(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, at)},
        {"mincore", SYS(SYS_mincore, (unsigned long)buffer & -4096UL, PAGE_SIZE, at)},
        {"execve", SYS(SYS_execve, at, 0, 0)},
        {"pipe2", SYS(SYS_pipe2, at, 0)},
        {"getcwd", SYS(SYS_getcwd, at, 64)},
    };
    int gave_way = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (calls[i].result != -EFAULT && calls[i].result != -ENOSYS) {
            printf("%s at %#lx: %ld\n", calls[i].name, at, calls[i].result);
            gave_way = 1;
        }
    return gave_way;
}

static int give_kernel_image(void) { return give(KERNEL_IMAGE); }
static int give_kernel_half(void) { return give(KERNEL_HALF); }
static int give_non_canonical(void) { return give(NON_CANONICAL); }
static int give_null_page(void) { return give(16); }
static int give_last_bytes(void) { return give(~0UL - 7); }

// What a signal handler does to the frame that it returns to.

static void to_kernel_ip(ucontext_t *user) { user->uc_mcontext.gregs[REG_RIP] = (long)KERNEL_IMAGE; }
static void to_non_canonical_ip(ucontext_t *user)
{
    user->uc_mcontext.gregs[REG_RIP] = (long)NON_CANONICAL;
}
static void to_kernel_segment(ucontext_t *user)
{
    // The kernel's code segment here and on Linux: 0x08 and 0x10.
    user->uc_mcontext.gregs[REG_CSGSFS] &= ~0xffffL;
    user->uc_mcontext.gregs[REG_CSGSFS] |= 0x08;
}
static void to_all_flags(ucontext_t *user)
{
    // I/O privilege 3, and interrupts off; virtual-8086 mode and nested tasks besides.
    user->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 1 << 14 | 1 << 17 | 1 << 19 | 1 << 20;
    user->uc_mcontext.gregs[REG_EFL] &= ~0x200L;
}

static void (*volatile change)(ucontext_t *);

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    change(context);
}

static int return_changed(void (*how)(ucontext_t *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    change = how;
    sigaction(SIGUSR1, &action, NULL);
    SYS(SYS_kill, SYS(SYS_getpid), SIGUSR1);
    return 0;
}

static int sigreturn_kernel_ip(void) { return return_changed(to_kernel_ip); }
static int sigreturn_non_canonical_ip(void) { return return_changed(to_non_canonical_ip); }

// Either the segment is not taken, or it is one for user code, which is not there.
static int sigreturn_kernel_segment(void)
{
    return_changed(to_kernel_segment);
    unsigned short segment;
    __asm__ volatile("mov %%cs, %0" : "=r"(segment));
    return (segment & 3) != 3;
}

static int sigreturn_flags(void)
{
    return_changed(to_all_flags);
    unsigned long flags;
    __asm__ volatile("pushfq\n\tpop %0" : "=r"(flags));
    if ((flags & 0x3000) || !(flags & 0x200))
        return 1;
    __asm__ volatile("cli");
    return 1;
}

static int handler_in_kernel(void)
{
    struct {
        unsigned long handler, flags, restorer, mask;
    } action = {KERNEL_IMAGE, 0x04000000 /* SA_RESTORER */, KERNEL_IMAGE, 0};
    SYS(SYS_rt_sigaction, SIGUSR1, &action, 0, 8);
    SYS(SYS_kill, SYS(SYS_getpid), SIGUSR1);
    return 1;
}

static int signal_stack_in_kernel(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    change = to_all_flags;
    sigaction(SIGUSR1, &action, NULL);
    stack_t stack = {.ss_sp = (void *)KERNEL_HALF, .ss_size = 1 << 20};
    if (SYS(SYS_sigaltstack, &stack, 0))
        return 0; // refused at once: as good
    SYS(SYS_kill, SYS(SYS_getpid), SIGUSR1);
    return 1;
}

const struct kind protection_kinds[] = {
    {"page-zero-fixed", page_zero_fixed},
    {"page-zero-noreplace", page_zero_noreplace},
    {"page-zero-shared", page_zero_shared},
    {"page-zero-remap", page_zero_remap},
    {"page-zero-break", page_zero_break},
    {"page-zero-growth", page_zero_growth},
    {"page-zero-growth-by-call", page_zero_growth_by_call},
    {"page-zero-protect", page_zero_protect},
    {"move-kernel", move_kernel},
    {"give-kernel-image", give_kernel_image},
    {"give-kernel-half", give_kernel_half},
    {"give-non-canonical", give_non_canonical},
    {"give-null-page", give_null_page},
    {"give-last-bytes", give_last_bytes},
    {"sigreturn-kernel-ip", sigreturn_kernel_ip},
    {"sigreturn-non-canonical-ip", sigreturn_non_canonical_ip},
    {"sigreturn-kernel-segment", sigreturn_kernel_segment},
    {"sigreturn-flags", sigreturn_flags},
    {"handler-in-kernel", handler_in_kernel},
    {"signal-stack-in-kernel", signal_stack_in_kernel},
    {0},
};
