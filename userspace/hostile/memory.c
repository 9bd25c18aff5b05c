// Addresses that a program has no right to: page 0, the kernel's half, pages whose
// protection forbids the access, and pages that it has given back. All end with
// SIGSEGV; a stack pointer outside the canonical range may end with SIGBUS.

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "hostile.h"

static int load(unsigned long address)
{
    unsigned char byte;
    __asm__ volatile("movb (%1), %0" : "=q"(byte) : "r"(address) : "memory");
    return 0;
}

static int store(unsigned long address)
{
    __asm__ volatile("movb $0x5a, (%0)" ::"r"(address) : "memory");
    return 0;
}

static int call(unsigned long address)
{
    __asm__ volatile("call *%0" ::"r"(address) : "memory", "rax", "rcx", "rdx", "rsi", "rdi", "r8",
                                                 "r9", "r10", "r11");
    return 0;
}

enum { RET = 0xc3 };

static int null_read(void) { return load(0); }
static int null_write(void) { return store(0); }
static int null_call(void) { return call(0); }
static int null_page_end(void) { return load(0xff8); }
static int read_kernel_image(void) { return load(KERNEL_IMAGE); }
static int write_kernel_image(void) { return store(KERNEL_IMAGE); }
static int jump_kernel_image(void) { return call(KERNEL_IMAGE); }
static int read_kernel_half(void) { return load(KERNEL_HALF); }
static int write_kernel_half(void) { return store(KERNEL_HALF); }
static int jump_kernel_half(void) { return call(KERNEL_HALF); }
static int read_last_byte(void) { return load(~0UL); }
static int read_user_end(void) { return load(USER_END); }
static int read_non_canonical(void) { return load(NON_CANONICAL); }
static int write_non_canonical(void) { return store(NON_CANONICAL); }
static int jump_non_canonical(void) { return call(NON_CANONICAL); }

// #SS, not #GP, on most processors.
static int push_non_canonical(void)
{
    __asm__ volatile("mov %%rsp, %%r12\n\t"
                     "mov %0, %%rsp\n\t"
                     "push %%rax\n\t"
                     "mov %%r12, %%rsp" ::"r"(NON_CANONICAL)
                     : "r12", "memory");
    return 0;
}

static int exec_stack(void)
{
    volatile unsigned char code[16];
    code[0] = RET;
    return call((unsigned long)code);
}

static int exec_data(void)
{
    static volatile unsigned char code[16] = {RET};
    return call((unsigned long)code);
}

static int exec_bss(void)
{
    static volatile unsigned char code[16];
    code[0] = RET;
    return call((unsigned long)code);
}

static int exec_heap(void)
{
    unsigned char *code = malloc(16);
    if (!code)
        return 1;
    *(volatile unsigned char *)code = RET;
    return call((unsigned long)code);
}

static int exec_mapping(void)
{
    unsigned char *code = fresh_page();
    *(volatile unsigned char *)code = RET;
    return call((unsigned long)code);
}

static int write_text(void) { return store((unsigned long)&write_text); }

static int write_rodata(void)
{
    static const char constant[] = "a constant";
    return store((unsigned long)constant);
}

static int write_read_only(void)
{
    unsigned char *page = fresh_page();
    *(volatile unsigned char *)page = 1;
    if (mprotect(page, PAGE_SIZE, PROT_READ))
        return 1;
    load((unsigned long)page);
    return store((unsigned long)page);
}

static int read_prot_none(void)
{
    unsigned char *page = fresh_page();
    *(volatile unsigned char *)page = 1;
    if (mprotect(page, PAGE_SIZE, PROT_NONE))
        return 1;
    return load((unsigned long)page);
}

static int read_unmapped(void)
{
    unsigned char *page = fresh_page();
    *(volatile unsigned char *)page = 1;
    if (munmap(page, PAGE_SIZE))
        return 1;
    return load((unsigned long)page);
}

// Endless recursion: ends at the stack's limit.
static int stack_overflow(void)
{
    __asm__ volatile("1: call 1b" ::: "memory");
    return 0;
}

// Those that take what the kernel keeps of files and of mappings, as much as they get. Many
// at once want more than there is; they must get an error each, or as much as this.

static void let_others(void)
{
    for (int i = 0; i < 100; i++)
        SYS(SYS_sched_yield);
}

static int many_files(void)
{
    enum { MOST = 1024 };
    for (int opened = 0; opened < MOST; opened++) {
        long result = SYS(SYS_open, "/", 0);
        if (result < 0 && result != -EMFILE && result != -ENOMEM)
            return 1;
    }
    let_others();
    return 0;
}

static int many_mappings(void)
{
    // Every second page of a mapping, so that none are merged.
    enum { MOST = 40000 };
    char *start = (char *)SYS(SYS_mmap, 0, 2L * MOST * PAGE_SIZE, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if ((unsigned long)start > -4096UL)
        return (long)start != -ENOMEM;
    for (long page = 0; page < MOST; page += 2) {
        long result = SYS(SYS_mprotect, start + page * PAGE_SIZE, PAGE_SIZE, PROT_READ);
        if (result && result != -ENOMEM)
            return 1;
    }
    let_others();
    return 0;
}

const struct kind memory_kinds[] = {
    {"many-files", many_files},
    {"many-mappings", many_mappings},
    {"null-read", null_read},
    {"null-write", null_write},
    {"null-call", null_call},
    {"null-page-end", null_page_end},
    {"read-kernel-image", read_kernel_image},
    {"write-kernel-image", write_kernel_image},
    {"jump-kernel-image", jump_kernel_image},
    {"read-kernel-half", read_kernel_half},
    {"write-kernel-half", write_kernel_half},
    {"jump-kernel-half", jump_kernel_half},
    {"read-last-byte", read_last_byte},
    {"read-user-end", read_user_end},
    {"read-non-canonical", read_non_canonical},
    {"write-non-canonical", write_non_canonical},
    {"jump-non-canonical", jump_non_canonical},
    {"push-non-canonical", push_non_canonical},
    {"exec-stack", exec_stack},
    {"exec-data", exec_data},
    {"exec-bss", exec_bss},
    {"exec-heap", exec_heap},
    {"exec-mapping", exec_mapping},
    {"write-text", write_text},
    {"write-rodata", write_rodata},
    {"write-read-only", write_read_only},
    {"read-prot-none", read_prot_none},
    {"read-unmapped", read_unmapped},
    {"stack-overflow", stack_overflow},
    {0},
};
