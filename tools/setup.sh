#!/bin/bash
# Installs what is missing on this machine, with apt where there is apt. Says nothing and
# takes no time if everything is there.
#
#   tools/setup.sh build|run|all      what making the ISO needs, running it, or all
#
# What is there is seen by its commands and files, so that it does not matter where they
# came from.
set -eu

case ${1-} in
build) stage=1 ;;
run) stage=2 ;;
all) stage=3 ;;
*)
    echo "usage: tools/setup.sh build|run|all" >&2
    exit 2
    ;;
esac
here=$(dirname "$0")

packages=() # Debian's names
missing=()  # in words, for other systems

# need STAGE PACKAGE COMMAND-OR-FILE…: of several, one is enough.
need() {
    local package=$2 first=$3 thing
    [ "$1" -le $stage ] || return 0
    shift 2
    for thing; do
        case $thing in
        /*) [ ! -e "$thing" ] || return 0 ;;
        *) ! command -v "$thing" >/dev/null || return 0 ;;
        esac
    done
    packages+=("$package")
    missing+=("$first")
}

# look: fills both lists.
look() {
    packages=() missing=()
    need 1 gcc gcc
    need 1 binutils as
    need 1 binutils ld
    need 1 libc6-dev /usr/include/stdio.h
    need 1 musl-tools musl-gcc
    need 1 cpio cpio
    need 1 xorriso xorriso
    need 1 mtools mformat
    need 1 grub-common grub-mkrescue
    need 1 grub-pc-bin /usr/lib/grub/i386-pc/multiboot2.mod
    need 1 grub-efi-amd64-bin /usr/lib/grub/x86_64-efi/multiboot2.mod
    need 1 ca-certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki
    need 2 qemu-system-x86 qemu-system-x86_64
    need 2 ovmf /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
        /usr/share/edk2 /usr/share/edk2-ovmf /usr/share/qemu/ovmf-x86_64-code.bin
    [ "${GRAPHICS:-off}" != on ] ||
        need 2 qemu-system-gui /usr/lib/x86_64-linux-gnu/qemu/ui-gtk.so /usr/lib/qemu/ui-gtk.so \
            /usr/lib64/qemu/ui-gtk.so
    [ "${RUN_QEMU_GDB:-no}" != yes ] || need 2 gdb gdb
    need 3 gdb gdb
    need 3 e2fsprogs /usr/sbin/mke2fs /sbin/mke2fs mke2fs

    local toolchain bin
    if ! toolchain=$("$here/cargo.sh" which); then
        packages+=(rustc-web cargo-web rust-web-src lld)
        missing+=("a Rust compiler for x86_64-unknown-none")
        bin=/usr/bin
    else
        bin=${toolchain#* }
    fi
    # Those of that same toolchain; Debian's are of no use to another.
    local component
    for component in clippy:rust-web-clippy fmt:rustfmt-web; do
        if [ $stage = 3 ] && [ ! -x "$bin/cargo-${component%:*}" ]; then
            [ "$bin" != /usr/bin ] || packages+=("${component#*:}")
            missing+=("$bin/cargo-${component%:*}")
        fi
    done
}

# advise REASON: what the user can do, and the end.
advise() {
    {
        echo "$1"
        printf 'Missing: '
        printf '%s; ' "${missing[@]}" | sed 's/; $/\n/'
        [ ${#packages[@]} -eq 0 ] || echo "Debian's packages for it: ${packages[*]}"
        case "${missing[*]}" in
        *Rust* | */cargo-*)
            echo "With rustup: rustup target add x86_64-unknown-none; rustup component add clippy rustfmt"
            ;;
        esac
    } >&2
    exit 1
}

look
[ ${#missing[@]} -gt 0 ] || exit 0
[ ${#packages[@]} -gt 0 ] || advise "The Rust toolchain is not whole."

as_root=()
command -v apt-get >/dev/null || advise "This system has no apt-get: install by its own means what is missing."
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || advise "Only root can install packages, and there is no sudo."
    as_root=(sudo)
fi

echo "Installing Debian packages: ${packages[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1
}
if ! { apt update && apt install -y --no-install-recommends "${packages[@]}"; }; then
    tail -n 15 "$log" >&2
    advise "apt-get could not install what is missing."
fi
look
[ ${#missing[@]} -eq 0 ] || advise "Something is still missing."
