// signals: handlers, masks, the signal stack, and what a handler may change.
//
// What it proves: a fault or a sent signal calls the program's handler with siginfo and
// ucontext as Linux fills them in, on the stack that was asked for, with the mask that was
// asked for, and the interrupted code goes on with every register as it was, FPU included.

#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

enum { PAGE = 4096 };

static volatile int calls;
static volatile siginfo_t seen;
static volatile uintptr_t seen_sp, seen_ip, seen_mask_inside;
static sigjmp_buf back;

static void set(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

static void note(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    int here;
    (void)signal;
    calls++;
    *(siginfo_t *)&seen = *info;
    seen_sp = (uintptr_t)&here;
    seen_ip = (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
    uint64_t mask = 0;
    SYS(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
    seen_mask_inside = mask;
}

static void jump_out(int signal, siginfo_t *info, void *context)
{
    note(signal, info, context);
    siglongjmp(back, signal);
}

static void test_faults(void)
{
    char *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set(SIGSEGV, jump_out, 0);
    set(SIGFPE, jump_out, 0);
    set(SIGILL, jump_out, 0);
    set(SIGTRAP, note, 0);

    volatile char *volatile wild = (char *)16; // so that the compiler does not see it
    if (!sigsetjmp(back, 1))
        *wild = 1;
    check_result("segv-maperr", seen.si_code, SEGV_MAPERR);
    check_result("segv-address", (long)seen.si_addr, 16);
    if (!sigsetjmp(back, 1))
        *(volatile char *)(page + 5) = 1;
    check_result("segv-accerr", seen.si_code, SEGV_ACCERR);
    check_result("segv-accerr-address", (long)seen.si_addr, (long)page + 5);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("hlt");
    check_result("segv-hlt", seen.si_code, SI_KERNEL);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("div %0" ::"r"(0) : "rax", "rdx");
    check_result("fpe", seen.si_code, FPE_INTDIV);
    check_result("fpe-address", (long)seen.si_addr, (long)seen_ip);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("ud2");
    check_result("ill", seen.si_signo, SIGILL);
    check_result("ill-address", (long)seen.si_addr, (long)seen_ip);
    calls = 0;
    __asm__ volatile("int3");
    check_result("trap", calls, 1);
    check_result("trap-signal", seen.si_signo, SIGTRAP);

    // The handler repairs what was wrong, and the instruction is done again.
    munmap(page, PAGE);
}

static char *repaired;
static void repair(int signal, siginfo_t *info, void *context)
{
    note(signal, info, context);
    mprotect(repaired, PAGE, PROT_READ | PROT_WRITE);
}

static void test_repair(void)
{
    repaired = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set(SIGSEGV, repair, 0);
    calls = 0;
    *(volatile char *)repaired = 7;
    check_result("repair-once", calls, 1);
    check_result("repair-written", *repaired, 7);
    signal(SIGSEGV, SIG_DFL);
}

static volatile int depth, deepest;

// Sends its own signal once more, which is blocked as long as it runs.
static void again(int signal)
{
    if (++depth > deepest)
        deepest = depth;
    if (++calls == 1)
        kill(getpid(), signal);
    depth--;
}

static void test_sending(void)
{
    set(SIGUSR1, note, 0);
    calls = 0;
    check_result("kill", kill(getpid(), SIGUSR1), 0);
    check_result("kill-handled", calls, 1);
    check_result("kill-code", seen.si_code, SI_USER);
    check((seen_mask_inside & 1UL << (SIGUSR1 - 1)) != 0, "kill-masked-inside", "%lx",
          (unsigned long)seen_mask_inside);
    set(SIGUSR1, note, SA_NODEFER);
    raise(SIGUSR1);
    check((seen_mask_inside & 1UL << (SIGUSR1 - 1)) == 0, "nodefer", "%lx",
          (unsigned long)seen_mask_inside);
    check_result("kill-0", kill(getpid(), 0), 0);
    check_error("kill-esrch", SYS(SYS_kill, 1 << 30, SIGUSR1), ESRCH);
    check_error("kill-einval", SYS(SYS_kill, getpid(), 65), EINVAL);

    // Blocked: waits, and is told by sigpending; unblocked: comes before the call returns.
    sigset_t set_of_one, pending;
    sigemptyset(&set_of_one);
    sigaddset(&set_of_one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set_of_one, NULL);
    calls = 0;
    raise(SIGUSR1);
    check_result("blocked", calls, 0);
    sigpending(&pending);
    check_result("sigpending", sigismember(&pending, SIGUSR1), 1);
    sigprocmask(SIG_UNBLOCK, &set_of_one, NULL);
    check_result("unblocked", calls, 1);

    // One that comes while its handler runs is blocked, and comes when that has returned.
    signal(SIGUSR1, again);
    calls = 0;
    raise(SIGUSR1);
    check_result("again", calls, 2);
    check_result("again-not-inside", deepest, 1);
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    check(child > 0 && waitpid(child, &status, 0) == child, "fork-afterwards", "errno %d", errno);

    // Ignored, and the ones whose default is to be ignored.
    signal(SIGUSR2, SIG_IGN);
    check_result("ignored", raise(SIGUSR2), 0);
    check_result("default-ignored", raise(SIGCHLD), 0);

    struct sigaction action;
    set(SIGUSR2, note, SA_RESETHAND);
    calls = 0;
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &action);
    check(calls == 1 && action.sa_handler == SIG_DFL, "resethand", "%d calls", calls);
    check_error("sigkill-einval", SYS(SYS_rt_sigaction, SIGKILL, &action, NULL, 8), EINVAL);
}

static void test_stack(void)
{
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory}, now;
    sigaltstack(&stack, NULL);
    set(SIGUSR1, note, SA_ONSTACK);
    raise(SIGUSR1);
    int inside = seen_sp >= (uintptr_t)memory && seen_sp < (uintptr_t)memory + sizeof memory;
    check(inside, "onstack", "%p", (void *)seen_sp);
    set(SIGUSR1, note, 0);
    raise(SIGUSR1);
    inside = seen_sp >= (uintptr_t)memory && seen_sp < (uintptr_t)memory + sizeof memory;
    check(!inside, "not-onstack", "%p", (void *)seen_sp);
    sigaltstack(NULL, &now);
    check(now.ss_sp == memory && !now.ss_flags, "sigaltstack-kept", "%p", now.ss_sp);

    // A stack that overflows leaves no room for a frame, but on another stack there is.
    set(SIGSEGV, jump_out, SA_ONSTACK);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("1: push %%rax\n\tjmp 1b" ::: "memory");
    check_result("overflow-caught", seen.si_code, SEGV_MAPERR);

    // Nor for the frame of a signal whose handler does not ask for that one: a SIGSEGV.
    set(SIGUSR1, note, 0);
    calls = 0;
    long pid = SYS(SYS_getpid);
    if (!sigsetjmp(back, 1))
        __asm__ volatile("mov $16, %%esp\n\tsyscall\n\tud2" ::"a"(SYS_kill), "D"(pid),
                         "S"(SIGUSR1)
                         : "rcx", "r11", "memory");
    check(calls == 1 && seen.si_signo == SIGSEGV && seen.si_code == SI_KERNEL, "frame-refused",
          "%d calls, signal %d, code %d", calls, seen.si_signo, seen.si_code);
    SYS(SYS_kill, pid, SIGUSR1);
    check_result("frame-refused-once", calls, 2);
    signal(SIGSEGV, SIG_DFL);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
}

// A handler that uses every kind of register.
static void clobber(int signal, siginfo_t *info, void *context)
{
    note(signal, info, context);
    __asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm15, %%xmm15\n\t"
                     "fninit\n\tfldz\n\tstd\n\tcld" ::: "xmm0", "xmm7", "xmm15", "memory");
}

