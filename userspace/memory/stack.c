// memory stack: the main stack and MAP_GROWSDOWN areas, which grow when they are touched.
//
// What it proves: the stack grows to its limit and not a page further; an overflow is
// SIGSEGV, whose handler on its own stack sees the address; a gap is kept to what lies
// below; the same holds for areas that a program makes itself.

#define _GNU_SOURCE
#include <sys/auxv.h>
#include <sys/resource.h>

#include "../c/check.h"
#include "mem.h"
#include "memory.h"

// What Linux keeps free below a stack.
#define GAP MIB

static char *stack_end; // behind the last byte
static long limit;

static void find_stack(void)
{
    // The path of the program is the last thing on the initial stack but for 8 bytes.
    const char *path = (const char *)getauxval(AT_EXECFN);
    uintptr_t end = (uintptr_t)path + strlen(path) + 1;
    stack_end = (char *)((end + PAGE - 1) & -PAGE);
    struct rlimit stack;
    getrlimit(RLIMIT_STACK, &stack);
    limit = (long)stack.rlim_cur;
    check_result("limit", limit, 8 * MIB);
}

// First, while the stack is small.
static void test_gap(void)
{
    char *below = map_at(stack_end - 5 * MIB, PAGE, RW, ANON | MAP_FIXED_NOREPLACE);
    check_touch("gap-kept", below + PAGE + GAP / 2, WRITE, SEGV_MAPERR);
    check_touch("gap-kept-edge", below + GAP - PAGE, READ, SEGV_MAPERR);
    check_touch("above-gap", below + GAP + 16 * PAGE, WRITE, 0);
    check_touch("mapping-below", below, WRITE, 0);
    SYS(SYS_munmap, below, PAGE);
    // A hint into the gap is not taken.
    char *at = stack_end - 4 * MIB + 2 * PAGE;
    char *got = map_at(at - 8 * PAGE, PAGE, RW, ANON);
    check(got < stack_end - 8 * MIB || got >= stack_end, "hint-into-gap", "at %p", (void *)got);
    SYS(SYS_munmap, got, PAGE);
}

static void test_growth(void)
{
    check_touch("small", stack_end - MIB, READ, 0);
    check_touch("large", stack_end - 6 * MIB, WRITE, 0);
    check(*(volatile char *)(stack_end - 6 * MIB) == 0, "zero", "not zero");
    check(is_zero(stack_end - 6 * MIB, 64 * PAGE), "zero-around", "not zero");
    check_touch("skipped", stack_end - 5 * MIB + 123, WRITE, 0);
    check_touch("nearly-all", stack_end - limit + 64 * 1024, WRITE, 0);
    check_touch("beyond", stack_end - limit - 2 * PAGE, WRITE, SEGV_MAPERR);
    check_touch("far-beyond", stack_end - limit - GAP / 2, READ, SEGV_MAPERR);
    check_touch("still-there", stack_end - 6 * MIB, READ, 0);
    check_touch("no-code", stack_end - 6 * MIB, EXEC, SEGV_ACCERR);
}

static volatile long depth;

__attribute__((noinline)) static long recurse(long n)
{
    volatile char frame[1024];
    frame[n % 1024] = (char)n;
    depth = n;
    long more = n < 1L << 40 ? recurse(n + 1) : 0;
    return more + frame[n % 1024];
}

static void test_recursion(void)
{
    static char alternate[16 * PAGE];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
    catch_faults(SA_ONSTACK);
    for (int round = 0; round < 2; round++) {
        fault_address = NULL;
        int code = sigsetjmp(touched, 1);
        touching = !code;
        if (!code)
            recurse(0);
        check_result("overflow", code, SEGV_MAPERR);
        char *at = fault_address;
        check(at < stack_end - limit + 64 * 1024 && at >= stack_end - limit - 64 * 1024,
              "overflow-address", "%p", (void *)at);
        check(depth > (limit - MIB) / 1200 && depth < limit / 1024, "overflow-depth", "%ld", depth);
    }
}

static void test_own(void)
{
    const long room = 8 * MIB;
    char *start = hole(room), *end = start + room;
    char *area = map_at(end - PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN);
    fill(area, PAGE, 1);
    check_touch("own-next", area - 1, WRITE, 0);
    check_touch("own-far", end - 3 * MIB, WRITE, 0);
    check(is_zero(end - 3 * MIB, 16 * PAGE) && holds(area, PAGE, 1), "own-contents", "changed");
    char *below = map_at(start, PAGE, RD, ANON | MAP_FIXED);
    check_touch("own-gap", below + GAP - PAGE, WRITE, SEGV_MAPERR);
    check_touch("own-above-gap", below + GAP + 16 * PAGE, WRITE, 0);
    check_touch("own-below-unchanged", below, WRITE, SEGV_ACCERR);
    // A call's pointer makes it grow as a touch does.
    char *other = hole(room) + room - PAGE;
    map_at(other, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN);
    check_result("own-by-call", SYS(SYS_getrandom, other - PAGE, 8, 0), 8);
    check_result("own-all-unmapped", SYS(SYS_munmap, end - room, room), 0);
    check_touch("own-gone", area, READ, SEGV_MAPERR);
    check_touch("own-gone-below", area - PAGE, READ, SEGV_MAPERR);
    // An inaccessible neighbour needs no gap.
    start = hole(room);
    map_at(start + room - PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN);
    map_at(start + room - 4 * PAGE, PAGE, NONE, ANON | MAP_FIXED);
    check_touch("own-above-inaccessible", start + room - 3 * PAGE, WRITE, 0);
    check_touch("own-inaccessible", start + room - 4 * PAGE, WRITE, SEGV_ACCERR);
    check_touch("own-below-inaccessible", start + room - 5 * PAGE, WRITE, SEGV_MAPERR);
}

int test_stack(void)
{
    catch_faults(0);
    find_stack();
    test_gap();
    test_own();
    test_growth();
    test_recursion();
    return summary();
}
