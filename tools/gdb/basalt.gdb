# Connects GDB to Basalt in a waiting QEMU: `make run-debug`, and in another terminal
# `make gdb`. By hand, from the top of the source tree:
#
#   gdb -x tools/gdb/basalt.gdb target/x86_64-unknown-none/debug/basalt
#
# That file is the kernel as the linker made it; what runs is the same code without
# debug information. The machine waits before its first instruction: nothing is loaded
# yet, so the first breakpoint has to be one of the hardware.
#
#   hbreak -qualified start     the 32-bit entry (there are other functions `start`)
#   hbreak kernel_entry         the first Rust code
#   continue
#
# Afterwards `break` does as well. Code before long mode is shown as if it were 64-bit
# code, because QEMU says that the machine is one; most of it reads the same.
#
# A program that `exec` runs, here with its lines in userspace/hello/hello.asm:
#
#   user-program hello          or: add-symbol-file target/userspace/root/bin/hello
#   break hello.asm:53
#   continue                    then type `exec /bin/hello` in the kernel shell
#
# Under TCG QEMU stops at an address, whatever is mapped there; under KVM use hbreak. Every
# process that has code at the address stops, so try one program at a time. Its memory comes
# when it is used: at its very first instruction there is nothing to be shown, and stepi
# leads into the page fault. For a program that is position-independent add the address
# where it is loaded:
#
#   add-symbol-file target/userspace/root/bin/args-pie -o 0x…
#
# QEMU on another port than 1234 (tools/qemu.sh … -gdb tcp::4321 -S):
#
#   gdb -ex 'set $port = 4321' -x tools/gdb/basalt.gdb …

set confirm off
set pagination off
set disassembly-flavor intel
set print asm-demangle on
set print pretty on
# QEMU's CPUs are GDB's threads, and are always there.
set print thread-events off

define user-program
    add-symbol-file target/userspace/root/bin/$arg0
end
document user-program
user-program NAME: reads the symbols of a program of the initramfs.
Programs are linked at fixed addresses, except for those with -pie in their names.
end

if $_isvoid($port)
    set $port = 1234
end
eval "target remote :%d", $port
