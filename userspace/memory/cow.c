// memory cow: memory after fork.
//
// What it proves: parent, child and grandchild each see their own private memory, whoever
// writes first, the program or the kernel for it, with pages of any size; shared memory is
// one; mappings change in one process alone; advice about fork is followed.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/wait.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

// What processes tell each other.
static volatile int *shared;

static void wait_for(int step)
{
    for (long yields = 0; *shared < step; yields++) {
        if (yields > 20000000) {
            printf("FAIL step %d does not come\n", step);
            _exit(1);
        }
        SYS(SYS_sched_yield);
    }
}

// Runs `child` in a child, which ends with what it returns: 0 for good.
static pid_t start(int (*child)(void))
{
    *shared = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    if (pid < 0) {
        printf("FAIL fork: %m\n");
        exit(1);
    }
    return pid;
}

static void check_child(const char *name, pid_t pid)
{
    int status = -1;
    pid_t ended = waitpid(pid, &status, 0);
    check(ended == pid && status == 0, name, "ended with status %#x", status);
}

static char *area, *other, *constant;
static const long len = 64 * PAGE;

// The child writes first, then the parent; and the other way round.
static int child_first(void)
{
    int good = holds(area, len, 1);
    fill(area, len, 2);
    *shared = 1;
    wait_for(2);
    return !(good && holds(area, len, 2));
}

static int parent_first(void)
{
    wait_for(1);
    int good = holds(area, len, 1);
    fill(area, len, 4);
    *shared = 2;
    return !(good && holds(area, len, 4));
}

static void test_isolation(void)
{
    area = map(len, RW, ANON);
    fill(area, len, 1);
    pid_t pid = start(child_first);
    wait_for(1);
    check(holds(area, len, 1), "child-first", "changed");
    fill(area, len, 3);
    *shared = 2;
    check_child("child-first-child", pid);
    check(holds(area, len, 3), "child-first-after", "changed");

    fill(area, len, 1);
    pid = start(parent_first);
    fill(area, len, 3);
    *shared = 1;
    wait_for(2);
    check(holds(area, len, 3), "parent-first", "changed");
    check_child("parent-first-child", pid);
    fill(area, len, 1);
    check(holds(area, len, 1), "parent-alone", "changed");
}

// Memory that was only read, or not touched, when the process forked.
static int untouched_child(void)
{
    int good = is_zero(area, len) && is_zero(other, len);
    fill(area, len, 5);
    fill(other, len, 6);
    *shared = 1;
    wait_for(2);
    return !(good && holds(area, len, 5) && holds(other, len, 6));
}

static void test_untouched(void)
{
    area = map(len, RW, ANON);
    other = map(len, RW, ANON);
    check(is_zero(other, len), "read-only-so-far", "not zero");
    pid_t pid = start(untouched_child);
    wait_for(1);
    check(is_zero(area, len) && is_zero(other, len), "untouched", "not zero");
    *shared = 2;
    check_child("untouched-child", pid);
}

// The kernel writes into pages that are copied on write.
static int written_by_call(void)
{
    int file = (int)SYS(SYS_open, "/etc/motd", O_RDONLY);
    int good = SYS(SYS_read, file, area + PAGE - 4, 8) == 8 &&
               SYS(SYS_getrandom, area + 5 * PAGE, 256, 0) == 256;
    good &= !holds_from(area + 5 * PAGE, PAGE, 1, 5);
    *shared = 1;
    wait_for(2);
    return !(good && holds_from(area + 2 * PAGE, 3 * PAGE, 1, 2));
}

static void test_calls(void)
{
    area = map(len, RW, ANON);
    fill(area, len, 1);
    pid_t pid = start(written_by_call);
    wait_for(1);
    check(holds(area, len, 1), "call-in-child", "changed");
    SYS(SYS_getrandom, area + 3 * PAGE, 256, 0);
    *shared = 2;
    check_child("call-in-parent", pid);
    check(holds(area, 3 * PAGE, 1) && !holds_from(area + 3 * PAGE, PAGE, 1, 3), "call-after", "not so");
}