static void test_registers(void)
{
    set(SIGTRAP, clobber, 0);
    uint64_t in[6] = {1, 2, 3, 4, 5, 6}, out[6] = {0};
    long double x87 = 1.25L, x87_out = 0;
    __asm__ volatile("fldt %[x87]\n\t"
                     "movdqu (%[in]), %%xmm0\n\tmovdqu 16(%[in]), %%xmm7\n\t"
                     "movdqu 32(%[in]), %%xmm15\n\t"
                     "mov $0x1111, %%rbx\n\tmov $0x2222, %%r12\n\tmov $0x3333, %%rcx\n\t"
                     "mov $0x4444, %%r11\n\tstc\n\t"
                     "int3\n\t"
                     "setc %%al\n\tmovzbl %%al, %%eax\n\tsub $1, %%rax\n\t"
                     "sub $0x1111, %%rbx\n\tsub $0x2222, %%r12\n\tsub $0x3333, %%rcx\n\t"
                     "sub $0x4444, %%r11\n\tor %%rbx, %%rax\n\tor %%r12, %%rax\n\t"
                     "or %%rcx, %%rax\n\tor %%r11, %%rax\n\tmov %%rax, %%r13\n\t"
                     "movdqu %%xmm0, (%[out])\n\tmovdqu %%xmm7, 16(%[out])\n\t"
                     "movdqu %%xmm15, 32(%[out])\n\tfstpt %[x87_out]\n\tmov %%r13, %[in]"
                     : [in] "+S"(*(uint64_t **)&(uint64_t *){in}), [x87_out] "=m"(x87_out)
                     : [out] "D"(out), [x87] "m"(x87)
                     : "rax", "rbx", "rcx", "r11", "r12", "r13", "xmm0", "xmm7", "xmm15", "memory",
                       "cc");
    int same = 1;
    for (uint64_t i = 0; i < 6; i++)
        same &= out[i] == i + 1;
    check(same, "xmm-kept", "%lu %lu %lu", out[0], out[2], out[4]);
    check(x87_out == 1.25L, "x87-kept", "%Lf", x87_out);
    signal(SIGTRAP, SIG_DFL);
}

