// 256 entry stubs and the ways they share (Intel SDM volume 3, chapter 6).
//
// Every stub leaves the same stack: vector, error code, rip, cs, rflags, rsp, ss. The
// common way swaps GS if the trap came from user mode, saves the registers (TrapFrame
// in frame.rs; the offsets come from there), links the interrupted code into the chain
// of frame pointers so that a backtrace crosses the trap, and calls the hook.
//
// Page faults of user mode are the most frequent of all, and most end with the page being
// there. They save what a call may change, no more; only if the page cannot be had, or
// something else is to be done, the frame is completed.
//
// Vectors with a stack of their own (#DB, NMI, #DF, #MC) can hit the kernel before it
// has swapped GS. They look at the GS base itself; from user mode they first move to
// the thread's stack and go the common way.

.section .text.trap_stubs, "ax"

.macro SMAP_OFF
911:
    clac                                    // patched to a nop without SMAP
    .pushsection .smap_sites, "a"
    .quad 911b
    .popsection
.endm

.global trap_stubs
.balign 16
trap_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if vector == 8 || vector == 10 || vector == 11 || vector == 12 || vector == 13 || vector == 14 || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    push 0                                  // no error code from the CPU
    .endif
    push vector
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18
    jmp trap_paranoid
    .elseif vector == 14
    jmp trap_page_fault
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
.endr

// What a call may change.
.macro PUSH_SCRATCH
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
.endm

// What a call keeps.
.macro PUSH_KEPT
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
.endm

.macro PUSH_REGISTERS
    PUSH_SCRATCH
    PUSH_KEPT
.endm

.macro POP_SCRATCH
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
.endm

.macro POP_REGISTERS
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    POP_SCRATCH
.endm

.balign 16
.type trap_page_fault, @function
trap_page_fault:
    test byte ptr [rsp + 24], 3             // cs
    jz trap_common
    cld
    SMAP_OFF
    swapgs
    PUSH_SCRATCH
    mov rdi, cr2
    mov rsi, [rsp + {ERROR} - {SCRATCH_START}]
    push [rsp + {RIP} - {SCRATCH_START}]    // a frame for the backtrace
    push rbp
    mov rbp, rsp
    push rdi                                // another fault may come before this one is done
    sub rsp, 8
    sti
    call [rip + {PAGE_FAULT_HOOK}]
.global trap_return_site_page_fault
trap_return_site_page_fault:
    cli
    add rsp, 8
    pop rdi
    pop rbp
    add rsp, 8
    test al, al
    jz 2f
    mov rcx, gs:[{CPU_LOCAL} + {PENDING}]
    cmp dword ptr [rcx], 0
    jne 1f
    POP_SCRATCH
    swapgs
    add rsp, 16                             // vector, error code
    iretq

1:  PUSH_KEPT
    mov rdi, rsp
    call [rip + {LEAVE_HOOK}]
    jmp trap_exit

2:  mov cr2, rdi
    PUSH_KEPT
    jmp trap_common_saved

.balign 16
.type trap_common, @function
trap_common:
    cld
    SMAP_OFF
    test byte ptr [rsp + 24], 3             // cs
    jz 1f
    swapgs
1:  PUSH_REGISTERS
    mov rdi, rsp
    push [rdi + {RIP}]                      // a frame for the backtrace
    push rbp
    mov rbp, rsp
    call [rip + {TRAP_HOOK}]
.global trap_return_site
trap_return_site:
    add rsp, 16

// rsp points at a TrapFrame to go back to; interrupts are off.
.global trap_exit
trap_exit:
    test byte ptr [rsp + {CS}], 3
    jz 1f
    swapgs
1:  POP_REGISTERS
    add rsp, 16                             // vector, error code
    iretq

.balign 16
.type trap_paranoid, @function
trap_paranoid:
    cld
    SMAP_OFF
    test byte ptr [rsp + 24], 3
    jnz 2f
    PUSH_REGISTERS
    mov rdi, rsp
    push [rdi + {RIP}]
    push rbp
    mov rbp, rsp
    xor ebx, ebx                            // 1: GS was the user's
    mov ecx, 0xc0000101                     // GS_BASE; the kernel's has bit 63 set
    rdmsr
    test edx, edx
    js 1f
    swapgs
    inc ebx
1:  call [rip + {TRAP_HOOK}]
.global trap_return_site_paranoid
trap_return_site_paranoid:
    test ebx, ebx
    jz 1f
    swapgs
1:  add rsp, 16
    POP_REGISTERS
    add rsp, 16
    iretq

2:  // From user mode: to the thread's stack, then the common way.
    swapgs
    mov gs:[{CPU_LOCAL} + {SCRATCH}], rax
    mov rax, rsp
    mov rsp, gs:[{CPU_LOCAL} + {KERNEL_STACK_TOP}]
    push [rax + 48]                         // ss
    push [rax + 40]                         // rsp
    push [rax + 32]                         // rflags
    push [rax + 24]                         // cs
    push [rax + 16]                         // rip
    push [rax + 8]                          // error code
    push [rax]                              // vector
    mov rax, gs:[{CPU_LOCAL} + {SCRATCH}]
    jmp trap_common_registers

// The common way behind its swapgs.
trap_common_registers:
    PUSH_REGISTERS
trap_common_saved:
    mov rdi, rsp
    push [rdi + {RIP}]
    push rbp
    mov rbp, rsp
    call [rip + {TRAP_HOOK}]
.global trap_return_site_moved
trap_return_site_moved:
    add rsp, 16
    jmp trap_exit

// Goes to user mode for the first time: rdi points at the TrapFrame.
.global enter_user
enter_user:
    cli
    mov rsp, rdi
    jmp trap_exit

.section .text
