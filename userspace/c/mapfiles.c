// mapfiles [DIRECTORY [MIB]]
//
// What it proves: a mapping of a file and the file are the same bytes, whoever writes; what was
// cut off is gone from all mappings; nothing that is written through a mapping is lost, by munmap,
// exit, several processes or several tasks in one memory; and the calls say why not in Linux's words. It
// leaves `mapped` in the directory: 64 pages, page N full of the byte N + 1.
// With a number it maps a file of so many MiB instead, writes all pages, as far as the file system
// has room, and reads them twice.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

#define PAGE 4096L
#define PAGES 64
#define PROCESSES 4
#define TASKS 4

#define FAILS(error, name, ...) check_error(name, SYS(__VA_ARGS__), error)
#define GIVES(result, name, ...) check_result(name, SYS(__VA_ARGS__), result)
#define MMAP(len, protection, flags, fd, offset) \
    raw_syscall(SYS_mmap, 0, len, protection, flags, fd, offset)

static sigjmp_buf back;
static volatile sig_atomic_t signal_code;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    signal_code = info->si_code;
    siglongjmp(back, 1);
}

// Whether reading, or writing, a byte raises SIGBUS.
static int is_bus_error(volatile char *at, int is_write)
{
    signal_code = 0;
    if (sigsetjmp(back, 1))
        return 1;
    if (is_write)
        *at = 1;
    else
        (void)*at;
    return 0;
}

static int make(const char *name, long len)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ftruncate(fd, len)) {
        perror(name);
        exit(2);
    }
    return fd;
}

static char *map(int fd, long len, int flags)
{
    char *at = mmap(0, len, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return at;
}

static int byte_at(int fd, long offset)
{
    unsigned char byte;
    return pread(fd, &byte, 1, offset) == 1 ? byte : -1;
}

static int is_full_of(const char *from, char byte, long len)
{
    for (long at = 0; at < len; at++)
        if (from[at] != byte)
            return 0;
    return 1;
}

static void test_same_bytes(void)
{
    int fd = make("m1", 3 * PAGE + 100);
    char *shared = map(fd, 4 * PAGE, MAP_SHARED), *own = map(fd, 4 * PAGE, MAP_PRIVATE);
    check(is_full_of(shared, 0, 4 * PAGE), "a hole is zeros", "it is not");
    pwrite(fd, "written", 7, PAGE + 5);
    check(!memcmp(shared + PAGE + 5, "written", 7), "write is seen by a mapping", "it is not");
    check(!memcmp(own + PAGE + 5, "written", 7), "and by a private one", "it is not");
    memcpy(shared + PAGE + 7, "IT", 2);
    char text[8] = {0};
    pread(fd, text, 7, PAGE + 5);
    check(!strcmp(text, "wrITten"), "a mapping is seen by read", "%s", text);
    check(!memcmp(own + PAGE + 5, text, 7), "and by a private mapping", "it is not");
    own[PAGE + 5] = 'o';
    check(byte_at(fd, PAGE + 5) == 'w' && shared[PAGE + 5] == 'w', "a copy is private", "no");
    pwrite(fd, "X", 1, PAGE + 6);
    check(own[PAGE + 6] == 'r' && shared[PAGE + 6] == 'X', "a copy stays as it was", "no");
    check(is_full_of(shared + 3 * PAGE + 100, 0, PAGE - 100), "zeros behind the end", "no");
    // Written behind the end, it never comes to light, but on Linux in a tmpfs.
    struct statfs about;
    shared[3 * PAGE + 200] = fstatfs(fd, &about) || about.f_type == 0x01021994 ? 0 : 9;
    msync(shared, 4 * PAGE, MS_SYNC);
    ftruncate(fd, 4 * PAGE);
    check(byte_at(fd, 3 * PAGE + 200) == 0, "what is behind the end is not kept",
          "%d", byte_at(fd, 3 * PAGE + 200));
    // From and to a mapping of the same file.
    check_result("write from its own mapping", pwrite(fd, shared + PAGE, PAGE, 2 * PAGE), PAGE);
    check(!memcmp(shared + 2 * PAGE + 5, "wXITten", 7), "and the bytes are there", "no");
    check_result("read to its own mapping", pread(fd, shared, PAGE, 2 * PAGE), PAGE);
    check(!memcmp(shared + 5, "wXITten", 7), "and they are there, too", "no");
    munmap(shared, 4 * PAGE);
    munmap(own, 4 * PAGE);
    close(fd);
}

static void test_ends(void)
{
    int fd = make("m2", 4 * PAGE);
    char *shared = map(fd, 8 * PAGE, MAP_SHARED), *own = map(fd, 8 * PAGE, MAP_PRIVATE);
    memset(shared, 3, 4 * PAGE);
    memset(own + 2 * PAGE, 4, 2 * PAGE);
    check(is_bus_error(shared + 4 * PAGE, 0) && signal_code == BUS_ADRERR, "read behind the end",
          "code %d", signal_code);
    check(is_bus_error(own + 5 * PAGE, 1) && signal_code == BUS_ADRERR, "write behind the end",
          "code %d", signal_code);
    ftruncate(fd, PAGE + 10);
    check(is_bus_error(shared + 2 * PAGE, 0), "a page that was cut off", "it is there");
    check(is_bus_error(own + 3 * PAGE, 0), "a copy of one", "it is there");
    check(!is_bus_error(shared + PAGE, 1), "the page with the end", "it is gone");
    check(is_full_of(shared + PAGE + 10, 0, PAGE - 10), "zeros behind the new end", "no");
    ftruncate(fd, 6 * PAGE);
    check(is_full_of(shared + PAGE + 10, 0, 5 * PAGE - 10), "longer again, zeros", "no");
    check(is_full_of(own + 2 * PAGE, 0, 4 * PAGE), "and in private", "no");
    pwrite(fd, "end", 3, 7 * PAGE);
    check(shared[7 * PAGE] == 'e', "a file that grows, grows in its mappings", "no");
    munmap(shared, 8 * PAGE);
    munmap(own, 8 * PAGE);
    close(fd);
    // A mapping far behind the end of a file that may be huge.
    fd = make("m3", 1);
    char *far = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 1L << 30);
    check(far != MAP_FAILED && is_bus_error(far, 0), "a mapping far behind the end", "no");
    if (!ftruncate(fd, (1L << 30) + 1)) {
        check(*far == 0, "is there when the file is", "no");
        ftruncate(fd, 1);
        check(is_bus_error(far, 0), "and goes with it", "no");
    }
    munmap(far, PAGE);
    close(fd);
}