static uint32_t inside_mxcsr;
static uint16_t inside_fcw;
static void note_modes(int signal, siginfo_t *info, void *context)
{
    note(signal, info, context);
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(inside_mxcsr), "=m"(inside_fcw));
}

// The FPU's modes are kept, all of them that this processor knows; a handler starts with
// the usual ones.
static void test_modes(void)
{
    enum { DAZ = 1 << 6, TOWARDS_ZERO = 3 << 13, USUAL = 0x1f80 };
    struct {
        uint8_t bytes[512];
    } __attribute__((aligned(16))) area = {0};
    __asm__ volatile("fxsave %0" : "=m"(area));
    uint32_t known;
    memcpy(&known, area.bytes + 28, sizeof known);
    set(SIGTRAP, note_modes, 0);
    uint32_t modes = USUAL | TOWARDS_ZERO | (known & DAZ), kept = 0, usual = USUAL;
    uint16_t single = 0x007f, single_kept = 0, extended = 0x037f;
    __asm__ volatile("ldmxcsr %2\n\tfldcw %3\n\tint3\n\tstmxcsr %0\n\tfnstcw %1\n\t"
                     "ldmxcsr %4\n\tfldcw %5"
                     : "=m"(kept), "=m"(single_kept)
                     : "m"(modes), "m"(single), "m"(usual), "m"(extended)
                     : "memory");
    check_result("mxcsr-kept", kept, modes);
    check_result("fcw-kept", single_kept, single);
    check_result("mxcsr-inside", inside_mxcsr, USUAL);
    check_result("fcw-inside", inside_fcw, extended);
    signal(SIGTRAP, SIG_DFL);
}

// What a handler changes in its ucontext is what the program goes on with.
static void change(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    note(signal, info, context);
    user->uc_mcontext.gregs[REG_RAX] = 42;
    user->uc_mcontext.gregs[REG_EFL] |= 3 << 12 | 1 << 9; // IOPL: must not be taken over
    sigaddset(&user->uc_sigmask, SIGUSR2);
}

