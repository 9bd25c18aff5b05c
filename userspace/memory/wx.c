// memory wx: what can be written cannot be executed, and the other way round.
//
// What it proves: no kind of memory that a program gets without asking for more is both.

#define _GNU_SOURCE
#include "../c/check.h"
#include "mem.h"
#include "memory.h"

enum { RET = 0xc3 };

static volatile unsigned char data[16] = {RET};
static volatile unsigned char bss[16];
static const unsigned char constant[16] = {RET};

static int a_function(void) { return 42; }

static void check_code(const char *name, volatile unsigned char *at)
{
    *at = RET;
    check_touch(name, at, EXEC, SEGV_ACCERR);
}

int test_wx(void)
{
    catch_faults(0);
    volatile unsigned char local[16];
    check_code("stack", local);
    check_code("data", data);
    check_code("bss", bss);
    check_code("heap-small", malloc(16));
    check_code("heap-large", malloc(MIB));
    check_code("private", (unsigned char *)map(PAGE, RW, ANON));
    check_code("shared", (unsigned char *)map(PAGE, RW, SHARED));
    check_code("write-only", (unsigned char *)map(PAGE, PROT_WRITE, ANON));
    check_code("grows-down", (unsigned char *)map(PAGE, RW, ANON | MAP_GROWSDOWN));
    check_code("populated", (unsigned char *)map(PAGE, RW, ANON | MAP_POPULATE));
    char *brk_end = (char *)SYS(SYS_brk, 0);
    SYS(SYS_brk, brk_end + 2 * PAGE);
    check_code("break", (unsigned char *)brk_end + PAGE);
    check_touch("rodata-exec", constant, EXEC, SEGV_ACCERR);
    check_touch("rodata-write", constant, WRITE, SEGV_ACCERR);
    check_touch("text-write", (const void *)a_function, WRITE, SEGV_ACCERR);
    check_error("text-write-by-call", SYS(SYS_getrandom, a_function, 8, 0), EFAULT);
    check_result("text", a_function(), 42);
    check_touch("zeros-read", map(PAGE, RD, ANON), EXEC, SEGV_ACCERR);

    // Code that was asked for.
    char *code = map(PAGE, RX, ANON);
    check_touch("code-write", code, WRITE, SEGV_ACCERR);
    check_error("code-write-by-call", SYS(SYS_getrandom, code, 8, 0), EFAULT);
    char *moved = map(PAGE, RW, ANON);
    *(volatile unsigned char *)moved = RET;
    SYS(SYS_mprotect, moved, PAGE, RX);
    check_touch("moved-exec-before", moved, EXEC, 0);
    char *to = hole(PAGE);
    SYS(SYS_mremap, moved, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    check_touch("moved-exec", to, EXEC, 0);
    check_touch("moved-write", to, WRITE, SEGV_ACCERR);
    check_touch("moved-old", moved, EXEC, SEGV_MAPERR);
    return summary();
}
