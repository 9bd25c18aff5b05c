// Instructions that are privileged (SIGSEGV), invalid (SIGILL), traps (SIGTRAP) or
// arithmetic errors (SIGFPE), and software interrupts through vectors that are not a
// program's (SIGSEGV). The stores of descriptor tables (UMIP) may also survive.

#include "hostile.h"

static unsigned char scratch[64] __attribute__((aligned(16)));

// A function that executes the instructions and, if it gets so far, returns.
#define INSTRUCTION(name, text)                                                    \
    static int name(void)                                                          \
    {                                                                              \
        __asm__ volatile(text ::"D"(scratch)                                       \
                         : "rax", "rcx", "rdx", "rbx", "rsi", "memory", "cc");     \
        return 0;                                                                  \
    }

// Privileged.
INSTRUCTION(cli, "cli")
INSTRUCTION(sti, "sti")
INSTRUCTION(hlt, "hlt")
INSTRUCTION(in_byte, "inb $0x60, %%al")
INSTRUCTION(out_byte, "outb %%al, $0x80")
INSTRUCTION(in_dx, "mov $0x3f8, %%edx\n inl %%dx, %%eax")
INSTRUCTION(out_string, "mov $0x3f8, %%edx\n lea (%%rdi), %%rsi\n outsb")
INSTRUCTION(read_msr, "mov $0xc0000082, %%ecx\n rdmsr")
INSTRUCTION(write_msr, "mov $0xc0000102, %%ecx\n xor %%eax, %%eax\n xor %%edx, %%edx\n wrmsr")
INSTRUCTION(read_cr0, "mov %%cr0, %%rax")
INSTRUCTION(write_cr0, "mov $0x80000011, %%eax\n mov %%rax, %%cr0")
INSTRUCTION(read_cr3, "mov %%cr3, %%rax")
INSTRUCTION(write_cr3, "xor %%eax, %%eax\n mov %%rax, %%cr3")
INSTRUCTION(write_cr4, "xor %%eax, %%eax\n mov %%rax, %%cr4")
INSTRUCTION(write_cr8, "xor %%eax, %%eax\n mov %%rax, %%cr8")
INSTRUCTION(write_dr7, "xor %%eax, %%eax\n mov %%rax, %%dr7")
INSTRUCTION(lmsw, "xor %%eax, %%eax\n lmsw %%ax")
INSTRUCTION(clts, "clts")
INSTRUCTION(invlpg, "invlpg (%%rdi)")
INSTRUCTION(wbinvd, "wbinvd")
INSTRUCTION(invd, "invd")
INSTRUCTION(lgdt, "lgdt (%%rdi)")
INSTRUCTION(lidt, "lidt (%%rdi)")
INSTRUCTION(lldt, "xor %%eax, %%eax\n lldt %%ax")
INSTRUCTION(ltr, "xor %%eax, %%eax\n ltr %%ax")
INSTRUCTION(swapgs, "swapgs")
INSTRUCTION(sysret, "lea 1f(%%rip), %%rcx\n sysretq\n 1:")
INSTRUCTION(xsetbv, "xor %%ecx, %%ecx\n mov $1, %%eax\n xor %%edx, %%edx\n xsetbv")
INSTRUCTION(sysenter, "xor %%eax, %%eax\n dec %%eax\n sysenter")

// UMIP: refused, or answered without telling the truth.
INSTRUCTION(sgdt, "sgdt (%%rdi)")
INSTRUCTION(sidt, "sidt (%%rdi)")
INSTRUCTION(sldt, "sldt (%%rdi)")
INSTRUCTION(str, "str (%%rdi)")
INSTRUCTION(smsw, "smsw (%%rdi)")

// Invalid.
INSTRUCTION(ud2, "ud2")
INSTRUCTION(lock_nop, ".byte 0xf0, 0x90")
INSTRUCTION(push_es, ".byte 0x06")

// Traps.
INSTRUCTION(int3, "int3")
INSTRUCTION(int_3, ".byte 0xcd, 3")
INSTRUCTION(icebp, ".byte 0xf1")