// Mappings change in one process alone, also where pages are still shared.
static int change_maps(void)
{
    char *to = hole(PAGE);
    SYS(SYS_munmap, area, PAGE);
    SYS(SYS_mprotect, area + PAGE, PAGE, NONE);
    SYS(SYS_madvise, area + 2 * PAGE, PAGE, MADV_DONTNEED);
    SYS(SYS_mremap, area + 3 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    SYS(SYS_brk, (char *)SYS(SYS_brk, 0) + 10 * PAGE);
    int good = touch(area, READ) == SEGV_MAPERR && touch(area + PAGE, READ) == SEGV_ACCERR &&
               is_zero(area + 2 * PAGE, PAGE) && holds_from(to, PAGE, 1, 3);
    to[0] = 1;
    // What may not be written is not written, however it is mapped inside.
    good &= touch(constant, WRITE) == SEGV_ACCERR && holds(constant, PAGE, 7);
    SYS(SYS_mprotect, constant, PAGE, RW);
    fill(constant, PAGE, 8);
    return !(good && holds(constant, PAGE, 8));
}

static void test_maps(void)
{
    area = map(len, RW, ANON);
    fill(area, len, 1);
    constant = map(PAGE, RW, ANON);
    fill(constant, PAGE, 7);
    SYS(SYS_mprotect, constant, PAGE, RD);
    long end = SYS(SYS_brk, 0);
    check_child("maps-child", start(change_maps));
    check(holds(area, len, 1), "maps-parent", "changed");
    check(holds(constant, PAGE, 7), "constant-parent", "changed");
    check_touch("constant-write", constant, WRITE, SEGV_ACCERR);
    check_touch("maps-write", area + PAGE, WRITE, 0);
    check_result("break", SYS(SYS_brk, 0), end);
}

// Shared memory, and what fork is told about areas.
static char *common, *dropped, *wiped;

static int share(void)
{
    int good = holds(common, PAGE, 9);
    fill(common + PAGE, PAGE, 10);
    fill(common + 3 * PAGE, PAGE, 12); // touched by nobody so far
    *shared = 1;
    wait_for(2);
    good &= holds(common + 2 * PAGE, PAGE, 11);
    good &= touch(dropped, READ) == SEGV_MAPERR;
    good &= is_zero(wiped, PAGE);
    fill(wiped, PAGE, 14);
    return !good;
}

static void test_shared(void)
{
    common = map(4 * PAGE, RW, SHARED);
    dropped = map(PAGE, RW, ANON);
    wiped = map(PAGE, RW, ANON);
    fill(common, PAGE, 9);
    fill(dropped, PAGE, 13);
    fill(wiped, PAGE, 13);
    check_result("dontfork", SYS(SYS_madvise, dropped, PAGE, MADV_DONTFORK), 0);
    check_result("wipeonfork", SYS(SYS_madvise, wiped, PAGE, MADV_WIPEONFORK), 0);
    pid_t pid = start(share);
    wait_for(1);
    check(holds(common + PAGE, PAGE, 10) && holds(common + 3 * PAGE, PAGE, 12), "shared-by-child",
          "not seen");
    fill(common + 2 * PAGE, PAGE, 11);
    *shared = 2;
    check_child("shared-by-parent", pid);
    check(holds(dropped, PAGE, 13) && holds(wiped, PAGE, 13), "advice-parent", "changed");
}

// Generations: each changes a page of its own and sees those of its ancestors.
static int generation(void)
{
    static int depth;
    depth++;
    fill(area + depth * PAGE, PAGE, 100 + depth);
    if (depth < 6) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(generation());
        int status = -1;
        if (waitpid(pid, &status, 0) != pid || status)
            return 1;
    }
    int good = holds(area, PAGE, 1);
    for (int page = 1; page < 10; page++)
        good &= page <= depth ? holds(area + page * PAGE, PAGE, 100 + page)
                              : holds_from(area + page * PAGE, PAGE, 1, page);
    return !good;
}

static void test_generations(void)
{
    area = map(len, RW, ANON);
    fill(area, len, 1);
    check_child("generations", start(generation));
    check(holds(area, len, 1), "generations-parent", "changed");
    // Children that are there at the same time, while the parent goes on changing.
    pid_t pids[4];
    for (int i = 0; i < 4; i++) {
        fill(area, len, 1);
        pids[i] = start(parent_first);
        fill(area, len, 20 + i);
        *shared = 1;
        wait_for(2);
        check(holds(area, len, 20 + i), "many-children-parent", "changed");
    }
    for (int i = 0; i < 4; i++)
        check_child("many-children", pids[i]);
}

// 2 MiB pages, if there are any.
static int large_child(void)
{
    int good = holds(area, 8 * MIB, 1);
    fill(area + 3 * MIB, PAGE, 2);
    SYS(SYS_munmap, area + 5 * MIB, PAGE);
    SYS(SYS_mprotect, area + 6 * MIB + PAGE, PAGE, RD);
    *shared = 1;
    wait_for(2);
    return !(good && holds(area, 3 * MIB, 1) && holds(area + 3 * MIB, PAGE, 2) &&
             holds_from(area + 3 * MIB + PAGE, 2 * MIB - PAGE, 1, 3 * MIB / PAGE + 1) &&
             holds_from(area + 5 * MIB + PAGE, 3 * MIB - PAGE, 1, 5 * MIB / PAGE + 1));
}

static void test_large(void)
{
    char *start_of_hole = hole(10 * MIB);
    area = (char *)(((uintptr_t)start_of_hole + 2 * MIB - 1) & -2 * MIB);
    map_at(area, 8 * MIB, RW, ANON | MAP_FIXED);
    SYS(SYS_madvise, area, 8 * MIB, MADV_HUGEPAGE);
    fill(area, 8 * MIB, 1);
    pid_t pid = start(large_child);
    wait_for(1);
    check(holds(area, 8 * MIB, 1), "large-parent", "changed");
    fill(area, MIB, 3);
    *shared = 2;
    check_child("large-child", pid);
    check(holds(area, MIB, 3) && holds_from(area + MIB, 7 * MIB, 1, MIB / PAGE), "large-after",
          "changed");
}

int test_cow(void)
{
    catch_faults(0);
    shared = (volatile int *)map(PAGE, RW, SHARED);
    test_isolation();
    test_untouched();
    test_calls();
    test_maps();
    test_shared();
    test_generations();
    test_large();
    return summary();
}
