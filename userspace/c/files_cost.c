// files_cost [DIRECTORY]: what calls on files cost whose pages and names are in memory.
//
// It prints lines `NAME VALUE ns`, each the mean of many rounds, its own loop included. Under
// `-icount shift=0,sleep=off` a nanosecond is an instruction. It works in a directory of its own
// below the current one, or another.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "sys.h"

enum { ROUNDS = 2000, PAGE = 4096, PAGES = 64 };

static char bytes[PAGES * PAGE];
static struct stat status;

static long now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000L + at.tv_nsec;
}

static void report(const char *name, long ns, long rounds)
{
    printf("%s %ld ns\n", name, (ns + rounds / 2) / rounds);
}

// COST(name, rounds, call): does a call so often, with `round` in it, each as good as `expected`.
#define COST(name, rounds, expected, ...)                                                         \
    do {                                                                                          \
        long bad = 0, start = now();                                                              \
        for (long round = 0; round < (rounds); round++)                                           \
            bad += SYS(__VA_ARGS__) != (expected);                                                \
        report(name, now() - start, rounds);                                                      \
        check(!bad, name, "%ld calls failed", bad);                                               \
    } while (0)

static void costs_of_data(void)
{
    memset(bytes, 1, sizeof bytes); // no faults later
    int file = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(write(file, bytes, sizeof bytes) == sizeof bytes, "data", "%m");
    check(read(file, bytes, 1) == 0, "end", "is not there");
    COST("pread_1", ROUNDS, 1, SYS_pread64, file, bytes, 1, 0);
    COST("pread_4k", ROUNDS, PAGE, SYS_pread64, file, bytes, PAGE, round % PAGES * PAGE);
    COST("pread_64k", ROUNDS / 10, 16 * PAGE, SYS_pread64, file, bytes, 16 * PAGE, 0);
    // At the position, which goes back now and then: part of a call of that for each read.
    long start = now(), bad = 0;
    for (long round = 0; round < ROUNDS; round++) {
        if (round % PAGES == 0)
            bad += SYS(SYS_lseek, file, 0, SEEK_SET) != 0;
        bad += SYS(SYS_read, file, bytes, PAGE) != PAGE;
    }
    report("read_4k", now() - start, ROUNDS);
    check(!bad, "read_4k", "%ld calls failed", bad);
    COST("pwrite_1", ROUNDS, 1, SYS_pwrite64, file, bytes, 1, 0);
    COST("pwrite_4k", ROUNDS, PAGE, SYS_pwrite64, file, bytes, PAGE, round % PAGES * PAGE);
    COST("fstat", ROUNDS, 0, SYS_fstat, file, &status);
    close(file);
    // Each makes the file longer, and takes room on a disk.
    file = open("longer", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    COST("append_4k", ROUNDS, PAGE, SYS_write, file, bytes, PAGE);
    COST("append_100", ROUNDS, 100, SYS_write, file, bytes, 100);
    close(file);
}

static void costs_of_names(void)
{
    check(!mkdir("a", 0755) && !mkdir("a/b", 0755) && !mkdir("a/b/c", 0755), "mkdir", "%m");
    int file = open("a/b/c/d", O_RDWR | O_CREAT, 0644);
    check(file >= 0, "file", "%m");
    close(file);
    COST("stat_1_deep", ROUNDS, 0, SYS_stat, "data", &status);
    COST("stat_4_deep", ROUNDS, 0, SYS_stat, "a/b/c/d", &status);
    COST("stat_missing", ROUNDS, -2, SYS_stat, "a/b/c/none", &status);
    COST("access_4_deep", ROUNDS, 0, SYS_access, "a/b/c/d", R_OK);
    long start = now(), bad = 0;
    for (long round = 0; round < ROUNDS; round++) {
        long opened = SYS(SYS_open, "a/b/c/d", O_RDONLY);
        bad += opened < 0 || SYS(SYS_close, opened);
    }
    report("open_close_4_deep", now() - start, ROUNDS);
    check(!bad, "open_close_4_deep", "%ld calls failed", bad);
    // The first time, inodes are read that were never used.
    for (int turn = 0; turn < 2; turn++) {
        sync(); // so that nothing is stored meanwhile
        start = now(), bad = 0;
        for (long round = 0; round < ROUNDS / 4; round++) {
            long made = SYS(SYS_open, "a/new", O_WRONLY | O_CREAT | O_EXCL, 0644);
            bad += made < 0 || SYS(SYS_close, made) || SYS(SYS_unlink, "a/new");
        }
        check(!bad, "create_close_unlink", "%ld calls failed", bad);
    }
    report("create_close_unlink", now() - start, ROUNDS / 4);
}

int main(int argc, char **argv)
{
    char name[64];
    snprintf(name, sizeof name, "files_cost.%d", getpid());
    check(!chdir(argc > 1 ? argv[1] : ".") && !mkdir(name, 0755) && !chdir(name), "place", "%m");
    if (failures)
        return summary();
    long start = now();
    for (int round = 0; round < ROUNDS; round++)
        SYS(SYS_getppid);
    report("getppid", now() - start, ROUNDS);
    costs_of_data();
    costs_of_names();
    unlink("data");
    unlink("longer");
    unlink("a/b/c/d");
    rmdir("a/b/c");
    rmdir("a/b");
    rmdir("a");
    check(!chdir("..") && !rmdir(name), "removed", "%m");
    return summary();
}
