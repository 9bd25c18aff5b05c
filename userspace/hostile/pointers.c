// Pointers given to the kernel: it must refuse those that are not the program's
// (EFAULT) and go on. A system call in the last bytes of user space must not return
// to an address beyond it (SIGSEGV).

#include <cpuid.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "hostile.h"

static const char text[] = "text";

static int write_fails(unsigned long address, unsigned long length)
{
    return SYS(SYS_write, 1, address, length) != -EFAULT;
}

static int write_null(void) { return write_fails(0, 8); }
static int write_kernel_pointer(void) { return write_fails(KERNEL_IMAGE, 8); }
static int write_kernel_half_pointer(void) { return write_fails(KERNEL_HALF, 8); }
static int write_non_canonical_pointer(void) { return write_fails(NON_CANONICAL, 8); }
static int write_user_end(void) { return write_fails(USER_END, 8); }
static int write_across_user_end(void) { return write_fails(USER_END - 8, 4096 + 16); }
static int write_wrapping(void) { return write_fails((unsigned long)text, ~0UL - 4096); }
static int write_last_bytes(void) { return write_fails(~0UL - 3, 8); }

static int write_unmapped(void)
{
    unsigned char *page = fresh_page();
    page[0] = 1;
    if (munmap(page, PAGE_SIZE))
        return 1;
    return write_fails((unsigned long)page, 8);
}

static int write_prot_none(void)
{
    unsigned char *page = fresh_page();
    page[0] = 1;
    if (mprotect(page, PAGE_SIZE, PROT_NONE))
        return 1;
    return write_fails((unsigned long)page, 8);
}

static int writev_kernel_pointer(void)
{
    struct iovec parts[] = {
        {(void *)text, 4}, {(void *)KERNEL_IMAGE, 8}, {(void *)text, 4}};
    return SYS(SYS_writev, 1, parts, 3) != -EFAULT;
}

static int writev_wrapping(void)
{
    struct iovec parts[] = {{(void *)text, ~0UL >> 1}, {(void *)text, ~0UL >> 1}};
    long result = SYS(SYS_writev, 1, parts, 2);
    return result != -EFAULT && result != -EINVAL;
}

// The kernel writes where the program may not.
static int result_to(void *target)
{
    return SYS(SYS_clock_gettime, 1, target) != -EFAULT ||
           SYS(SYS_getrandom, target, 8, 0) != -EFAULT || SYS(SYS_uname, target) != -EFAULT;
}

static int result_to_kernel(void) { return result_to((void *)KERNEL_IMAGE); }
static int result_to_kernel_half(void) { return result_to((void *)KERNEL_HALF); }
static int result_to_null(void) { return result_to(NULL); }
static int result_to_text(void) { return result_to((void *)&result_to_text); }
static int result_to_rodata(void) { return result_to((void *)text); }

static int map_over_kernel(void)
{
    long result = SYS(SYS_mmap, KERNEL_IMAGE, PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return result != -ENOMEM;
}

// A kernel with five-level page tables, as Linux has where the CPU can, may do it.
static int map_user_end(void)
{
    unsigned a, b, c = 0, d;
    int five_levels = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1 << 16);
    long result = SYS(SYS_mmap, USER_END, PAGE_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return result != -ENOMEM && !(five_levels && result == (long)USER_END);
}

static int unmap_kernel(void)
{
    return SYS(SYS_munmap, KERNEL_IMAGE, PAGE_SIZE) != -EINVAL;
}

static int protect_kernel(void)
{
    return SYS(SYS_mprotect, KERNEL_IMAGE, PAGE_SIZE, PROT_READ | PROT_WRITE) != -ENOMEM;
}

// The last two bytes of user space are a system call: its return address is the
// first that is not the program's.
static int syscall_at_user_end(void)
{
    unsigned char *page = (unsigned char *)USER_END - PAGE_SIZE;
    int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    // Something of the program's own may be there, such as its stack: write over it.
    long mapped = SYS(SYS_mmap, page, PAGE_SIZE, protection, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped != (long)page && mapped != -EEXIST)
        return 1;
    page[PAGE_SIZE - 2] = 0x0f;
    page[PAGE_SIZE - 1] = 0x05;
    if (SYS(SYS_mprotect, page, PAGE_SIZE, PROT_READ | PROT_EXEC))
        return 1;
    __asm__ volatile("jmp *%1" ::"a"(SYS_getpid), "r"(page + PAGE_SIZE - 2) : "memory");
    return 1;
}

const struct kind pointer_kinds[] = {
    {"write-null", write_null},
    {"write-kernel-pointer", write_kernel_pointer},
    {"write-kernel-half-pointer", write_kernel_half_pointer},
    {"write-non-canonical-pointer", write_non_canonical_pointer},
    {"write-user-end", write_user_end},
    {"write-across-user-end", write_across_user_end},
    {"write-wrapping", write_wrapping},
    {"write-last-bytes", write_last_bytes},
    {"write-unmapped", write_unmapped},
    {"write-prot-none", write_prot_none},
    {"writev-kernel-pointer", writev_kernel_pointer},
    {"writev-wrapping", writev_wrapping},
    {"result-to-kernel", result_to_kernel},
    {"result-to-kernel-half", result_to_kernel_half},
    {"result-to-null", result_to_null},
    {"result-to-text", result_to_text},
    {"result-to-rodata", result_to_rodata},
    {"map-over-kernel", map_over_kernel},
    {"map-user-end", map_user_end},
    {"unmap-kernel", unmap_kernel},
    {"protect-kernel", protect_kernel},
    {"syscall-at-user-end", syscall_at_user_end},
    {0},
};
