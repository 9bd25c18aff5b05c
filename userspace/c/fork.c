// fork [shared|tree|leave|cost]
//
// What it proves: fork, vfork and clone make a child that is a copy of its parent and shares
// nothing but open files (`shared`: and mappings that are to be shared); wait4 tells how
// each child ended, once; SIGCHLD comes; nothing of a child is left that nobody waits for.
// `cost` measures; `tree` makes some generations that do not wait for each other, and says nothing; `leave` leaves a child behind that would like to read.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

static int global = 1;
static _Thread_local int local = 2;

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

static long now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

// Runs `body` in a child, which ends with its result.
static pid_t child(int (*body)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    return pid;
}

// The status of a child that has been made; -1 if it is not waited for.
static int status_of(pid_t pid)
{
    int status = -1;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void exits(const char *name, int (*body)(void), int code)
{
    int status = status_of(child(body));
    check(WIFEXITED(status) && WEXITSTATUS(status) == code, name, "status %x, not exit %d", status,
          code);
}

static int nothing(void) { return 0; }
static int exit_255(void) { return 255; }
static int forever(void)
{
    while (getpid() != 0)
        sleep_ms(1000);
    return 0;
}
static int fault(void)
{
    volatile uintptr_t nowhere = 16;
    *(volatile int *)nowhere = 1;
    return 0;
}

// --- memory ----------------------------------------------------------------------------

static char *heap;
static pid_t parent;

static int sees_and_changes(void)
{
    int good = getppid() == parent && getpid() != parent && global == 1 && local == 2;
    for (int i = 0; i < 1 << 20; i += 4096)
        good &= heap[i] == (char)(i >> 12);
    memset(heap, 77, 1 << 20);
    global = local = 99;
    char *end = (char *)SYS(SYS_brk, 0);
    good &= (char *)SYS(SYS_brk, end + (1 << 16)) == end + (1 << 16) && (*end = 1);
    // What the parent changes meanwhile is not seen.
    sleep_ms(60);
    good &= heap[5] == 77 && global == 99 && getppid() == parent;
    return good ? 33 : 1;
}

static void memory(void)
{
    heap = malloc(1 << 20);
    for (int i = 0; i < 1 << 20; i += 4096)
        heap[i] = i >> 12;
    long end = SYS(SYS_brk, 0);
    pid_t pid = child(sees_and_changes);
    check(pid > 0 && pid != parent, "fork", "%d", pid);
    sleep_ms(20);
    global = local = 3;
    heap[5] = 5;
    int status = status_of(pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 33, "fork-child", "status %x", status);
    int same = 1;
    for (int i = 4096; i < 1 << 20; i += 4096)
        same &= heap[i] == (char)(i >> 12);
    check(same && heap[5] == 5, "fork-heap", "the child's bytes are in the parent's heap");
    check(global == 3 && local == 3, "fork-data", "%d %d", global, local);
    check_result("fork-break", SYS(SYS_brk, 0), end);
    global = 1;
    local = 2;
}

// All registers that a call keeps, also those of the FPU, in both.
static void registers(void)
{
    static uint64_t wide[2] = {0x1111222233334444, 0x5555666677778888};
    uint64_t after[2], rbx, r15;
    long pid = SYS_fork;
    fflush(stdout);
    __asm__ volatile("movups %4, %%xmm7\n\tmov $0x1234567, %%ebx\n\tmov $0x89abcde, %%r15d\n\t"
                     "syscall\n\tmov %%rbx, %1\n\tmov %%r15, %2\n\tmovups %%xmm7, %3"
                     : "+a"(pid), "=r"(rbx), "=r"(r15), "=m"(after)
                     : "m"(wide)
                     : "rcx", "r11", "rbx", "r15", "xmm7", "memory");
    int good = rbx == 0x1234567 && r15 == 0x89abcde && memcmp(after, wide, 16) == 0;
    if (pid == 0)
        _exit(good ? 44 : 1);
    check(good, "fork-registers", "changed");
    int status = status_of(pid);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 44, "fork-child-registers", "%x", status);
}

// --- files -----------------------------------------------------------------------------

static int file;

