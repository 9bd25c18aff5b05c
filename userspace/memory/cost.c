// memory cost: what touching and changing memory costs.
//
// It prints lines `NAME VALUE ns`, each the mean of many rounds, its own loop included. Under
// `-icount shift=0,sleep=off` a nanosecond is an instruction. What cannot be measured, since
// the kernel lacks the call, is `NAME none`.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

enum { PAGES = 4096, ROUNDS = 2000, FILE_PAGES = 1024 };

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

static inline void write_to(char *at) { *(volatile char *)at = 1; }
static inline void read_from(const char *at) { (void)*(const volatile char *)at; }

// A fresh area without pages of 2 MiB.
static char *small_pages(long pages)
{
    char *area = map(pages * PAGE, RW, ANON);
    SYS(SYS_madvise, area, pages * PAGE, MADV_NOHUGEPAGE);
    return area;
}

// First touches, page after page; per page.
static void in_sequence(const char *name, int write)
{
    char *area = small_pages(PAGES);
    long start = now();
    for (long page = 0; page < PAGES; page++)
        if (write)
            write_to(area + page * PAGE);
        else
            read_from(area + page * PAGE);
    report(name, now() - start, PAGES);
    SYS(SYS_munmap, area, PAGES * PAGE);
}

// Each touch is a fault: every 5th page, from the last to the first, is no sequence that a
// kernel goes ahead of. Few pages share a table, so that there is one for each 512 pages.
static void strewn(const char *name, int write)
{
    char *area = small_pages(PAGES);
    long touched = 0, start = now();
    for (long page = PAGES - 1; page >= 0; page -= 5, touched++)
        if (write)
            write_to(area + page * PAGE);
        else
            read_from(area + page * PAGE);
    report(name, now() - start, touched);
    SYS(SYS_munmap, area, PAGES * PAGE);
}

// A write to a page that was read before.
static void write_after_read(void)
{
    char *area = small_pages(PAGES);
    for (long page = 0; page < PAGES; page++)
        read_from(area + page * PAGE);
    long touched = 0, start = now();
    for (long page = PAGES - 1; page >= 0; page -= 5, touched++)
        write_to(area + page * PAGE);
    report("write_after_read", now() - start, touched);
    SYS(SYS_munmap, area, PAGES * PAGE);
}

static void large_pages(void)
{
    const long len = 32 * MIB;
    char *area = hole(len + 2 * MIB);
    area = (char *)(((uintptr_t)area + 2 * MIB - 1) & -2 * MIB);
    map_at(area, len, RW, ANON | MAP_FIXED);
    SYS(SYS_madvise, area, len, MADV_HUGEPAGE);
    long start = now();
    for (long at = 0; at < len; at += PAGE)
        write_to(area + at);
    report("touch_mib_large", now() - start, len / MIB);
    start = now();
    SYS(SYS_munmap, area, len);
    report("unmap_mib_large", now() - start, len / MIB);
}

static void calls(void)
{
    long start = now();
    for (int round = 0; round < ROUNDS; round++)
        SYS(SYS_munmap, SYS(SYS_mmap, 0, 16 * PAGE, RW, ANON, -1, 0), 16 * PAGE);
    report("mmap_munmap", now() - start, ROUNDS);
    start = now();
    for (int round = 0; round < ROUNDS; round++) {
        char *at = (char *)SYS(SYS_mmap, 0, 16 * PAGE, RW, ANON, -1, 0);
        write_to(at);
        SYS(SYS_munmap, at, 16 * PAGE);
    }
    report("mmap_touch_munmap", now() - start, ROUNDS);

    char *area = small_pages(64);
    fill(area, 64 * PAGE, 1);
    start = now();
    for (int round = 0; round < ROUNDS; round++) {
        SYS(SYS_mprotect, area + 16 * PAGE, 16 * PAGE, RD);
        SYS(SYS_mprotect, area + 16 * PAGE, 16 * PAGE, RW);
    }
    report("mprotect_pair", now() - start, ROUNDS);
    start = now();
    for (int round = 0; round < ROUNDS; round++) {
        SYS(SYS_madvise, area, PAGE, MADV_DONTNEED);
        write_to(area);
    }
    report("dontneed_touch", now() - start, ROUNDS);
    char *end = (char *)SYS(SYS_brk, 0);
    start = now();
    for (int round = 0; round < ROUNDS; round++) {
        SYS(SYS_brk, end + 16 * PAGE);
        SYS(SYS_brk, end);
    }
    report("brk_pair", now() - start, ROUNDS);

    // In a process that has many mappings.
    char *many = map(1000 * PAGE, RW, ANON);
    for (int page = 0; page < 1000; page += 2)
        SYS(SYS_mprotect, many + page * PAGE, PAGE, RD);
    start = now();
    for (int round = 0; round < ROUNDS; round++)
        SYS(SYS_munmap, SYS(SYS_mmap, 0, 16 * PAGE, RW, ANON, -1, 0), 16 * PAGE);
    report("mmap_munmap_of_1000", now() - start, ROUNDS);
    SYS(SYS_munmap, many, 1000 * PAGE);
    SYS(SYS_munmap, area, 64 * PAGE);
}

// Copies on write: a child writes to what its parent has filled.
static void after_fork(void)
{
    char *area = small_pages(PAGES);
    fill(area, PAGES * PAGE, 2);
    fflush(stdout);
    long start = now();
    pid_t pid = fork();
    if (pid < 0) {
        printf("cow_fault none\nfork none\n");
        return;
    }
    if (pid == 0) {
        long touched = 0;
        start = now();
        for (long page = PAGES - 1; page >= 0; page -= 5, touched++)
            write_to(area + page * PAGE);
        report("cow_fault", now() - start, touched);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    // With nothing to copy but tables and what the program is.
    SYS(SYS_munmap, area, PAGES * PAGE);
    start = now();
    for (int round = 0; round < 50; round++) {
        pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
    report("fork", now() - start, 50);
}

// Touches of a file's pages that are in memory. A read brings the
// pages around it, too; a write brings one page and has room made for it where it is stored.
static void files(void)
{
    // Where a disk may be mounted, and else where one is.
    const char *name = access("/mnt/lost+found", F_OK) ? "memory-cost" : "/mnt/memory-cost";
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink(name);
    char *bytes = small_pages(FILE_PAGES);
    memset(bytes, 1, FILE_PAGES * PAGE);
    if (fd < 0 || write(fd, bytes, FILE_PAGES * PAGE) != FILE_PAGES * PAGE) {
        printf("file_read_fault none\nfile_write_fault none\n");
    } else {
        fsync(fd);
        char *area = mmap(0, FILE_PAGES * PAGE, RW, MAP_SHARED, fd, 0);
        long start = now(), touched = 0;
        for (long page = FILE_PAGES - 16; page >= 0; page -= 16, touched++)
            read_from(area + page * PAGE);
        report("file_read_fault", now() - start, touched);
        start = now();
        for (long page = 0; page < FILE_PAGES; page++)
            write_to(area + page * PAGE);
        report("file_write_fault", now() - start, FILE_PAGES);
        SYS(SYS_munmap, area, FILE_PAGES * PAGE);
    }
    close(fd);
    SYS(SYS_munmap, bytes, FILE_PAGES * PAGE);
}

int test_cost(void)
{
    in_sequence("fault_sequence", 1);
    strewn("fault", 1);
    in_sequence("read_fault_sequence", 0);
    strewn("read_fault", 0);
    write_after_read();
    large_pages();
    calls();
    files();
    after_fork();
    return 0;
}