static void test_context(void)
{
    set(SIGTRAP, change, 0);
    uint64_t result = 0, flags = 0, mask = 0;
    __asm__ volatile("int3\n\tpushf\n\tpop %1" : "+a"(result), "=r"(flags)::"memory", "cc");
    check_result("context-rax", (long)result, 42);
    check(!(flags & 3 << 12), "context-iopl", "%lx", (unsigned long)flags);
    SYS(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
    check((mask & 1UL << (SIGUSR2 - 1)) != 0, "context-mask", "%lx", (unsigned long)mask);
    mask = 0;
    SYS(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    signal(SIGTRAP, SIG_DFL);
}

static uintptr_t destination;
static void lead_away(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    note(signal, info, context);
    user->uc_mcontext.gregs[REG_RIP] = (greg_t)destination;
}

// Where no program can be is a fault of the program's, with a handler like others.
static void test_bad_return(void)
{
    set(SIGTRAP, lead_away, 0);
    set(SIGSEGV, jump_out, 0);
    static const uintptr_t bad[] = {0xffffffff80000000, 0x0001000000000000, 0x0100000000000000,
                                    0x00007ffffffff000, 16};
    static const int codes[] = {SEGV_MAPERR, 0, SI_KERNEL, SEGV_MAPERR, SEGV_MAPERR};
    for (volatile int i = 0; i < 5; i++) {
        destination = bad[i];
        *(siginfo_t *)&seen = (siginfo_t){0};
        if (!sigsetjmp(back, 1))
            __asm__ volatile("int3");
        check(seen.si_signo == SIGSEGV && seen_ip == bad[i], "bad-return", "%p: signal %d at %p",
              (void *)bad[i], seen.si_signo, (void *)seen_ip);
        // With 57-bit addresses the second is a kernel's, too.
        if (codes[i])
            check_result("bad-return-code", seen.si_code, codes[i]);
    }
    signal(SIGSEGV, SIG_DFL);
    signal(SIGTRAP, SIG_DFL);
}

static void test_rseq(void)
{
    // Registered by nobody before: this program's libc does not.
    static struct {
        uint32_t cpu_start, cpu;
        uint64_t section;
        uint32_t rest[4];
    } area __attribute__((aligned(32)));
    static struct {
        uint32_t version, flags;
        uint64_t start, length, abort;
    } section __attribute__((aligned(32)));
    if (SYS(SYS_rseq, &area, 32, 0, 0x53053053)) {
        check(0, "rseq", "not registered");
        return;
    }
    check(area.cpu == area.cpu_start && area.cpu < 4096, "rseq-cpu", "%u", area.cpu);
    // All copies of this program on one CPU: the first that they may use.
    uint64_t cpus[16] = {0}, first[16] = {0};
    SYS(SYS_sched_getaffinity, 0, sizeof cpus, cpus);
    for (int i = 0; i < 16; i++)
        if (cpus[i]) {
            first[i] = cpus[i] & -cpus[i];
            break;
        }
    check_result("rseq-confine", SYS(SYS_sched_setaffinity, 0, sizeof first, first), 0);
    // Spins in a section until it is preempted, which leads to the abort address; or,
    // where the machine is idle, until a second has passed.
    uint64_t aborted = 0;
    const uint64_t ticks = 3000000000, begin = __builtin_ia32_rdtsc();
    section.version = section.flags = 0;
    __asm__ volatile("lea 1f(%%rip), %%rax\n\tmov %%rax, %[start]\n\t"
                     "lea 2f(%%rip), %%rcx\n\tsub %%rax, %%rcx\n\tmov %%rcx, %[length]\n\t"
                     "lea 3f(%%rip), %%rax\n\tmov %%rax, %[abort]\n\t"
                     "lea %[descriptor], %%rax\n\tmov %%rax, %[current]\n\t"
                     "rdtsc\n\tshl $32, %%rdx\n\tlea (%%rax, %%rdx), %%r8\n"
                     "1:\trdtsc\n\tshl $32, %%rdx\n\tadd %%rdx, %%rax\n\tsub %%r8, %%rax\n\t"
                     "cmp %[ticks], %%rax\n\tjb 1b\n"
                     "2:\tjmp 4f\n\t"
                     ".byte 0x0f, 0xb9, 0x3d\n\t.long 0x53053053\n"
                     "3:\tmov $1, %[aborted]\n"
                     "4:"
                     : [start] "=m"(section.start), [length] "=m"(section.length),
                       [abort] "=m"(section.abort), [current] "=m"(area.section),
                       [aborted] "+r"(aborted)
                     : [descriptor] "m"(section), [ticks] "r"(ticks)
                     : "rax", "rcx", "rdx", "r8", "memory", "cc");
    // As long again for the others that run beside this one: they want to be preempted, too.
    while (__builtin_ia32_rdtsc() - begin < ticks)
        ;
    printf("rseq: %s\n", aborted ? "aborted" : "not preempted");
    area.section = 0;
    check_result("rseq-unregister", SYS(SYS_rseq, &area, 32, 1, 0x53053053), 0);
}

int main(void)
{
    test_faults();
    test_repair();
    test_sending();
    test_stack();
    test_registers();
    test_modes();
    test_context();
    test_bad_return();
    test_rseq();
    return summary();
}
