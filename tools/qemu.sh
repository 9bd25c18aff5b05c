#!/bin/bash
# Runs Basalt in QEMU: the one place with QEMU's flags. The guest's serial line is on
# stdin and stdout: ^C goes to the guest, ^A x ends QEMU. A file or a pipe on stdin is held
# back until the kernel reads its input: firmware and GRUB would swallow the beginning.
#
#   ISO=… [NAME=VALUE …] tools/qemu.sh [QEMU ARGUMENT …]
#
#   ISO        the ISO to boot; without it nothing is, but what the arguments say
#   MEDIUM     cd or usb: what the ISO is put into; cd by default
#   UEFI, GRAPHICS, SMP, MEM, ACCEL, DISK, QEMU_EXTRA, RUN_QEMU_GDB: see `make help`
#
# The exit status is the one that the kernel gave (kernel/base/src/exit.rs): a line on
# the debug console, confirmed by isa-debug-exit, or by QEMU's end with 0 where the line
# says that the machine will be switched off or reset. If QEMU ends otherwise it is QEMU's:
# 1 if it could not start, 128 and more if a signal killed it. A guest that reset without
# having given a status is 125, and so is QEMU ended by ^A x if that was not typed at a
# terminal. With STATUS_FILE the status is written there, and the script ends with 0.
set -eu
[ -e /proc/self/fd/0 ] || exec </dev/null           # stdin was closed

die() {
    echo "qemu: $1" >&2
    exit 2
}

# finish STATUS: the end of a run.
finish() {
    [ -n "${STATUS_FILE:-}" ] || exit "$1"
    echo "$1" >"$STATUS_FILE"
    exit 0
}

# first FILE…: the first of them that exists.
first() {
    local file
    for file; do
        if [ -f "$file" ]; then
            echo "$file"
            return
        fi
    done
    return 1
}

. "$(dirname "$0")/variables.sh"
choice MEDIUM cd cd usb
qemu=${QEMU:-qemu-system-x86_64}
command -v "$qemu" >/dev/null || die "$qemu is missing: make setup"

tmp=$(mktemp -d "${TMPDIR:-/tmp}/basalt-qemu.XXXXXX")
child=
feeder=
terminal=
cleanup() {
    trap - EXIT INT TERM HUP
    [ -z "$child$feeder" ] || kill -TERM $child $feeder 2>/dev/null || true
    # A killed QEMU leaves the terminal raw.
    [ -z "$terminal" ] || stty "$terminal" 2>/dev/null || true
    rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

args=(
    -name Basalt -nodefaults -no-user-config
    -machine q35 -accel "$ACCEL" -cpu max -smp "$SMP" -m "$MEM"
    -vga std -nic none
    -serial mon:stdio
    -no-reboot
    -device isa-debug-exit,iobase=0xf4,iosize=4
    -debugcon "file:$tmp/status"
    -d cpu_reset -D "$tmp/log"          # tells a triple fault
)

if [ "$UEFI" = on ]; then
    code=$(first /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
        /usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd \
        /usr/share/edk2-ovmf/x64/OVMF_CODE.fd /usr/share/qemu/ovmf-x86_64-code.bin) ||
        die "OVMF, the UEFI firmware, is missing: make setup, or UEFI=off"
    vars=${code/CODE/VARS}
    vars=$(first "$vars" "${vars/code/vars}") || die "there is no VARS file beside $code"
    # What the firmware writes goes into a copy that ends with the run.
    cp "$vars" "$tmp/vars"
    chmod u+w "$tmp/vars"
    args+=(-drive "if=pflash,unit=0,format=raw,readonly=on,file=$code"
        -drive "if=pflash,unit=1,format=raw,file=$tmp/vars")
fi

if [ "$GRAPHICS" = on ]; then
    displays=$("$qemu" -display help 2>/dev/null)
    display=$(grep -m 1 -xE 'gtk|sdl' <<<"$displays") ||
        die "this QEMU can open no window: it has neither gtk nor sdl (Debian: qemu-system-gui)"
    args+=(-display "$display")
else
    args+=(-display none)
fi

if [ -n "${ISO:-}" ]; then
    [ -f "$ISO" ] || die "no such ISO: $ISO"
    args+=(-drive "if=none,id=iso,format=raw,readonly=on,file=${ISO//,/,,}")
    case $MEDIUM in
    cd) args+=(-device ide-cd,drive=iso,bootindex=0) ;;
    usb) args+=(-device qemu-xhci -device usb-storage,drive=iso,bootindex=0) ;;
    esac
fi

for i in "${!disks[@]}"; do
    args+=(-drive "if=none,id=disk$i,format=raw,file=${disks[i]//,/,,}"
        -device "virtio-blk-pci,drive=disk$i")
done

args+=("${qemu_extra[@]}" "$@")

# What waits for the kernel (kernel/base/src/exit.rs), then is stdin. It ends with this script.
feed() {
    until grep -qx input "$tmp/status" 2>/dev/null; do
        kill -0 $$ 2>/dev/null || return 0
        sleep 0.1
    done
    exec "${with_us[@]}" cat
}

with_us=()
! command -v setpriv >/dev/null || with_us=(setpriv --pdeathsig TERM --)
if [ -t 0 ]; then
    terminal=$(stty -g)
elif [ "$RUN_QEMU_GDB" = no ]; then
    mkfifo "$tmp/input"
    feed <&0 >"$tmp/input" &
    feeder=$!
    exec <"$tmp/input"
fi
status=0
if [ "$RUN_QEMU_GDB" = yes ]; then
    command -v gdb >/dev/null || die "gdb is missing: make setup"
    # When QEMU ends by itself GDB ends too, with its status; a crash leaves GDB's prompt.
    gdb -q --return-child-result -ex 'set confirm off' -ex 'set debuginfod enabled off' \
        -ex 'handle SIGUSR1 nostop noprint pass' -ex run \
        -ex 'python if gdb.convenience_variable("_exitcode") is not None: gdb.execute("quit")' \
        --args "$qemu" "${args[@]}" || status=$?
else
    # In the background, so that a signal to this script is answered at once. QEMU ends
    # with this script however that ends.
    "${with_us[@]}" "$qemu" "${args[@]}" <&0 &
    child=$!
    wait "$child" || status=$?
    child=
fi

# isa-debug-exit makes QEMU's status odd and holds the low seven bits of the kernel's.
said=$(tail -n 1 "$tmp/status" 2>/dev/null || true)
if [[ $said =~ ^[0-9]{1,3}$ ]] && [ $((10#$said)) -le 255 ] &&
    [ "$status" -eq $(((10#$said & 127) * 2 + 1)) ]; then
    finish $((10#$said))
fi
# Switched off or reset by order: said first, with the status.
if [[ $said =~ ^(off|reset)\ ([01])$ ]] && [ "$status" -eq 0 ]; then
    finish "${BASH_REMATCH[2]}"
fi
if grep -q 'Triple fault' "$tmp/log" 2>/dev/null; then
    echo "qemu: the guest triple-faulted" >&2
    finish 125
fi
if [ "$status" -eq 0 ] && ! { [ -t 0 ] && [ -t 1 ]; }; then
    echo "qemu: QEMU ended, and the kernel had given no exit status" >&2
    finish 125
fi
finish "$status"
