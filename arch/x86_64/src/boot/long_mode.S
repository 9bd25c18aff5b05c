// From the first 64-bit instruction to Rust.
//
// edi still holds the physical address of the Multiboot2 information. Loads the
// segment registers, clears GS (per-CPU data then means the template in the image),
// moves to the higher half and calls `kernel_entry(information: u64) -> !`.

.section .boot.text, "ax"
.code64
.global long_mode_start
long_mode_start:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    xor eax, eax
    mov fs, ax
    mov gs, ax
    mov edi, edi                            // clear the upper half
    movabs rax, offset higher_half
    jmp rax

.section .text
.cfi_sections .debug_frame                  // for GDB; the kernel itself needs none
.type higher_half, @function
higher_half:
    .cfi_startproc
    .cfi_undefined rip                      // the end of every backtrace, for GDB
    mov rsp, offset __boot_stack_top
    xor ebp, ebp                            // and for the kernel
    call kernel_entry
    ud2
    .cfi_endproc
.size higher_half, . - higher_half
