// A stack pointer that points nowhere, during a system call, a page fault, a timer
// interrupt and an exception: the kernel must not use it.

#include <signal.h>
#include <sys/mman.h>

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

static char *signal_stack;
static void fill(int signal)
{
    long result = SYS_kill;
    __asm__ volatile("mov %1, %%rsp\n\tsyscall\n\tud2"
                     : "+a"(result)
                     : "r"(signal_stack + 256), "D"(SYS(SYS_getpid)), "S"(signal)
                     : "rcx", "r11", "memory");
}

// Another signal when the signal stack is nearly full: the frame has no place on it, and
// the memory below is the program's too, but is not to be written.
static int signal_stack_overflow(void)
{
    enum { SIZE = 1 << 20, GIVEN = 1 << 16 };
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal_stack = memory + SIZE - GIVEN;
    stack_t stack = {.ss_sp = signal_stack, .ss_size = GIVEN};
    struct sigaction action = {.sa_handler = fill, .sa_flags = SA_ONSTACK | SA_NODEFER};
    if (memory == MAP_FAILED || sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &action, NULL))
        return 1;
    raise(SIGUSR1);
    return 1;
}

const struct kind stack_pointer_kinds[] = {
    {"signal-stack-overflow", signal_stack_overflow},
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
