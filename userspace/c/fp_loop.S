// The loops of fp: all x87 and vector registers are live from their load to their
// store, across the system calls in between.

#include <sys/syscall.h>
#include "fp.h"

        .intel_syntax noprefix
        .set    CLOCK_MONOTONIC, 1

        .macro  sse_load reg
        movapd  xmm\reg, [rbx + FP_VECTOR + \reg * 32]
        .endm
        .macro  sse_add reg
        addpd   xmm\reg, xmm15
        .endm
        .macro  sse_store reg
        movapd  [rbx + FP_VECTOR + \reg * 32], xmm\reg
        .endm

        .macro  avx_load reg
        vmovapd ymm\reg, [rbx + FP_VECTOR + \reg * 32]
        .endm
        .macro  avx_add reg
        vaddpd  ymm\reg, ymm\reg, ymm15
        .endm
        .macro  avx_store reg
        vmovapd [rbx + FP_VECTOR + \reg * 32], ymm\reg
        .endm

// void fp_run_KIND(struct fp_state *)
// Registers: rbx the state, rbp the rounds, ecx what is left of the chunk.
        .macro  fp_run kind
        .globl  fp_run_\kind
        .type   fp_run_\kind, @function
fp_run_\kind:
        push    rbx
        push    rbp
        sub     rsp, 8
        mov     rbx, rdi

        stmxcsr [rsp]                   // the caller's control words
        fnstcw  [rsp + 4]
        fninit
        fldcw   [rbx + FP_FCW]
        ldmxcsr [rbx + FP_MXCSR]
        .irp    i, 7, 6, 5, 4, 3, 2, 1, 0
        fld     qword ptr [rbx + FP_X87 + \i * 8]
        .endr
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        \kind\()_load \i
        .endr

        xor     ebp, ebp
1:      mov     ecx, FP_ROUNDS_PER_CHUNK
2:
        .irp    i, 1, 2, 3, 4, 5, 6, 7
        fadd    st(\i), st
        .endr
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
        \kind\()_add \i
        .endr
        inc     rbp
        dec     ecx
        jnz     2b

        mov     eax, SYS_clock_gettime
        mov     edi, CLOCK_MONOTONIC
        lea     rsi, [rbx + FP_NOW]
        syscall
        test    rax, rax
        jnz     3f                      // no clock: one chunk is all
        mov     rax, [rbx + FP_NOW]
        cmp     rax, [rbx + FP_DEADLINE]
        jl      1b
        jg      3f
        mov     rax, [rbx + FP_NOW + 8]
        cmp     rax, [rbx + FP_DEADLINE + 8]
        jl      1b

3:      mov     [rbx + FP_ROUNDS], rbp
        fnstcw  [rbx + FP_FCW]
        stmxcsr [rbx + FP_MXCSR]
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7
        fstp    qword ptr [rbx + FP_X87 + \i * 8]
        .endr
        .irp    i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        \kind\()_store \i
        .endr

        fldcw   [rsp + 4]
        ldmxcsr [rsp]
        .ifc    \kind, avx
        vzeroupper
        .endif
        add     rsp, 8
        pop     rbp
        pop     rbx
        ret
        .size   fp_run_\kind, . - fp_run_\kind
        .endm

        .text
        fp_run  sse
        fp_run  avx

        .section .note.GNU-stack, "", @progbits
