// A stack pointer that points nowhere, during a system call, a page fault, a timer
// interrupt and an exception: the kernel must not use it.

#include "hostile.h"

// Makes a call with that stack pointer; must get the right answer.
static int call_with(unsigned long stack_pointer)
{
    long pid = SYS(SYS_getpid), answer = SYS_getpid;
    __asm__ volatile("mov %%rsp, %%r12\n\t"
                     "mov %1, %%rsp\n\t"
                     "syscall\n\t"
                     "mov %%r12, %%rsp"
                     : "+a"(answer)
                     : "r"(stack_pointer)
                     : "rcx", "r11", "r12", "memory");
    return pid <= 0 || answer != pid;
}

// Touches a fresh page and waits for the timer with that stack pointer.
static int fault_with(unsigned long stack_pointer)
{
    unsigned char *page = fresh_page();
    __asm__ volatile("mov %%rsp, %%r12\n\t"
                     "mov %[stack], %%rsp\n\t"
                     "movb $1, (%[page])\n\t"
                     "rdtsc\n\t"
                     "shl $32, %%rdx\n\t"
                     "lea (%%rax, %%rdx), %%r9\n"
                     "1:\n\t"
                     "rdtsc\n\t"
                     "shl $32, %%rdx\n\t"
                     "add %%rdx, %%rax\n\t"
                     "sub %%r9, %%rax\n\t"
                     "cmp %[ticks], %%rax\n\t"
                     "jb 1b\n\t"
                     "mov %%r12, %%rsp"
                     :
                     : [stack] "r"(stack_pointer), [page] "r"(page), [ticks] "r"(SPIN_TICKS)
                     : "rax", "rdx", "r9", "r12", "memory", "cc");
    return page[0] != 1;
}

static int null_rsp_syscall(void) { return call_with(0); }
static int odd_rsp_syscall(void) { return call_with(12345677); }
static int kernel_rsp_syscall(void) { return call_with(KERNEL_IMAGE + 0x100000); }
static int non_canonical_rsp_syscall(void) { return call_with(NON_CANONICAL); }
static int null_rsp_fault(void) { return fault_with(0); }
static int kernel_rsp_fault(void) { return fault_with(KERNEL_IMAGE + 0x100000); }
static int non_canonical_rsp_fault(void) { return fault_with(NON_CANONICAL); }

// SIGILL: to be killed takes no stack.
static int kernel_rsp_ud2(void)
{
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "ud2" ::"r"(KERNEL_IMAGE + 0x100000)
                     : "memory");
    return 1;
}

const struct kind stack_pointer_kinds[] = {
    {"null-rsp-syscall", null_rsp_syscall},
    {"odd-rsp-syscall", odd_rsp_syscall},
    {"kernel-rsp-syscall", kernel_rsp_syscall},
    {"non-canonical-rsp-syscall", non_canonical_rsp_syscall},
    {"null-rsp-fault", null_rsp_fault},
    {"kernel-rsp-fault", kernel_rsp_fault},
    {"non-canonical-rsp-fault", non_canonical_rsp_fault},
    {"kernel-rsp-ud2", kernel_rsp_ud2},
    {0},
};
