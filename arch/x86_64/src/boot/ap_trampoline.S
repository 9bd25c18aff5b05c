// The first code of every CPU but the boot CPU (Intel SDM volume 3, section 9.4.4).
//
// A STARTUP message makes such a CPU run at physical address vector * 4096, in real
// mode. The kernel copies [ap_trampoline, ap_trampoline_end) into that page and fills in
// the words at the end (boot/ap.rs knows their order). From real mode the code goes
// straight to long mode, with page tables that show this page at its own address beside
// the kernel half, and calls the kernel there.

.section .rodata.ap_trampoline, "a"
.balign 16
.global ap_trampoline
ap_trampoline:
.code16
    cli
    cld
    mov ax, cs
    mov ds, ax                              // offsets from here on are from the page

    // One CPU for each time that the page is filled: a late one that the kernel has given
    // up would share a stack with the next.
    xor eax, eax
    .byte 0x66, 0x87, 0x06                  // xchg [ap_ticket], eax
    .short ap_ticket - ap_trampoline
    test eax, eax
    jnz 2f
1:
    hlt
    jmp 1b
2:

    // Instructions with an offset into this page as operand come as bytes: Intel syntax
    // takes no difference of symbols there, and has no far jump through memory.
    .byte 0x66, 0x0f, 0x01, 0x16            // lgdt [ap_gdt_pointer], with a 32-bit base
    .short ap_gdt_pointer - ap_trampoline
    .byte 0x66, 0xa1                        // mov eax, [ap_cr4]: PAE
    .short ap_cr4 - ap_trampoline
    mov cr4, eax
    .byte 0x66, 0xa1                        // mov eax, [ap_cr3]
    .short ap_cr3 - ap_trampoline
    mov cr3, eax
    mov ecx, 0xc0000080                     // EFER
    rdmsr
    or eax, (1 << 8) | (1 << 11)            // LME, NXE
    wrmsr
    mov eax, 0x80010033                     // PG WP NE ET MP PE; caches on
    mov cr0, eax
    .byte 0x66, 0xff, 0x2e                  // jmp far [ap_far_pointer], 16:32
    .short ap_far_pointer - ap_trampoline

.code64
.global ap_long_mode
ap_long_mode:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov rsp, [rip + ap_stack]
    mov rdi, [rip + ap_argument]
    mov rsi, [rip + ap_kernel_cr3]
    mov rax, [rip + ap_entry]
    xor ebp, ebp                            // the end of every backtrace
    jmp rax

.balign 8
.global ap_gdt
ap_gdt:
    .quad 0
    .quad 0x00af9a000000ffff                // 64-bit code
    .quad 0x00cf92000000ffff                // data
.global ap_parameters
ap_parameters:
ap_gdt_pointer:
    .short 23
    .long 0                                 // + 2: address of ap_gdt
    .short 0
ap_far_pointer:
    .long 0                                 // + 8: address of ap_long_mode
    .short 8
    .short 0
ap_cr3:
    .long 0                                 // + 16
ap_cr4:
    .long 0                                 // + 20
ap_kernel_cr3:
    .quad 0                                 // + 24
ap_stack:
    .quad 0                                 // + 32
ap_entry:
    .quad 0                                 // + 40
ap_argument:
    .quad 0                                 // + 48
ap_ticket:
    .long 0                                 // + 56: 1 until a CPU has taken it
    .long 0
.global ap_trampoline_end
ap_trampoline_end:

.section .text
// The kernel half: leaves the page and its tables. rdi: argument, rsi: the kernel's CR3.
.global ap_higher_half
.type ap_higher_half, @function
ap_higher_half:
    mov cr3, rsi
    call {AP_MAIN}
    ud2

.section .text
.code64