static int reads_and_closes(void)
{
    char bytes[3];
    int good = read(file, bytes, 3) == 3 && close(file) == 0;
    return good && read(file, bytes, 3) == -1 ? 0 : 1;
}

static void files(void)
{
    file = open("/etc/hostname", O_RDONLY);
    exits("files-child", reads_and_closes, 0);
    check_result("files-position-is-shared", lseek(file, 0, SEEK_CUR), 3);
    check_result("files-close-is-not", close(file), 0);
}

// --- signals ---------------------------------------------------------------------------

static volatile int calls;
static siginfo_t seen;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    calls++;
    seen = *info;
}

static void handle(int signal, int flags)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    sigaction(signal, &action, NULL);
}

static void wait_for_call(int count)
{
    for (int i = 0; i < 500 && calls < count; i++)
        sleep_ms(10);
}

static int inherits_signals(void)
{
    sigset_t set;
    int good = sigpending(&set) == 0 && !sigismember(&set, SIGUSR1);
    good &= sigprocmask(SIG_SETMASK, NULL, &set) == 0 && sigismember(&set, SIGUSR1);
    raise(SIGUSR2);
    return good && calls == 1 ? 0 : 1;
}

static int sends_soon(void)
{
    sleep_ms(50);
    kill(parent, SIGUSR1);
    sleep_ms(50);
    return 5;
}

static void signals(void)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    handle(SIGUSR1, 0);
    handle(SIGUSR2, 0);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1);
    calls = 0;
    exits("signals-child", inherits_signals, 0);
    sigpending(&set);
    check(sigismember(&set, SIGUSR1), "signals-parent-keeps", "not pending");
    sigprocmask(SIG_SETMASK, &old, NULL);
    check_result("signals-delivered", calls, 1);

    handle(SIGCHLD, 0);
    calls = 0;
    pid_t pid = child(exit_255);
    wait_for_call(1);
    check(calls == 1 && seen.si_signo == SIGCHLD && seen.si_code == CLD_EXITED &&
              seen.si_pid == pid && seen.si_status == 255,
          "sigchld-exited", "%d calls, code %d, pid %d, status %d", calls, seen.si_code,
          seen.si_pid, seen.si_status);
    status_of(pid);
    calls = 0;
    pid = child(forever);
    kill(pid, SIGKILL);
    wait_for_call(1);
    check(seen.si_code == CLD_KILLED && seen.si_pid == pid && seen.si_status == SIGKILL,
          "sigchld-killed", "code %d, pid %d, status %d", seen.si_code, seen.si_pid,
          seen.si_status);
    check(WIFSIGNALED(status_of(pid)), "sigchld-killed-status", "wrong");

    // Whoever does not want to wait need not.
    calls = 0;
    handle(SIGCHLD, SA_NOCLDWAIT);
    pid = child(nothing);
    wait_for_call(1);
    check_result("nocldwait-signal", calls, 1);
    check_error("nocldwait-reaps", SYS(SYS_wait4, pid, NULL, 0, NULL), ECHILD);
    signal(SIGCHLD, SIG_IGN);
    pid = child(nothing);
    check_error("sigchld-ignored", SYS(SYS_wait4, pid, NULL, 0, NULL), ECHILD);
    check_error("sigchld-ignored-gone", SYS(SYS_kill, pid, 0), ESRCH);
    signal(SIGCHLD, SIG_DFL);

    calls = 0;
    pid = child(sends_soon);
    check_error("wait-eintr", SYS(SYS_wait4, pid, NULL, 0, NULL), EINTR);
    status_of(pid);
    handle(SIGUSR1, SA_RESTART);
    pid = child(sends_soon);
    check_result("wait-restarts", SYS(SYS_wait4, pid, NULL, 0, NULL), pid);
    check_result("wait-restarts-calls", calls, 2);
}

// --- waiting ---------------------------------------------------------------------------