// Arithmetic.
INSTRUCTION(divide_by_zero, "mov $1, %%eax\n xor %%edx, %%edx\n xor %%ecx, %%ecx\n div %%ecx")
INSTRUCTION(divide_overflow, "mov $0x80000000, %%eax\n cltd\n mov $-1, %%ecx\n idiv %%ecx")
// Division by zero unmasked: #MF at the next x87 instruction, #XM at once.
INSTRUCTION(x87_exception,
            "movw $0x37b, (%%rdi)\n fninit\n fldcw (%%rdi)\n fld1\n fldz\n fdivrp\n fwait")
INSTRUCTION(sse_exception, "movl $0x1d80, (%%rdi)\n ldmxcsr (%%rdi)\n mov $1, %%eax\n"
                           "cvtsi2sd %%eax, %%xmm0\n xorps %%xmm1, %%xmm1\n divsd %%xmm1, %%xmm0")

// Software interrupts.
INSTRUCTION(int_0x00, "int $0x00")
INSTRUCTION(int_0x02, "int $0x02")
INSTRUCTION(int_0x04, "int $0x04")
INSTRUCTION(int_0x08, "int $0x08")
INSTRUCTION(int_0x0d, "int $0x0d")
INSTRUCTION(int_0x0e, "int $0x0e")
INSTRUCTION(int_0x12, "int $0x12")
INSTRUCTION(int_0x20, "int $0x20")
INSTRUCTION(int_0x21, "int $0x21")
INSTRUCTION(int_0x30, "int $0x30")
INSTRUCTION(int_0x80, "mov $20, %%eax\n int $0x80") // the 32-bit getpid, where there is one
INSTRUCTION(int_0xfe, "int $0xfe")
INSTRUCTION(int_0xff, "int $0xff")

const struct kind instruction_kinds[] = {
    {"cli", cli},
    {"sti", sti},
    {"hlt", hlt},
    {"in-byte", in_byte},
    {"out-byte", out_byte},
    {"in-dx", in_dx},
    {"out-string", out_string},
    {"read-msr", read_msr},
    {"write-msr", write_msr},
    {"read-cr0", read_cr0},
    {"write-cr0", write_cr0},
    {"read-cr3", read_cr3},
    {"write-cr3", write_cr3},
    {"write-cr4", write_cr4},
    {"write-cr8", write_cr8},
    {"write-dr7", write_dr7},
    {"lmsw", lmsw},
    {"clts", clts},
    {"invlpg", invlpg},
    {"wbinvd", wbinvd},
    {"invd", invd},
    {"lgdt", lgdt},
    {"lidt", lidt},
    {"lldt", lldt},
    {"ltr", ltr},
    {"swapgs", swapgs},
    {"sysret", sysret},
    {"xsetbv", xsetbv},
    {"sysenter", sysenter},
    {"sgdt", sgdt},
    {"sidt", sidt},
    {"sldt", sldt},
    {"str", str},
    {"smsw", smsw},
    {"ud2", ud2},
    {"lock-nop", lock_nop},
    {"push-es", push_es},
    {"int3", int3},
    {"int-3", int_3},
    {"icebp", icebp},
    {"divide-by-zero", divide_by_zero},
    {"divide-overflow", divide_overflow},
    {"x87-exception", x87_exception},
    {"sse-exception", sse_exception},
    {"int-0x00", int_0x00},
    {"int-0x02", int_0x02},
    {"int-0x04", int_0x04},
    {"int-0x08", int_0x08},
    {"int-0x0d", int_0x0d},
    {"int-0x0e", int_0x0e},
    {"int-0x12", int_0x12},
    {"int-0x20", int_0x20},
    {"int-0x21", int_0x21},
    {"int-0x30", int_0x30},
    {"int-0x80", int_0x80},
    {"int-0xfe", int_0xfe},
    {"int-0xff", int_0xff},
    {0},
};
