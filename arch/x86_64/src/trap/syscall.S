// The `syscall` entry (AMD APM volume 3, SYSCALL; psABI appendix A.2).
//
// On entry: rcx = return address, r11 = rflags, rsp and GS are the user's, interrupts
// are off (SFMASK). The fast way saves what a call may not change and leaves the
// callee-saved registers to the compiler. The slow way completes the frame.

.section .text.trap_stubs, "ax"
.balign 16
.global syscall_entry
.type syscall_entry, @function
syscall_entry:
    swapgs
    mov gs:[{CPU_LOCAL} + {SCRATCH}], rsp
    mov rsp, gs:[{CPU_LOCAL} + {KERNEL_STACK_TOP}]
    push {USER_DATA}
    push gs:[{CPU_LOCAL} + {SCRATCH}]
    push r11
    push {USER_CODE}
    push rcx
    push rax                                // number
    push {SYSCALL_VECTOR}
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    mov rdi, rsp
    sti
    call [rip + {SYSCALL_HOOK}]
.global syscall_return_site
syscall_return_site:
    cli
    mov rcx, gs:[{CPU_LOCAL} + {PENDING}]
    mov ecx, [rcx]
    or rcx, rdx
    jnz 1f
    add rsp, 8                              // r11
    pop r10
    pop r9
    pop r8
    add rsp, 16                             // rax, rcx
    pop rdx
    pop rsi
    pop rdi
    mov rcx, [rsp + 16]                     // rip
    mov r11, [rsp + 32]                     // rflags
    mov rsp, [rsp + 40]
    swapgs
    sysretq

1:  mov [rsp + 32], rax                     // the result, in its place
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov rdi, rsp
    mov rsi, rdx
    call [rip + {SYSCALL_SLOW_HOOK}]
.global syscall_return_site_slow
syscall_return_site_slow:
    jmp trap_exit

.section .text
