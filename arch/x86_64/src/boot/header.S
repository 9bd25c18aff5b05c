// The 32-bit entry: where GRUB jumps to (Multiboot2 specification, section 3.2).
//
// State on entry: protected mode, paging off, interrupts off,
// eax = 0x36d76289, ebx = physical address of the Multiboot2 information.
//
// What it does: checks that the loader and the CPU are what the kernel needs,
// says so on VGA and the serial line if they are not, builds page tables that map
// the first 4 GiB three times (identity, physical map, kernel image) and goes on
// in long_mode.S. These tables live until the kernel has made its own.

.section .multiboot2, "a"
.balign 8
multiboot2_header:
    .long 0xe85250d6                        // magic
    .long 0                                 // architecture: i386 protected mode
    .long multiboot2_header_end - multiboot2_header
    .long -(0xe85250d6 + 0 + (multiboot2_header_end - multiboot2_header))

    .balign 8                               // modules on page boundaries
    .short 6, 0
    .long 8

    .balign 8                               // information request, all optional
    .short 1, 1
    .long 8 + 4 * 7
    .long 1, 3, 6, 8, 9, 14, 15             // cmdline modules mmap framebuffer ELF RSDPv1 RSDPv2

    .balign 8                               // framebuffer: any, optional
    .short 5, 1
    .long 20
    .long 0, 0, 32

    .balign 8                               // end
    .short 0, 0
    .long 8
multiboot2_header_end:

.section .boot.text, "ax"
.code32
.global start
.type start, @function
start:
    cli
    cld
    mov esp, offset boot_stack32_end
    mov ebp, eax                            // the loader's magic
    mov edi, ebx                            // the information's address

    mov esi, offset message_loader
    cmp ebp, 0x36d76289
    jne boot_refused

    // CPUID is there if EFLAGS.ID (bit 21) can be changed.
    mov esi, offset message_cpuid
    pushfd
    pop eax
    mov ecx, eax
    xor eax, 1 << 21
    push eax
    popfd
    pushfd
    pop eax
    push ecx
    popfd
    xor eax, ecx
    test eax, 1 << 21
    jz boot_refused

    mov esi, offset message_long_mode
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb boot_refused
    mov eax, 0x80000001
    cpuid
    bt edx, 29                              // long mode
    jnc boot_refused
    mov esi, offset message_nx
    bt edx, 20                              // no-execute
    jnc boot_refused

    // Page tables. Slots 0 (identity) and 256 (physical map) of the top level
    // share one table for 4 GiB; slot 511 holds the image at -2 GiB.
    mov eax, offset boot_pdpt_low
    or eax, 3
    mov [boot_pml4], eax
    mov [boot_pml4 + 256 * 8], eax
    mov eax, offset boot_pdpt_high
    or eax, 3
    mov [boot_pml4 + 511 * 8], eax

    mov eax, offset boot_pd
    or eax, 3
    mov [boot_pdpt_high + 510 * 8], eax
    mov [boot_pdpt_low], eax
    add eax, 4096
    mov [boot_pdpt_low + 8], eax
    add eax, 4096
    mov [boot_pdpt_low + 16], eax
    add eax, 4096
    mov [boot_pdpt_low + 24], eax

    xor ecx, ecx
    mov eax, 0x83                           // present, writable, 2 MiB
2:  mov [boot_pd + ecx * 8], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 4 * 512
    jne 2b

    mov eax, offset boot_pml4
    mov cr3, eax
    mov eax, 1 << 5                         // PAE, and nothing that firmware left on
    mov cr4, eax
    mov ecx, 0xc0000080                     // EFER
    rdmsr
    or eax, (1 << 8) | (1 << 11)            // LME, NXE
    wrmsr
    mov eax, cr0
    or eax, (1 << 31) | (1 << 16)           // PG, WP
    mov cr0, eax

    lgdt [boot_gdt_pointer]
    // A far return, since the direct far jump has no Intel spelling that every
    // assembler takes.
    push 8
    mov eax, offset long_mode_start
    push eax
    retf

// esi: a zero-terminated message. Writes it to the first serial port and to the
// VGA text screen, and stops.
boot_refused:
    mov edi, 0xb8000
3:  lodsb
    test al, al
    jz 5f
    mov ah, 0x4f                            // white on red
    mov [edi], ax
    add edi, 2
    mov ebx, 100000                         // a port that never gets ready is left alone
    mov ah, al
4:  mov dx, 0x3fd                           // line status
    in al, dx
    dec ebx
    jz 6f
    test al, 0x20                           // transmitter empty
    jz 4b
6:  mov dx, 0x3f8
    mov al, ah
    out dx, al
    jmp 3b
5:  cli
    hlt
    jmp 5b

.section .boot.data, "a"
message_loader:
    .asciz "\r\nBasalt: not started by a Multiboot2 loader (magic number wrong)\r\n"
message_cpuid:
    .asciz "\r\nBasalt: this CPU has no CPUID instruction; a 64-bit CPU is needed\r\n"
message_long_mode:
    .asciz "\r\nBasalt: this CPU has no long mode; a 64-bit CPU is needed\r\n"
message_nx:
    .asciz "\r\nBasalt: this CPU has no no-execute bit (NX), or the firmware disabled it\r\n"

.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff                // 64-bit code
    .quad 0x00cf92000000ffff                // data
boot_gdt_pointer:
    .short boot_gdt_pointer - boot_gdt - 1
    .long boot_gdt

.section .boot.bss, "aw", @progbits
.balign 4096
boot_pml4:      .fill 4096, 1, 0
boot_pdpt_low:  .fill 4096, 1, 0
boot_pdpt_high: .fill 4096, 1, 0
boot_pd:        .fill 4 * 4096, 1, 0
boot_stack32:   .fill 256, 1, 0
boot_stack32_end:

.section .text
.code64
