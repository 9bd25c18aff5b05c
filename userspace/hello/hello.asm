# hello: the smallest user program, in assembly with raw system calls.
#
# Prints a greeting and its arguments, one line each, and exits with the number
# given as its first argument (0 without one, or when it is no number).
#
# What it proves: the loader enters an ET_EXEC at its entry with argc and argv on
# the stack; write(2), writev(2) and exit(2) keep every register but rax, rcx and
# r11; .data is loaded and .bss is zero. Assembled with line information and not
# stripped, so that GDB can stop at `hello.asm:LINE`.

        .intel_syntax noprefix

        .set    SYS_write, 1
        .set    SYS_writev, 20
        .set    SYS_exit, 60
        .set    STDOUT, 1
        .set    IOVEC_SIZE, 16          # struct iovec: base, length
        .set    IOVEC_LEN, 8            # offset of the length

        .section .rodata
greeting:
        .ascii  "Hello from user space\n"
        .set    greeting_len, . - greeting
prefix: .ascii  "argv["
        .set    prefix_len, . - prefix
middle: .ascii  "] = "
        .set    middle_len, . - middle
newline:
        .ascii  "\n"

        .data
        .balign 8
# One line of output: "argv[" index "] = " argument "\n".
line:   .quad   prefix, prefix_len
index:  .quad   0, 0
        .quad   middle, middle_len
value:  .quad   0, 0
        .quad   newline, 1
        .set    line_parts, (. - line) / IOVEC_SIZE

        .bss
        .set    digits_size, 20         # u64 in decimal
digits: .skip   digits_size

        .text
        .globl  _start
        .type   _start, @function
# Registers kept through the program: r12 argc, r13 argv, rbx index of the argument.
_start:
        mov     r12, [rsp]
        lea     r13, [rsp + 8]

        mov     eax, SYS_write
        mov     edi, STDOUT
        lea     rsi, [rip + greeting]
        mov     edx, greeting_len
        syscall

        xor     ebx, ebx
next_argument:
        cmp     rbx, r12
        jae     finish
        call    print_argument
        inc     rbx
        jmp     next_argument

finish:
        xor     edi, edi
        cmp     r12, 2
        jb      exit
        mov     rsi, [r13 + 8]
        call    parse_number
        mov     edi, eax
exit:
        mov     eax, SYS_exit
        syscall
        ud2                             # exit does not return
        .size   _start, . - _start

# Prints the line of argument rbx.
        .type   print_argument, @function
print_argument:
        # The index, from the last digit back.
        lea     rsi, [rip + digits + digits_size]
        mov     rax, rbx
        mov     ecx, 10
1:      xor     edx, edx
        div     rcx
        add     dl, '0'
        dec     rsi
        mov     [rsi], dl
        test    rax, rax
        jnz     1b
        lea     rax, [rip + digits + digits_size]
        sub     rax, rsi
        mov     [rip + index], rsi
        mov     [rip + index + IOVEC_LEN], rax

        mov     rsi, [r13 + rbx * 8]
        mov     [rip + value], rsi
        call    string_length
        mov     [rip + value + IOVEC_LEN], rax

        mov     eax, SYS_writev
        mov     edi, STDOUT
        lea     rsi, [rip + line]
        mov     edx, line_parts
        syscall
        ret
        .size   print_argument, . - print_argument

# rax = length of the string at rsi.
        .type   string_length, @function
string_length:
        xor     eax, eax
1:      cmp     byte ptr [rsi + rax], 0
        je      2f
        inc     rax
        jmp     1b
2:      ret
        .size   string_length, . - string_length

# rax = the decimal number at rsi, 0 if it is none.
        .type   parse_number, @function
parse_number:
        xor     eax, eax
1:      movzx   ecx, byte ptr [rsi]
        test    ecx, ecx
        jz      3f
        sub     ecx, '0'
        cmp     ecx, 9
        ja      2f
        imul    rax, rax, 10
        add     rax, rcx
        inc     rsi
        jmp     1b
2:      xor     eax, eax
3:      ret
        .size   parse_number, . - parse_number

        .section .note.GNU-stack, "", @progbits
