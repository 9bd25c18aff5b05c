// Bits of RFLAGS that a program can set and that must not hurt the kernel: it enters
// with them cleared, and gives them back. The trap flag ends with SIGTRAP.

#include "hostile.h"

enum {
    TRAP = 1 << 8,
    DIRECTION = 1 << 10,
    IOPL_3 = 3 << 12,
    NESTED_TASK = 1 << 14,
    ALIGNMENT_CHECK = 1 << 18,
};

// Sets the flags, writes a line, touches a fresh page, waits for the timer; returns
// the flags it then finds, with the usual ones set again.
static unsigned long write_with(unsigned long flags, long *written)
{
    static const char line[] = "written with the flag set\n";
    unsigned char *page = fresh_page();
    unsigned long found, length = sizeof line - 1;
    *written = SYS_write;
    __asm__ volatile("pushfq\n\t"
                     "or %[flags], (%%rsp)\n\t"
                     "popfq\n\t"
                     "syscall\n\t"
                     "mov %%rax, %%r8\n\t"
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
                     "pushfq\n\t"
                     "mov (%%rsp), %[found]\n\t"
                     "andq $~0x44400, (%%rsp)\n\t" // AC, NT, DF off again
                     "popfq\n\t"
                     "mov %%r8, %%rax"
                     : "+a"(*written), "+d"(length), [found] "=&r"(found)
                     : "D"(1L), "S"(line), [flags] "r"(flags), [page] "r"(page),
                       [ticks] "r"(SPIN_TICKS)
                     : "rcx", "r8", "r9", "r11", "memory", "cc");
    *written = *written == (long)sizeof line - 1;
    return found;
}

static int direction_flag(void)
{
    long good;
    return !(write_with(DIRECTION, &good) & DIRECTION) || !good;
}

static int alignment_flag(void)
{
    long good;
    return !(write_with(ALIGNMENT_CHECK, &good) & ALIGNMENT_CHECK) || !good;
}

static int nested_task_flag(void)
{
    long good;
    write_with(NESTED_TASK, &good);
    return !good;
}

// A kernel that switches alignment checks on (CR0.AM) sends SIGBUS.
static int alignment_check(void)
{
    static unsigned char bytes[16] __attribute__((aligned(16)));
    __asm__ volatile("pushfq\n\t"
                     "orq $0x40000, (%%rsp)\n\t"
                     "popfq\n\t"
                     "movl 1(%0), %%eax\n\t"
                     "pushfq\n\t"
                     "andq $~0x40000, (%%rsp)\n\t"
                     "popfq" ::"r"(bytes)
                     : "eax", "memory", "cc");
    return 0;
}

// popf leaves IOPL alone outside ring 0; if it did not, cli would succeed.
static int iopl_cli(void)
{
    __asm__ volatile("pushfq\n\t"
                     "orq $0x3000, (%%rsp)\n\t"
                     "popfq\n\t"
                     "cli\n\t"
                     "sti" ::: "memory", "cc");
    return 1;
}

static int iopl_iret_cli(void)
{
    __asm__ volatile("mov %%rsp, %%rdx\n\t"
                     "mov %%ss, %%eax\n\t"
                     "push %%rax\n\t"
                     "push %%rdx\n\t"
                     "pushfq\n\t"
                     "orq $0x3000, (%%rsp)\n\t"
                     "mov %%cs, %%eax\n\t"
                     "push %%rax\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "iretq\n"
                     "1: cli\n\t"
                     "sti" ::: "rax", "rdx", "memory", "cc");
    return 1;
}

#define SINGLE_STEP(name, text)                                                    \
    static int name(void)                                                          \
    {                                                                              \
        __asm__ volatile("pushfq\n\t"                                              \
                         "orq $0x100, (%%rsp)\n\t"                                 \
                         "popfq\n\t" text "\n\tnop\n\tnop" ::"a"(39L)              \
                         : "rcx", "rdx", "r11", "memory", "cc");                   \
        return 1;                                                                  \
    }
SINGLE_STEP(single_step, "nop")
// The kernel's first instructions must not be stepped through.
SINGLE_STEP(single_step_syscall, "syscall")
// mov ss holds the trap back by one instruction: by then the kernel is entered.
SINGLE_STEP(single_step_mov_ss_syscall, "mov %%ss, %%edx\n mov %%edx, %%ss\n syscall")
SINGLE_STEP(single_step_mov_ss_int3, "mov %%ss, %%edx\n mov %%edx, %%ss\n int3")

const struct kind flag_kinds[] = {
    {"direction-flag", direction_flag},
    {"alignment-flag", alignment_flag},
    {"nested-task-flag", nested_task_flag},
    {"alignment-check", alignment_check},
    {"iopl-cli", iopl_cli},
    {"iopl-iret-cli", iopl_iret_cli},
    {"single-step", single_step},
    {"single-step-syscall", single_step_syscall},
    {"single-step-mov-ss-syscall", single_step_mov_ss_syscall},
    {"single-step-mov-ss-int3", single_step_mov_ss_int3},
    {0},
};