static void waiting(void)
{
    exits("exit-0", nothing, 0);
    exits("exit-255", exit_255, 255);
    int status = status_of(child(fault));
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "killed-by-fault", "%x", status);

    pid_t pid = child(forever);
    check_result("wnohang-runs", SYS(SYS_wait4, pid, &status, WNOHANG, NULL), 0);
    kill(pid, SIGTERM);
    struct rusage usage;
    memset(&usage, 0x55, sizeof usage);
    check_result("wait-rusage", SYS(SYS_wait4, -1, &status, 0, &usage), pid);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "killed-by-signal", "%x", status);
    check(usage.ru_utime.tv_sec < 20 && usage.ru_utime.tv_usec < 1000000, "rusage", "%ld",
          usage.ru_utime.tv_sec);

    pid = child(nothing);
    for (int i = 0; i < 500; i++) {
        sleep_ms(10);
        // One that has ended and was not waited for is still there.
        if (SYS(SYS_kill, pid, 0) != 0)
            break;
        if (i > 5) {
            check(1, "zombie", "gone");
            break;
        }
    }
    check_result("wnohang-ended", SYS(SYS_wait4, 0, NULL, WNOHANG | WUNTRACED, NULL), pid);
    check_error("reaped", SYS(SYS_kill, pid, 0), ESRCH);
    check_error("wait-twice", SYS(SYS_wait4, pid, NULL, 0, NULL), ECHILD);
    check_error("wait-none", SYS(SYS_wait4, -1, NULL, WNOHANG, NULL), ECHILD);
    check_error("wait-stranger", SYS(SYS_wait4, getppid(), NULL, 0, NULL), ECHILD);
    check_error("wait-einval", SYS(SYS_wait4, -1, NULL, 0x100, NULL), EINVAL);
    check_error("wait-esrch", SYS(SYS_wait4, 0x80000000, NULL, 0, NULL), ESRCH);
    check_error("wait-no-group", SYS(SYS_wait4, -77777, NULL, 0, NULL), ECHILD);
    pid = child(nothing);
    check_error("wait-efault", SYS(SYS_wait4, pid, 16, 0, NULL), EFAULT);
    check_error("wait-efault-reaps", SYS(SYS_wait4, pid, NULL, 0, NULL), ECHILD);

    int sum = 0, count = 0;
    fflush(stdout);
    for (int i = 0; i < 20; i++) {
        pid = fork();
        if (pid == 0) {
            sleep_ms(i * 7 % 20);
            _exit(i);
        }
        count += pid > 0;
    }
    while (wait(&status) > 0)
        sum += WEXITSTATUS(status);
    check(count == 20 && sum == 190, "many-children", "%d children, sum %d", count, sum);
}

// Each makes the next one, and adds one to its status.
static int chain(int depth)
{
    if (depth == 0)
        return 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(chain(depth - 1));
    int status = status_of(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) + 1 : 200;
}
static int chain_of_12(void) { return chain(12); }

static pid_t top;

static int is_left_alone(void)
{
    pid_t middle = getppid();
    kill(middle, SIGKILL);
    for (int i = 0; i < 500 && getppid() == middle; i++)
        sleep_ms(10);
    kill(top, getppid() != middle ? SIGUSR1 : SIGUSR2);
    return 0;
}
static int has_an_orphan(void)
{
    child(is_left_alone);
    return forever();
}
static int leaves_a_zombie(void)
{
    child(nothing);
    sleep_ms(50);
    return 0;
}

static void trees(void)
{
    exits("chain", chain_of_12, 12);
    top = getpid();
    handle(SIGUSR1, 0);
    handle(SIGUSR2, 0);
    calls = 0;
    int status = status_of(child(has_an_orphan));
    check(WIFSIGNALED(status), "orphan-parent", "%x", status);
    wait_for_call(1);
    check(calls == 1 && seen.si_signo == SIGUSR1, "orphan", "%d calls, signal %d", calls,
          seen.si_signo);
    exits("zombie-of-the-dead", leaves_a_zombie, 0);
    check_error("no-grandchildren", SYS(SYS_wait4, -1, NULL, 0, NULL), ECHILD);
}

// --- vfork and clone -------------------------------------------------------------------

