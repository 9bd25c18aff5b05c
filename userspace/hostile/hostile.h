// What the themes of the hostile program share.
#pragma once

#include <stdio.h>
#include <string.h>

#include "../c/sys.h"

// One thing that a program must not be able to do. `run` is killed by a signal, or
// returns 0 if the kernel held (programs.txt says which), or 1 if it gave way.
struct kind {
    const char *name;
    int (*run)(void);
};

// Each theme's kinds end with an empty one.
extern const struct kind memory_kinds[], instruction_kinds[], selector_kinds[], flag_kinds[],
    stack_pointer_kinds[], pointer_kinds[], protection_kinds[];

enum { PAGE_SIZE = 4096 };

// Addresses of the kernel's half, as this kernel and Linux use it.
#define KERNEL_IMAGE 0xffffffff80000000UL
#define KERNEL_HALF 0xffff800000000000UL
#define NON_CANONICAL 0x0000800000000000UL
#define USER_END 0x00007ffffffff000UL
// Non-canonical with five-level page tables too, where Linux uses them.
#define NON_CANONICAL_57 0x0100000000000000UL

// A page that has not been touched; exits if there is none.
unsigned char *fresh_page(void);

// Keeps the CPU for about a tenth of a second, so that the timer interrupts it.
#define SPIN_TICKS 200000000UL