static void test_refusals(void)
{
    int fd = make("m4", 2 * PAGE), reads = open("m4", O_RDONLY), writes = open("m4", O_WRONLY);
    int directory = open(".", O_RDONLY);
    const int rw = PROT_READ | PROT_WRITE;
    check_error("shared, not for writing", MMAP(PAGE, rw, MAP_SHARED, reads, 0), EACCES);
    check_error("shared, not for reading", MMAP(PAGE, PROT_WRITE, MAP_SHARED, writes, 0), EACCES);
    check_error("private, not for reading", MMAP(PAGE, PROT_READ, MAP_PRIVATE, writes, 0), EACCES);
    check_error("a directory", MMAP(PAGE, PROT_READ, MAP_PRIVATE, directory, 0), ENODEV);
    check_error("no file", MMAP(PAGE, PROT_READ, MAP_PRIVATE, 99, 0), EBADF);
    check_error("no bytes", MMAP(0, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
    check_error("not a page", MMAP(PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    check_error("neither shared nor private", MMAP(PAGE, PROT_READ, 0, fd, 0), EINVAL);
    char *at = mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, reads, 0);
    FAILS(EACCES, "mprotect to write it", SYS_mprotect, at, PAGE, rw);
    char *own = mmap(0, 2 * PAGE, PROT_READ, MAP_PRIVATE, reads, 0);
    GIVES(0, "mprotect to write a private one", SYS_mprotect, own, PAGE, rw);
    own[0] = 1;
    check(at[0] == 0, "which is a copy", "it is not");
    GIVES(0, "msync", SYS_msync, at, 2 * PAGE, MS_SYNC | MS_INVALIDATE);
    GIVES(0, "msync, async", SYS_msync, at, 2 * PAGE, MS_ASYNC);
    FAILS(EINVAL, "msync, both", SYS_msync, at, PAGE, MS_ASYNC | MS_SYNC);
    FAILS(EINVAL, "msync, not a page", SYS_msync, at + 1, PAGE, MS_SYNC);
    munmap(at + PAGE, PAGE);
    FAILS(ENOMEM, "msync, a hole", SYS_msync, at, 2 * PAGE, MS_SYNC);
    munmap(at, PAGE);
    munmap(own, 2 * PAGE);
    int all[] = {fd, reads, writes, directory};
    for (unsigned index = 0; index < sizeof all / sizeof *all; index++)
        close(all[index]);
}

static void test_calls(void)
{
    int fd = make("m5", 8 * PAGE);
    for (int page = 0; page < 8; page++)
        pwrite(fd, &(char){page + 1}, 1, page * PAGE);
    char *at = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    unsigned char resident[8] = {0};
    GIVES(0, "mincore", SYS_mincore, at, 8 * PAGE, resident);
    int count = 0;
    for (int page = 0; page < 8; page++)
        count += resident[page] & 1;
    check_result("of a mapping that was brought", count, 8);
    at[0] = 11;
    GIVES(0, "MADV_DONTNEED", SYS_madvise, at, 8 * PAGE, MADV_DONTNEED);
    check(at[0] == 11 && at[7 * PAGE] == 8, "loses nothing that is shared", "%d", at[0]);
    GIVES(0, "MADV_WILLNEED", SYS_madvise, at, 8 * PAGE, MADV_WILLNEED);
    char *own = map(fd, 8 * PAGE, MAP_PRIVATE);
    own[PAGE] = 22;
    madvise(own, 8 * PAGE, MADV_DONTNEED);
    check(own[PAGE] == 2, "MADV_DONTNEED loses a copy", "%d", own[PAGE]);
    GIVES(0, "mprotect to nothing", SYS_mprotect, at, 8 * PAGE, PROT_NONE);
    GIVES(0, "mprotect to all", SYS_mprotect, at, 8 * PAGE, PROT_READ | PROT_WRITE);
    at[2 * PAGE] = 33;
    char *moved = mremap(at, 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
    check(moved != MAP_FAILED && moved[2 * PAGE] == 33, "mremap", "%s", strerror(errno));
    moved[3 * PAGE] = 44;
    check(is_bus_error(moved + 8 * PAGE, 0), "mremap goes on behind the end", "no");
    char *again = mremap(moved, 0, 8 * PAGE, MREMAP_MAYMOVE);
    check(again != MAP_FAILED && again[3 * PAGE] == 44, "mremap once more", "%s", strerror(errno));
    again[4 * PAGE] = 55;
    check(moved[4 * PAGE] == 55 && byte_at(fd, 4 * PAGE) == 55, "is the same bytes", "no");
    munmap(moved, 16 * PAGE);
    munmap(again, 8 * PAGE);
    munmap(own, 8 * PAGE);
    close(fd);
}

// Each process writes a byte of its own in each page, again and again.
static void test_processes(void)
{
    int fd = make("m6", PAGES * PAGE);
    char *at = map(fd, PAGES * PAGE, MAP_SHARED);
    memset(at, 0, PAGES * PAGE);
    for (int number = 0; number < PROCESSES; number++)
        if (fork() == 0) {
            for (int round = 0; round < 50; round++)
                for (int page = 0; page < PAGES; page++) {
                    volatile char *byte = at + page * PAGE + number * 64;
                    *byte = *byte + 1;
                    if (page % 16 == number)
                        msync(at + page * PAGE, PAGE, round % 8 ? MS_ASYNC : MS_SYNC);
                }
            _exit(0);
        }
    int ended = 0, state;
    while (wait(&state) > 0)
        ended += state == 0;
    check_result("processes end well", ended, PROCESSES);
    long lost = 0;
    for (int page = 0; page < PAGES; page++)
        for (int number = 0; number < PROCESSES; number++)
            lost += byte_at(fd, page * PAGE + number * 64) != 50;
    check_result("bytes of processes that are lost", lost, 0);
    munmap(at, PAGES * PAGE);
    close(fd);
}

static char *cut_mapping;
// In memory that all share.
static volatile struct {
    int is_over;
    int rounds_of[TASKS];
} *common;
// Tasks that share memory and nothing else: each has a stack, and by that a place to go back to.
static char stacks[TASKS][1 << 16] __attribute__((aligned(16)));
static sigjmp_buf backs[TASKS];

static void on_task_bus_error(int number)
{
    long task = ((char *)&number - stacks[0]) / (long)sizeof stacks[0];
    siglongjmp(backs[task], 1);
}

// Writes to all pages, the upper half of which comes and goes.
static int write_all(void *argument)
{
    long number = (long)argument;
    while (!common->is_over) {
        common->rounds_of[number]++;
        for (volatile int page = 0; page < PAGES; page++) {
            if (!sigsetjmp(backs[number], 1))
                *(volatile char *)(cut_mapping + page * PAGE + number * 64) =
                    common->rounds_of[number];
            else if (page < PAGES / 2)
                return 3;
        }
    }
    return 0;
}

static void test_tasks(void)
{
    int fd = make("m7", PAGES * PAGE);
    cut_mapping = map(fd, PAGES * PAGE, MAP_SHARED);
    common = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = on_task_bus_error, .sa_flags = SA_NODEFER};
    struct sigaction before;
    sigaction(SIGBUS, &action, &before);
    for (long number = 0; number < TASKS; number++)
        if (clone(write_all, stacks[number] + sizeof stacks[0], CLONE_VM | SIGCHLD,
                  (void *)number) < 0 &&
            clone(write_all, stacks[number] + sizeof stacks[0], SIGCHLD, (void *)number) < 0)
            perror("clone"); // a kernel without threads has processes
    for (int round = 0; round < 40; round++) {
        ftruncate(fd, PAGES / 2 * PAGE);
        fsync(fd);
        ftruncate(fd, PAGES * PAGE);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, 0);
    }
    common->is_over = 1;
    int ended = 0, state;
    while (wait(&state) > 0)
        ended += state == 0;
    check_result("tasks whose file is cut short end well", ended, TASKS);
    long lost = 0;
    for (int number = 0; number < TASKS; number++)
        for (int page = 0; page < PAGES / 2; page++)
            lost += byte_at(fd, page * PAGE + number * 64) != (common->rounds_of[number] & 255);
    check_result("bytes of theirs that are lost", lost, 0);
    sigaction(SIGBUS, &before, 0);
    munmap(cut_mapping, PAGES * PAGE);
    close(fd);
}

// What is left to be compared by others. A child writes half of it, and neither stores it.
static void leave(void)
{
    int fd = make("mapped", PAGES * PAGE);
    char *at = map(fd, PAGES * PAGE, MAP_SHARED);
    int child = fork();
    for (int page = child ? 0 : PAGES / 2; page < (child ? PAGES / 2 : PAGES); page++)
        memset(at + page * PAGE, page + 1, PAGE);
    if (!child)
        _exit(0);
    int state;
    waitpid(child, &state, 0);
    munmap(at, PAGES * PAGE);
    int wrong = 0;
    for (int page = 0; page < PAGES; page++)
        wrong += byte_at(fd, page * PAGE + PAGE - 1) != page + 1;
    check_result("pages of what is left that are wrong", wrong, 0);
    close(fd);
}

// More than there is memory, or room.
static int test_large(long len)
{
    int fd = make("large", len);
    volatile char *at = map(fd, len, MAP_SHARED);
    long written = 0, wrong = 0;
    while (written < len && !is_bus_error(at + written, 1)) {
        *(volatile long *)(at + written) = written + 1;
        written += PAGE;
    }
    for (int round = 0; round < 2; round++)
        for (long from = 0; from < written; from += PAGE)
            wrong += *(volatile long *)(at + from) != from + 1;
    printf("%ld of %ld pages had room\n", written / PAGE, len / PAGE);
    check_result("pages that are wrong", wrong, 0);
    check_result("what was written can be stored", fsync(fd), 0);
    return summary();
}

int main(int count, char **arguments)
{
    setvbuf(stdout, 0, _IOLBF, 0);
    if (count > 1 && chdir(arguments[1])) {
        perror(arguments[1]);
        return 2;
    }
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, 0);
    if (count > 2)
        return test_large(atol(arguments[2]) << 20);
    // Several may run in one directory.
    char own[32];
    snprintf(own, sizeof own, "mapfiles-%d", (int)getpid());
    if (mkdir(own, 0700) || chdir(own)) {
        perror(own);
        return 2;
    }
    test_same_bytes();
    test_ends();
    test_refusals();
    test_calls();
    test_processes();
    test_tasks();
    leave();
    for (int number = 1; number <= 7; number++) {
        char name[] = {'m', '0' + number, 0};
        unlink(name);
    }
    check_result("what is left gets its name", rename("mapped", "../mapped") || chdir("..") ||
                                                   rmdir(own), 0);
    return summary();
}
