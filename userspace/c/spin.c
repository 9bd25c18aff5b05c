// spin: says so, then loops without a system call until it is killed.
//
// What it proves: the timer takes the CPU away from a program that never enters
// the kernel, and ^C ends it.

#include <stdio.h>

int main(void)
{
    puts("spinning");
    fflush(stdout);
    for (;;)
        __asm__ volatile("pause");
}
