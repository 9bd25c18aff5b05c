// files_speed DIRECTORY [MIB]
//
// How fast a file of so many MiB (64) is written and stored, read from the disk, and read again from
// memory; and how long 10,000 files take to be made, to be looked at, and to be deleted. It prints
// lines `NAME VALUE UNIT`. To read from the disk it has the page cache dropped, so it needs root's
// rights and /proc.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { PART = 128 * 1024, FILES = 10000, DIRECTORIES = 10 };

static unsigned char bytes[PART];

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void drop_caches(void)
{
    sync();
    int file = open("/proc/sys/vm/drop_caches", O_WRONLY);
    check(file >= 0 && write(file, "3\n", 2) == 2, "drop-caches", "%m");
    close(file);
}

static void report(const char *name, double amount, double since, const char *unit)
{
    double taken = now() - since;
    printf("%s %.1f %s\n", name, amount / (taken > 0 ? taken : 1e-9), unit);
}

static void read_all(const char *name, int file, long mib)
{
    double start = now();
    long sum = 0, got;
    lseek(file, 0, SEEK_SET);
    while ((got = read(file, bytes, PART)) > 0)
        sum += got;
    report(name, mib, start, "MiB/s");
    check(sum == mib << 20, name, "%ld bytes", sum);
}

static int test_file(long mib)
{
    int file = open("speed", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (file < 0) {
        check(0, "speed", "%m");
        return -1;
    }
    memset(bytes, 'x', PART);
    double start = now();
    long sum = 0, put;
    while (sum < mib << 20 && (put = write(file, bytes, PART)) > 0)
        sum += put;
    int stored = fsync(file);
    report("write_and_fsync", mib, start, "MiB/s");
    check(sum == mib << 20 && !stored, "written", "%ld bytes: %m", sum);
    close(file);
    if (failures)
        return unlink("speed"); // the rest would measure how calls fail
    drop_caches();
    file = open("speed", O_RDONLY);
    read_all("cold_read", file, mib);
    read_all("warm_read", file, mib);
    close(file);
    return unlink("speed");
}

static void name_of(char *name, int number)
{
    sprintf(name, "s%d/f%d", number % DIRECTORIES, number);
}

static void test_files(void)
{
    char name[32];
    struct stat status;
    int bad = 0;
    for (int number = 0; number < DIRECTORIES; number++) {
        sprintf(name, "s%d", number);
        bad += mkdir(name, 0755) != 0;
    }
    double start = now();
    for (int number = 0; number < FILES; number++) {
        name_of(name, number);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        bad += file < 0 || write(file, name, 10) != 10 || close(file);
    }
    report("make", FILES, start, "files/s");
    start = now();
    sync();
    printf("sync_of_them %.3f s\n", now() - start);
    start = now();
    for (int number = 0; number < FILES; number++) {
        name_of(name, number);
        bad += stat(name, &status) || status.st_size != 10;
    }
    report("stat", FILES, start, "files/s");
    drop_caches();
    start = now();
    for (int number = 0; number < FILES; number++) {
        name_of(name, number);
        bad += stat(name, &status) || status.st_size != 10;
    }
    report("cold_stat", FILES, start, "files/s");
    start = now();
    for (int number = 0; number < FILES; number++) {
        name_of(name, number);
        bad += unlink(name) != 0;
    }
    report("delete", FILES, start, "files/s");
    for (int number = 0; number < DIRECTORIES; number++) {
        sprintf(name, "s%d", number);
        bad += rmdir(name) != 0;
    }
    check(!bad, "files", "%d calls failed", bad);
}

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1])) {
        printf("usage: files_speed DIRECTORY [MIB]\n");
        return 1;
    }
    test_file(argc > 2 ? atol(argv[2]) : 64);
    if (!failures)
        test_files();
    return summary();
}
