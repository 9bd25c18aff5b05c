// Segment selectors and segment bases: selectors of the kernel's descriptors
// (SIGSEGV), null selectors and bases that the kernel must not trip over (survive).

#include <cpuid.h>
#include <errno.h>

#include "hostile.h"

// <asm/prctl.h>, which musl does not have.
enum { ARCH_SET_GS = 0x1001, ARCH_SET_FS = 0x1002 };

// The base of FS: the C library keeps its own address at its start.
static unsigned long fs_base(void)
{
    unsigned long base;
    __asm__("mov %%fs:0, %0" : "=r"(base));
    return base;
}

// A call, a page fault and a while for the timer, without the C library.
static int calls_work(void)
{
    long pid = SYS(SYS_getpid);
    unsigned long start, now;
    unsigned high;
    __asm__ volatile("rdtsc" : "=a"(start), "=d"(high));
    start |= (unsigned long)high << 32;
    do {
        __asm__ volatile("rdtsc" : "=a"(now), "=d"(high));
        now |= (unsigned long)high << 32;
    } while (now - start < SPIN_TICKS);
    return pid > 0 && SYS(SYS_getpid) == pid;
}

#define LOAD_SELECTOR(name, reg, value)                                            \
    static int name(void)                                                          \
    {                                                                              \
        __asm__ volatile("mov %0, %%" reg ::"r"(value) : "memory");                \
        return 0;                                                                  \
    }
LOAD_SELECTOR(ds_kernel, "ds", 0x10)
LOAD_SELECTOR(gs_kernel, "gs", 0x08)
LOAD_SELECTOR(ss_null, "ss", 0)
LOAD_SELECTOR(es_ldt, "es", 0x07)
LOAD_SELECTOR(fs_beyond_gdt, "fs", 0xfffb)

static int null_data_segments(void)
{
    unsigned char *page = fresh_page();
    __asm__ volatile("mov %0, %%ds\n mov %0, %%es" ::"r"(0));
    page[0] = 1;
    return !calls_work();
}

static int null_fs(void)
{
    unsigned long base = fs_base();
    unsigned char *page = fresh_page();
    __asm__ volatile("mov %0, %%fs" ::"r"(0));
    page[0] = 1;
    int good = calls_work();
    long restored = SYS(SYS_arch_prctl, ARCH_SET_FS, base);
    return !good || restored != 0 || fs_base() != base;
}

static int user_gs(void)
{
    unsigned char *page = fresh_page();
    __asm__ volatile("mov %%ss, %%eax\n mov %%eax, %%gs" ::: "eax");
    page[0] = 1;
    return !calls_work();
}

static int gs_base(void)
{
    static unsigned long target = 0x1122334455667788;
    unsigned char *page = fresh_page();
    if (SYS(SYS_arch_prctl, ARCH_SET_GS, &target))
        return 1;
    page[0] = 1;
    int good = calls_work();
    unsigned long found;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(found));
    return !good || found != target;
}

static int gs_base_kernel(void)
{
    return SYS(SYS_arch_prctl, ARCH_SET_GS, KERNEL_IMAGE) != -EPERM || !calls_work();
}

static int fs_base_kernel(void)
{
    return SYS(SYS_arch_prctl, ARCH_SET_FS, KERNEL_HALF) != -EPERM || !calls_work();
}

static int gs_base_non_canonical(void)
{
    return SYS(SYS_arch_prctl, ARCH_SET_GS, NON_CANONICAL_57) != -EPERM || !calls_work();
}

// Where the CPU has the instruction, the kernel may keep it from programs (SIGILL)
// or must then stand a base of the program's choice, such as its own.
static int write_gs_base(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_FSGSBASE)) {
        printf("not on this CPU\n");
        return 0;
    }
    __asm__ volatile("wrgsbase %0" ::"r"(KERNEL_IMAGE));
    return !calls_work();
}

// Return to ring 0: the frame names a kernel's code and stack segments.
#define RETURN_TO(name, cs, ss)                                                    \
    static int name(void)                                                          \
    {                                                                              \
        __asm__ volatile("mov %%rsp, %%rdx\n\t"                                    \
                         "pushq $" ss "\n\t"                                       \
                         "push %%rdx\n\t"                                          \
                         "pushfq\n\t"                                              \
                         "pushq $" cs "\n\t"                                       \
                         "lea 1f(%%rip), %%rax\n\t"                                \
                         "push %%rax\n\t"                                          \
                         "iretq\n"                                                 \
                         "1:" ::: "rax", "rdx", "memory", "cc");                   \
        return 1;                                                                  \
    }
RETURN_TO(iret_linux_kernel, "0x10", "0x18")
RETURN_TO(iret_kernel, "0x08", "0x10")
RETURN_TO(iret_null, "0", "0")

static int far_return_kernel(void)
{
    __asm__ volatile("pushq $0x08\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1:" ::: "rax", "memory");
    return 1;
}

const struct kind selector_kinds[] = {
    {"ds-kernel", ds_kernel},
    {"gs-kernel", gs_kernel},
    {"ss-null", ss_null},
    {"es-ldt", es_ldt},
    {"fs-beyond-gdt", fs_beyond_gdt},
    {"iret-linux-kernel", iret_linux_kernel},
    {"iret-kernel", iret_kernel},
    {"iret-null", iret_null},
    {"far-return-kernel", far_return_kernel},
    {"null-data-segments", null_data_segments},
    {"null-fs", null_fs},
    {"user-gs", user_gs},
    {"gs-base", gs_base},
    {"gs-base-kernel", gs_base_kernel},
    {"fs-base-kernel", fs_base_kernel},
    {"gs-base-non-canonical", gs_base_non_canonical},
    {"write-gs-base", write_gs_base},
    {0},
};