static void clones(void)
{
    fflush(stdout);
    pid_t pid = vfork();
    if (pid == 0)
        _exit(7);
    int status = 0;
    check_result("vfork", SYS(SYS_wait4, pid, &status, 0, NULL), pid);
    check_result("vfork-status", WEXITSTATUS(status), 7);
    long begin = now_ms();
    pid = SYS(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        sleep_ms(60);
        _exit(8);
    }
    check(now_ms() - begin >= 60, "vfork-waits", "%ld ms", now_ms() - begin);
    check_result("vfork-clone", WEXITSTATUS(status_of(pid)), 8);

    pid_t above = 0, below = 0;
    pid = SYS(SYS_clone,
              CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, 0, &above,
              &below, 0);
    if (pid == 0)
        _exit(below == getpid() && below == SYS(SYS_gettid) ? 9 : 1);
    check_result("clone-child-settid", WEXITSTATUS(status_of(pid)), 9);
    check(above == pid && below == 0, "clone-parent-settid", "%d %d", above, below);

    pid = SYS(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0)
        _exit(10);
    sleep_ms(30);
    check_error("clone-0-is-no-child", SYS(SYS_wait4, pid, NULL, WNOHANG, NULL), ECHILD);
    check_result("clone-0-wall", SYS(SYS_wait4, pid, &status, __WALL, NULL), pid);
    check_result("clone-0-status", WEXITSTATUS(status), 10);
    calls = 0;
    pid = SYS(SYS_clone, SIGUSR2, 0, 0, 0, 0);
    if (pid == 0)
        _exit(11);
    wait_for_call(1);
    check(calls == 1 && seen.si_signo == SIGUSR2, "clone-other-signal", "%d calls", calls);
    check_result("clone-wclone", SYS(SYS_wait4, -1, &status, __WCLONE, NULL), pid);
    check_error("clone-einval-thread", SYS(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0), EINVAL);
    check_error("clone-einval-sighand", SYS(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
}

// --- shared mappings -------------------------------------------------------------------

static volatile int *shared;

static int counts_in_shared(void)
{
    for (int i = 0; i < 1000; i++)
        __atomic_fetch_add(&shared[1], 1, __ATOMIC_RELAXED);
    shared[0] = getpid();
    shared[4096] = 6; // a page that nobody has touched before
    for (int i = 0; i < 500 && shared[2] != 17; i++)
        sleep_ms(10);
    return shared[2];
}

static int shared_mappings(void)
{
    shared = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared[1] = 1;
    pid_t pids[4];
    for (int i = 0; i < 4; i++)
        pids[i] = child(counts_in_shared);
    sleep_ms(30);
    shared[2] = 17;
    int all = 1;
    for (int i = 0; i < 4; i++)
        all &= WEXITSTATUS(status_of(pids[i])) == 17;
    check(all, "shared-from-parent", "not seen by all");
    check_result("shared-from-children", shared[1], 4001);
    check(shared[0] != 0 && shared[4096] == 6, "shared-new-page", "%d", shared[4096]);
    return summary();
}

static int reads_for_ever(void)
{
    while (getppid() == parent)
        sleep_ms(10);
    char byte;
    printf("in the background: read says %ld\n", SYS(SYS_read, 0, &byte, 1));
    fflush(stdout);
    return forever();
}

// Three children each, in three generations; every second parent leaves them alone.
static int tree(int generation)
{
    char *pages = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(pages, generation, 1 << 16);
    for (int i = 0; generation > 0 && i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            memset(pages, i, 1 << 15);
            _exit(tree(generation - 1));
        }
    }
    if (getpid() % 2 == 0)
        while (wait(NULL) > 0)
            ;
    return 0;
}

static int cost(void)
{
    enum { TIMES = 200 };
    struct timespec begin, end;
    status_of(child(nothing));
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < TIMES; i++)
        status_of(child(nothing));
    clock_gettime(CLOCK_MONOTONIC, &end);
    long ns = (end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec;
    printf("fork, exit and wait: %ld ns\n", ns / TIMES);
    return 0;
}

int main(int argc, char **argv)
{
    parent = getpid();
    if (argc > 1 && strcmp(argv[1], "cost") == 0)
        return cost();
    if (argc > 1 && strcmp(argv[1], "tree") == 0)
        return tree(3);
    if (argc > 1 && strcmp(argv[1], "leave") == 0)
        return child(reads_for_ever) < 0;
    if (argc > 1 && strcmp(argv[1], "shared") == 0)
        return shared_mappings();
    memory();
    registers();
    files();
    signals();
    waiting();
    trees();
    clones();
    return summary();
}
