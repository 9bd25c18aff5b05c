// locks [DIRECTORY]
//
// What it proves: file locks (flock, and those of fcntl: of processes and of open files) keep
// whom they shall keep away, belong to whom they shall belong to, are gone when they shall be,
// and are waited for as on Linux. It makes three files in the current directory, or another.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

#define FAILS(error, name, result) check_error(name, result, error)
#define GIVES(expected, name, result) check_result(name, result, expected)

// What parent and children tell each other.
static struct shared {
    volatile int stage, signals, result, inside, overlaps, rounds;
    struct flock found;
} *shared;

static char one_name[64], two_name[64], link_name[64];
static volatile int caught;

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    SYS(SYS_nanosleep, &time, 0);
}

static int open_file(const char *name, int flags)
{
    return SYS(SYS_open, name, flags, 0644);
}

// fcntl with a lock.
static long record(int file, int command, int type, int whence, long start, long len, int pid)
{
    struct flock lock = {
        .l_type = type, .l_whence = whence, .l_start = start, .l_len = len, .l_pid = pid};
    return SYS(SYS_fcntl, file, command, &lock);
}

static long lock(int file, int command, int type, long start, long len)
{
    return record(file, command, type, SEEK_SET, start, len, 0);
}

// The exit status of a child, within ten seconds; else -1, and it is killed.
static int reap(int pid)
{
    int status;
    for (int tries = 0; tries < 2000; tries++) {
        if (SYS(SYS_wait4, pid, &status, WNOHANG, 0) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
        pause_ms(5);
    }
    SYS(SYS_kill, pid, SIGKILL);
    SYS(SYS_wait4, pid, &status, 0, 0);
    return -1000;
}

// Forks without printing what stands in the buffer twice.
static int split(void)
{
    fflush(stdout);
    return fork();
}

static int reached(int stage)
{
    for (int tries = 0; tries < 2000; tries++) {
        if (shared->stage >= stage)
            return 1;
        pause_ms(5);
    }
    return 0;
}

// What another process gets for a lock: 0, or an errno. It has the lock no more after that.
static int other(int file, int command, int type, long start, long len)
{
    int pid = split();
    if (!pid)
        _exit(-lock(file, command, type, start, len));
    return reap(pid);
}

// The same for flock, by an open file of its own.
static int other_flock(const char *name, int operation)
{
    int pid = split();
    if (!pid)
        _exit(-SYS(SYS_flock, open_file(name, O_RDONLY), operation | LOCK_NB));
    return reap(pid);
}

// What F_GETLK tells another process, in shared->found.
static void look(const char *name, int file, int type, long start, long len)
{
    int pid = split();
    if (!pid) {
        struct flock lock = {.l_type = type, .l_start = start, .l_len = len, .l_pid = 77};
        long result = SYS(SYS_fcntl, file, F_GETLK, &lock);
        shared->found = lock;
        _exit(-result);
    }
    check_result(name, reap(pid), 0);
}

static void expect(const char *name, int type, long start, long len, int pid)
{
    struct flock *found = &shared->found;
    check(found->l_type == type && found->l_start == start && found->l_len == len &&
              found->l_pid == pid && found->l_whence == SEEK_SET,
          name, "type %d, %ld bytes from %ld on (%d), of %d", found->l_type, (long)found->l_len,
          (long)found->l_start, found->l_whence, found->l_pid);
}

static void test_flock(void)
{
    int one = open_file(one_name, O_RDWR), two = open_file(one_name, O_RDONLY);
    int path = open_file(one_name, O_PATH);
    FAILS(EBADF, "flock-bad", SYS(SYS_flock, 999, LOCK_SH));
    FAILS(EINVAL, "flock-operation", SYS(SYS_flock, one, 0));
    FAILS(EINVAL, "flock-both", SYS(SYS_flock, one, LOCK_SH | LOCK_EX));
    FAILS(EINVAL, "flock-operation-first", SYS(SYS_flock, 999, LOCK_NB));
    FAILS(EBADF, "flock-path", SYS(SYS_flock, path, LOCK_SH));
    FAILS(EBADF, "flock-path-unlock", SYS(SYS_flock, path, LOCK_UN));
    GIVES(0, "flock-unlock-none", SYS(SYS_flock, one, LOCK_UN));
    GIVES(0, "flock-shared", SYS(SYS_flock, one, LOCK_SH));
    GIVES(0, "flock-shared-too", SYS(SYS_flock, two, LOCK_SH | LOCK_NB));
    FAILS(EWOULDBLOCK, "flock-exclusive", SYS(SYS_flock, one, LOCK_EX | LOCK_NB));
    // What it had is gone.
    GIVES(0, "flock-lost", SYS(SYS_flock, two, LOCK_EX | LOCK_NB));
    GIVES(0, "flock-again", SYS(SYS_flock, two, LOCK_EX | LOCK_NB));
    FAILS(EWOULDBLOCK, "flock-kept-away", SYS(SYS_flock, one, LOCK_SH | LOCK_NB));
    GIVES(EWOULDBLOCK, "flock-process", other_flock(one_name, LOCK_SH));
    GIVES(0, "flock-convert", SYS(SYS_flock, two, LOCK_SH));
    GIVES(0, "flock-process-shared", other_flock(one_name, LOCK_SH));

    // A child has the same open file.
    int pid = split();
    if (!pid)
        _exit(-SYS(SYS_flock, two, LOCK_EX | LOCK_NB));
    GIVES(0, "flock-child", reap(pid));
    GIVES(EWOULDBLOCK, "flock-stays", other_flock(one_name, LOCK_SH));
    pid = split();
    if (!pid) {
        close(two);
        _exit(0);
    }
    reap(pid);
    GIVES(EWOULDBLOCK, "flock-closed-by-child", other_flock(one_name, LOCK_SH));
    pid = split();
    if (!pid)
        _exit(-SYS(SYS_flock, two, LOCK_UN));
    GIVES(0, "flock-child-unlocks", reap(pid));
    GIVES(0, "flock-unlocked", other_flock(one_name, LOCK_EX));
    GIVES(0, "flock-last", SYS(SYS_flock, two, LOCK_EX));
    close(two);
    GIVES(0, "flock-last-close", SYS(SYS_flock, one, LOCK_EX | LOCK_NB));
    // The other family.
    GIVES(0, "flock-not-record", lock(one, F_SETLK, F_WRLCK, 0, 0));
    GIVES(0, "flock-not-record-other", lock(one, F_OFD_SETLK, F_UNLCK, 0, 0));
    close(one);
    close(path);

    // The file, and not its name, is locked.
    one = open_file(one_name, O_RDWR);
    check(!link(one_name, link_name), "link", "%m");
    GIVES(0, "flock-file", SYS(SYS_flock, one, LOCK_EX));
    GIVES(0, "lock-file", lock(one, F_SETLK, F_WRLCK, 0, 0));
    GIVES(EWOULDBLOCK, "flock-link", other_flock(link_name, LOCK_SH));
    GIVES(0, "flock-other-file", other_flock(two_name, LOCK_EX));
    check(!rename(link_name, two_name), "rename", "%m");
    two = open_file(two_name, O_RDWR);
    GIVES(EAGAIN, "lock-link", other(two, F_SETLK, F_WRLCK, 0, 1));
    check(!unlink(two_name), "unlink", "%m");
    GIVES(EWOULDBLOCK, "flock-unlinked", -SYS(SYS_flock, two, LOCK_EX | LOCK_NB));
    close(one);
    GIVES(0, "flock-unlinked-closed", SYS(SYS_flock, two, LOCK_EX | LOCK_NB));
    close(two);
    close(open(two_name, O_RDWR | O_CREAT, 0644));

    int directory = open_file(".", O_RDONLY | O_DIRECTORY), again = open_file(".", O_RDONLY);
    GIVES(0, "flock-directory", SYS(SYS_flock, directory, LOCK_SH | LOCK_NB));
    GIVES(0, "flock-directory-too", SYS(SYS_flock, again, LOCK_SH | LOCK_NB));
    FAILS(EWOULDBLOCK, "flock-directory-not", SYS(SYS_flock, again, LOCK_EX | LOCK_NB));
    close(directory);
    close(again);
    GIVES(0, "flock-terminal", SYS(SYS_flock, 0, LOCK_SH));
    GIVES(0, "flock-terminal-unlock", SYS(SYS_flock, 0, LOCK_UN));
}

static void test_errors(void)
{
    const long most = 0x7fffffffffffffff;
    int file = open_file(one_name, O_RDWR), path = open_file(one_name, O_PATH);
    int reads = open_file(one_name, O_RDONLY), writes = open_file(one_name, O_WRONLY);
    FAILS(EBADF, "lock-bad", lock(999, F_SETLK, F_RDLCK, 0, 0));
    FAILS(EBADF, "lock-path", SYS(SYS_fcntl, path, F_SETLK, 16));
    FAILS(EBADF, "lock-path-get", lock(path, F_GETLK, F_RDLCK, 0, 0));
    FAILS(EFAULT, "lock-pointer", SYS(SYS_fcntl, file, F_SETLK, 16));
    FAILS(EFAULT, "lock-pointer-get", SYS(SYS_fcntl, file, F_GETLK, 16));
    FAILS(EINVAL, "lock-whence", record(file, F_SETLK, F_RDLCK, 3, 0, 0, 0));
    FAILS(EINVAL, "lock-type", lock(file, F_SETLK, 3, 0, 0));
    FAILS(EINVAL, "lock-type-get", lock(file, F_GETLK, 3, 0, 0));
    FAILS(EINVAL, "lock-get-unlock", lock(file, F_GETLK, F_UNLCK, 0, 0));
    FAILS(EINVAL, "lock-before", lock(file, F_SETLK, F_RDLCK, -1, 0));
    FAILS(EINVAL, "lock-before-len", lock(file, F_SETLK, F_RDLCK, 10, -11));
    FAILS(EINVAL, "lock-before-end", record(file, F_SETLK, F_RDLCK, SEEK_END, -101, 1, 0));
    FAILS(EOVERFLOW, "lock-far", record(file, F_SETLK, F_RDLCK, SEEK_END, most, 1, 0));
    FAILS(EOVERFLOW, "lock-far-len", lock(file, F_SETLK, F_RDLCK, 2, most));
    FAILS(EOVERFLOW, "lock-far-type", lock(file, F_SETLK, 3, 2, most));
    GIVES(0, "lock-farthest", lock(file, F_SETLK, F_RDLCK, most, 1));
    GIVES(0, "lock-farthest-unlock", lock(file, F_SETLK, F_UNLCK, 1, most));
    FAILS(EBADF, "lock-read-only", lock(reads, F_SETLK, F_WRLCK, 0, 0));
    FAILS(EBADF, "lock-write-only", lock(writes, F_SETLK, F_RDLCK, 0, 0));
    FAILS(EBADF, "lock-read-only-file", lock(reads, F_OFD_SETLK, F_WRLCK, 0, 0));
    GIVES(0, "lock-get-any", lock(reads, F_GETLK, F_WRLCK, 0, 0));
    GIVES(0, "lock-unlock-any", lock(reads, F_SETLK, F_UNLCK, 0, 0));
    FAILS(EINVAL, "file-lock-pid", record(file, F_OFD_SETLK, F_RDLCK, SEEK_SET, 0, 0, 5));
    FAILS(EINVAL, "file-lock-pid-get", record(file, F_OFD_GETLK, F_RDLCK, SEEK_SET, 0, 0, 5));
    GIVES(0, "lock-pid", record(file, F_SETLK, F_RDLCK, SEEK_SET, 0, 0, 5));
    close(file);
    close(path);
    close(reads);
    close(writes);
}

static void test_records(void)
{
    int file = open_file(one_name, O_RDWR), me = getpid();
    look("get-none", file, F_WRLCK, 5, 10);
    expect("get-none-unchanged", F_UNLCK, 5, 10, 77);
    GIVES(0, "set", lock(file, F_SETLK, F_WRLCK, 0, 100));
    GIVES(EAGAIN, "set-other", other(file, F_SETLK, F_RDLCK, 99, 1));
    GIVES(0, "set-other-behind", other(file, F_SETLK, F_WRLCK, 100, 0));
    look("get", file, F_RDLCK, 50, 0);
    expect("get-whole", F_WRLCK, 0, 100, me);
    GIVES(0, "own-is-no-conflict", lock(file, F_GETLK, F_WRLCK, 0, 0));

    GIVES(0, "split", lock(file, F_SETLK, F_UNLCK, 40, 20));
    GIVES(0, "split-hole", other(file, F_SETLK, F_WRLCK, 40, 20));
    GIVES(EAGAIN, "split-left", other(file, F_SETLK, F_WRLCK, 39, 2));
    look("split-get", file, F_WRLCK, 45, 0);
    expect("split-right", F_WRLCK, 60, 40, me);
    GIVES(0, "share", lock(file, F_SETLK, F_RDLCK, 70, 10));
    GIVES(0, "share-other", other(file, F_SETLK, F_RDLCK, 70, 10));
    GIVES(EAGAIN, "share-not-all", other(file, F_SETLK, F_RDLCK, 70, 11));
    look("share-get", file, F_WRLCK, 70, 1);
    expect("share-middle", F_RDLCK, 70, 10, me);
    GIVES(0, "merge", lock(file, F_SETLK, F_WRLCK, 40, 40));
    look("merge-get", file, F_WRLCK, 99, 1);
    expect("merge-all", F_WRLCK, 0, 100, me);
    GIVES(0, "merge-beside", lock(file, F_SETLK, F_WRLCK, 100, 0));
    look("merge-end", file, F_WRLCK, 1000, 1);
    expect("merge-to-end", F_WRLCK, 0, 0, me);
    GIVES(0, "unlock-tail", lock(file, F_SETLK, F_UNLCK, 10, 0));
    look("unlock-get", file, F_WRLCK, 0, 0);
    expect("unlock-head", F_WRLCK, 0, 10, me);
    GIVES(0, "unlock", lock(file, F_SETLK, F_UNLCK, 0, 0));

    // The file has 100 bytes.
    SYS(SYS_lseek, file, 30, SEEK_SET);
    GIVES(0, "from-position", record(file, F_SETLK, F_RDLCK, SEEK_CUR, 5, 3, 0));
    look("from-position-get", file, F_WRLCK, 0, 0);
    expect("from-position-bytes", F_RDLCK, 35, 3, me);
    GIVES(0, "from-position-unlock", record(file, F_SETLK, F_UNLCK, SEEK_CUR, 8, -3, 0));
    GIVES(0, "from-end", record(file, F_SETLK, F_RDLCK, SEEK_END, 0, -10, 0));
    look("from-end-get", file, F_WRLCK, 0, 0);
    expect("from-end-bytes", F_RDLCK, 90, 10, me);
    GIVES(0, "from-end-unlock", record(file, F_SETLK, F_UNLCK, SEEK_END, -10, 0, 0));
    look("from-end-none", file, F_WRLCK, 0, 0);
    expect("from-end-unlocked", F_UNLCK, 0, 0, 77);
    close(file);
}

static void test_owners(void)
{
    int file = open_file(one_name, O_RDWR), another = open_file(one_name, O_RDONLY);
    GIVES(0, "owner", lock(file, F_SETLK, F_WRLCK, 0, 10));
    GIVES(0, "owner-by-another", lock(another, F_SETLK, F_RDLCK, 5, 1));
    GIVES(0, "owner-child-unlocks", other(file, F_SETLK, F_UNLCK, 0, 0));
    GIVES(EAGAIN, "owner-not-the-child", other(file, F_SETLK, F_WRLCK, 0, 1));
    int pid = split();
    if (!pid) {
        close(file);
        _exit(0);
    }
    reap(pid);
    GIVES(EAGAIN, "owner-child-closes", other(file, F_SETLK, F_WRLCK, 0, 1));
    // Whichever descriptor of the file is closed.
    close(another);
    GIVES(0, "owner-closes", other(file, F_SETLK, F_WRLCK, 0, 0));

    shared->stage = 0;
    pid = split();
    if (!pid) {
        long result = lock(file, F_SETLK, F_WRLCK, 0, 0);
        shared->stage = 1;
        while (shared->stage == 1)
            pause_ms(5);
        _exit(-result);
    }
    check(reached(1), "child-locks", "it does not");
    FAILS(EAGAIN, "child-has-it", lock(file, F_SETLK, F_RDLCK, 50, 1));
    struct flock found = {.l_type = F_RDLCK};
    GIVES(0, "child-get", SYS(SYS_fcntl, file, F_GETLK, &found));
    check(found.l_pid == pid && found.l_type == F_WRLCK, "child-get-pid", "%d", found.l_pid);
    shared->stage = 2;
    GIVES(0, "child-ends", reap(pid));
    GIVES(0, "child-is-gone", lock(file, F_SETLK, F_WRLCK, 50, 1));
    close(file);
}

static void test_open_files(void)
{
    int one = open_file(one_name, O_RDWR), two = open_file(one_name, O_RDWR);
    GIVES(0, "file-lock", lock(one, F_OFD_SETLK, F_WRLCK, 0, 10));
    FAILS(EAGAIN, "file-lock-another", lock(two, F_OFD_SETLK, F_RDLCK, 9, 1));
    FAILS(EAGAIN, "file-lock-process", lock(one, F_SETLK, F_RDLCK, 9, 1));
    GIVES(0, "file-lock-child", other(one, F_OFD_SETLK, F_WRLCK, 20, 10));
    FAILS(EAGAIN, "file-lock-stays", lock(two, F_OFD_SETLK, F_RDLCK, 29, 1));
    struct flock found = {.l_type = F_WRLCK, .l_start = 15};
    GIVES(0, "file-lock-get", SYS(SYS_fcntl, two, F_OFD_GETLK, &found));
    shared->found = found;
    expect("file-lock-found", F_WRLCK, 20, 10, -1);
    found = (struct flock){.l_type = F_WRLCK};
    GIVES(0, "file-lock-get-process", SYS(SYS_fcntl, one, F_GETLK, &found));
    check(found.l_pid == -1 && found.l_len == 10, "file-lock-no-pid", "%d", found.l_pid);
    GIVES(0, "process-lock", lock(two, F_SETLK, F_WRLCK, 100, 5));
    FAILS(EAGAIN, "process-lock-file", lock(two, F_OFD_SETLK, F_RDLCK, 104, 1));
    GIVES(0, "file-lock-unlock", lock(one, F_OFD_SETLK, F_UNLCK, 0, 25));
    GIVES(0, "file-lock-unlocked", lock(two, F_OFD_SETLK, F_RDLCK, 0, 25));
    GIVES(0, "process-lock-unlock", lock(two, F_SETLK, F_UNLCK, 0, 0));
    FAILS(EAGAIN, "file-lock-rest", lock(two, F_OFD_SETLK, F_RDLCK, 25, 1));
    int pid = split();
    if (!pid) {
        close(one);
        _exit(0);
    }
    reap(pid);
    FAILS(EAGAIN, "file-lock-child-closes", lock(two, F_OFD_SETLK, F_RDLCK, 25, 1));
    close(one);
    GIVES(0, "file-lock-last-close", lock(two, F_OFD_SETLK, F_WRLCK, 0, 0));
    close(two);
}

// F_OFD_GETLK of no lock at all tells of the open file's own; older Linux knows that not.
static void test_own(void)
{
    int one = open_file(one_name, O_RDWR), two = open_file(one_name, O_RDWR);
    lock(one, F_OFD_SETLK, F_RDLCK, 30, 10);
    struct flock found = {.l_type = F_UNLCK};
    long result = SYS(SYS_fcntl, one, F_OFD_GETLK, &found);
    if (result != -EINVAL) {
        shared->found = found;
        expect("file-lock-own", F_RDLCK, 30, 10, -1);
        found = (struct flock){.l_type = F_UNLCK};
        GIVES(0, "file-lock-others", SYS(SYS_fcntl, two, F_OFD_GETLK, &found));
        GIVES(F_UNLCK, "file-lock-not-own", found.l_type);
    }
    close(one);
    close(two);
}

static void on_signal(int number)
{
    (void)number;
    caught = 1;
    shared->signals++;
}

// How a lock is waited for.
enum { FLOCK, PROCESS, OPEN_FILE, WAYS };
static const char *const ways[] = {"flock", "process", "file"};

static long get(int way, int file)
{
    switch (way) {
    case FLOCK: return SYS(SYS_flock, file, LOCK_EX);
    case PROCESS: return lock(file, F_SETLKW, F_WRLCK, 0, 10);
    default: return lock(file, F_OFD_SETLKW, F_WRLCK, 0, 10);
    }
}

static long give(int way, int file)
{
    switch (way) {
    case FLOCK: return SYS(SYS_flock, file, LOCK_UN);
    case PROCESS: return lock(file, F_SETLK, F_UNLCK, 0, 0);
    default: return lock(file, F_OFD_SETLK, F_UNLCK, 0, 0);
    }
}

// A child waits for a lock that this process has. `flags` are those of the action for SIGUSR1.
static int start_waiter(int way, int flags)
{
    shared->stage = shared->signals = 0;
    shared->result = 1;
    int pid = split();
    if (pid)
        return pid;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(SIGUSR1, &action, 0);
    int file = open_file(one_name, O_RDWR);
    shared->stage = 1;
    shared->result = get(way, file);
    shared->stage = 2;
    _exit(0);
}

static void test_waiting(int way)
{
    char text[64];
#define NAMED(what) (snprintf(text, sizeof text, "wait-%s-%s", ways[way], what), text)
    int file = open_file(one_name, O_RDWR);
    GIVES(0, NAMED("get"), get(way, file));
    GIVES(0, NAMED("get-again"), get(way, file));

    int pid = start_waiter(way, 0);
    check(reached(1), NAMED("starts"), "not");
    pause_ms(50);
    GIVES(1, NAMED("waits"), shared->stage);
    GIVES(0, NAMED("give"), give(way, file));
    GIVES(0, NAMED("ends"), reap(pid));
    GIVES(0, NAMED("result"), shared->result);

    GIVES(0, NAMED("get-after"), get(way, file));
    pid = start_waiter(way, 0);
    check(reached(1), NAMED("starts-2"), "not");
    // The first may come before it waits.
    for (int tries = 0; tries < 200 && shared->stage == 1; tries++) {
        pause_ms(20);
        SYS(SYS_kill, pid, SIGUSR1);
    }
    GIVES(0, NAMED("interrupted"), reap(pid));
    FAILS(EINTR, NAMED("interrupted-result"), shared->result);

    pid = start_waiter(way, SA_RESTART);
    check(reached(1), NAMED("starts-3"), "not");
    for (int tries = 0; tries < 5; tries++) {
        pause_ms(20);
        SYS(SYS_kill, pid, SIGUSR1);
    }
    pause_ms(20);
    GIVES(1, NAMED("restarts"), shared->stage);
    check(shared->signals > 0, NAMED("signals"), "none came");
    GIVES(0, NAMED("give-2"), give(way, file));
    GIVES(0, NAMED("restart-ends"), reap(pid));
    GIVES(0, NAMED("restart-result"), shared->result);

    GIVES(0, NAMED("get-last"), get(way, file));
    pid = start_waiter(way, 0);
    check(reached(1), NAMED("starts-4"), "not");
    pause_ms(20);
    SYS(SYS_kill, pid, SIGKILL);
    GIVES(-SIGKILL, NAMED("killed"), reap(pid));
    close(file);
    file = open_file(one_name, O_RDWR);
    GIVES(0, NAMED("nobody-waits"), get(way, file));
    close(file);
}

// Two processes that wait for each other: exactly one is told, whoever came second.
static void test_deadlock(void)
{
    int one = open_file(one_name, O_RDWR), two = open_file(two_name, O_RDWR);
    GIVES(0, "deadlock-one", lock(one, F_SETLK, F_WRLCK, 0, 0));
    shared->stage = 0;
    shared->result = 1;
    int pid = split();
    if (!pid) {
        long result = lock(two, F_SETLK, F_WRLCK, 10, 10);
        shared->stage = 1;
        if (!result)
            result = lock(one, F_SETLKW, F_WRLCK, 50, 1);
        shared->result = result;
        _exit(0);
    }
    check(reached(1), "deadlock-two", "not");
    pause_ms(50);
    long result = lock(two, F_SETLKW, F_RDLCK, 15, 1);
    lock(one, F_SETLK, F_UNLCK, 0, 0);
    GIVES(0, "deadlock-ends", reap(pid));
    check((result == -EDEADLK && !shared->result) || (!result && shared->result == -EDEADLK),
          "deadlock", "%ld and %d", result, shared->result);
    // What the child had is gone.
    GIVES(0, "deadlock-over", lock(two, F_SETLKW, F_WRLCK, 0, 0));
    close(one);
    close(two);
}

// Several at once: nobody is inside with another.
static void test_crowd(int way)
{
    enum { CHILDREN = 4, ROUNDS = 100 };
    char text[64];
    int pids[CHILDREN];
    shared->inside = shared->overlaps = shared->rounds = 0;
    for (int child = 0; child < CHILDREN; child++) {
        pids[child] = split();
        if (pids[child])
            continue;
        int file = open_file(one_name, O_RDWR);
        for (int round = 0; round < ROUNDS; round++) {
            if (get(way, file))
                _exit(1);
            if (shared->inside++)
                shared->overlaps++;
            shared->rounds++;
            if (round % 8 == child)
                SYS(SYS_sched_yield);
            shared->inside--;
            if (give(way, file))
                _exit(2);
        }
        _exit(0);
    }
    for (int child = 0; child < CHILDREN; child++)
        GIVES(0, NAMED("crowd-child"), reap(pids[child]));
    GIVES(0, NAMED("crowd-overlaps"), shared->overlaps);
    GIVES(CHILDREN * ROUNDS, NAMED("crowd-rounds"), shared->rounds);
}

// Whether /proc/locks has a line with this beginning, behind the number, and end.
static int is_listed(const char *begin, const char *end)
{
    static char line[256];
    FILE *list = fopen("/proc/locks", "r");
    int found = 0;
    while (list && fgets(line, sizeof line, list)) {
        char *rest = strchr(line, ':');
        size_t len = strlen(line), tail = strlen(end);
        found |= rest && !strncmp(rest + 2, begin, strlen(begin)) && len > tail &&
                 !strcmp(line + len - tail, end);
    }
    if (list)
        fclose(list);
    return found;
}

static void listed(const char *name, const char *kind, int pid, const char *range)
{
    char begin[64], end[128];
    struct stat status;
    stat(one_name, &status);
    snprintf(begin, sizeof begin, "%s %d ", kind, pid);
    snprintf(end, sizeof end, ":%lu %s\n", (unsigned long)status.st_ino, range);
    check(is_listed(begin, end), name, "no line with '%s' and '%s'", begin, end);
}

static void test_list(void)
{
    if (access("/proc/locks", R_OK)) {
        printf("no /proc/locks: not looked at\n");
        return;
    }
    int file = open_file(one_name, O_RDWR), another = open_file(one_name, O_RDWR), me = getpid();
    SYS(SYS_flock, file, LOCK_EX);
    lock(file, F_SETLK, F_RDLCK, 10, 20);
    lock(file, F_OFD_SETLK, F_WRLCK, 40, 0);
    listed("list-flock", "FLOCK  ADVISORY  WRITE", me, "0 EOF");
    listed("list-process", "POSIX  ADVISORY  READ", me, "10 29");
    listed("list-file", "OFDLCK ADVISORY  WRITE", -1, "40 EOF");
    int pid = split();
    if (!pid)
        _exit(lock(file, F_SETLKW, F_WRLCK, 15, 5) != 0);
    // Others may run this program, too.
    char waiter[64];
    snprintf(waiter, sizeof waiter, "-> POSIX  ADVISORY  WRITE %d ", pid);
    for (int tries = 0; tries < 200 && !is_listed(waiter, " 15 19\n"); tries++)
        pause_ms(5);
    listed("list-waits", "-> POSIX  ADVISORY  WRITE", pid, "15 19");
    close(another);
    GIVES(0, "list-child", reap(pid));
    close(file);
}

int main(int count, char **arguments)
{
    if (count > 1 && chdir(arguments[1])) {
        perror(arguments[1]);
        return 2;
    }
    shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(one_name, sizeof one_name, "locks-%d-one", (int)getpid());
    snprintf(two_name, sizeof two_name, "locks-%d-two", (int)getpid());
    snprintf(link_name, sizeof link_name, "locks-%d-link", (int)getpid());
    int one = open(one_name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    int two = open(two_name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(shared != MAP_FAILED && one >= 0 && two >= 0 && !ftruncate(one, 100), "files", "%m");
    if (failures)
        return summary();
    close(one);
    close(two);
    test_flock();
    test_errors();
    test_records();
    test_owners();
    test_open_files();
    test_own();
    for (int way = 0; way < WAYS; way++)
        test_waiting(way);
    test_deadlock();
    for (int way = 0; way < WAYS; way++)
        test_crowd(way);
    test_list();
    unlink(one_name);
    unlink(two_name);
    return summary();
}
