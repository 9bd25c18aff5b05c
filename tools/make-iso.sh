#!/bin/bash
# Makes the ISO that boots Basalt, from CD and as a USB stick, by BIOS and UEFI.
#
#   tools/make-iso.sh KERNEL INITRAMFS OUT [CMDLINE]
#
# OUT is replaced at the end, in one step: it is never there half made. CMDLINE reaches
# the kernel as it is, whatever characters it has.
set -eu

die() {
    echo "make-iso: $1" >&2
    exit 1
}

[ $# -eq 3 ] || [ $# -eq 4 ] || die "usage: tools/make-iso.sh KERNEL INITRAMFS OUT [CMDLINE]"
kernel=$1 initramfs=$2 out=$3 cmdline=${4-}
top=$(cd "$(dirname "$0")/.." && pwd)

for file in "$kernel" "$initramfs"; do
    [ -f "$file" ] || die "no such file: $file"
done
for program in grub-mkrescue grub-file xorriso mformat; do
    command -v "$program" >/dev/null || die "$program is missing: make setup"
done
case $cmdline in
*[[:cntrl:]]*) die "the command line must be one line, without control characters" ;;
esac
grub-file --is-x86-multiboot2 "$kernel" || die "$kernel has no Multiboot2 header"

# Both ways to boot, where this machine's GRUB has its files.
grub_dir=${GRUB_DIR:-/usr/lib/grub}
for platform in i386-pc x86_64-efi; do
    [ -f "$grub_dir/$platform/multiboot2.mod" ] ||
        die "GRUB's files for $platform are missing ($grub_dir/$platform): make setup"
done

mkdir -p "$(dirname "$out")"
tmp=$(mktemp -d "$(dirname "$out")/.iso.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

mkdir -p "$tmp/tree/boot/grub"
cp "$kernel" "$tmp/tree/boot/basalt"
cp "$initramfs" "$tmp/tree/boot/initramfs.cpio"

# GRUB's single quotes keep everything but a single quote. The blank in front makes GRUB
# hand over the line in double quotes always, which the kernel undoes exactly
# (kernel/lib/boot-args/src/grub.rs).
quoted=${cmdline:+" ${cmdline//\'/"'\''"}"}
{
    printf "set cmdline='%s'\n" "$quoted"
    cat "$top/grub/grub.cfg"
} >"$tmp/tree/boot/grub/grub.cfg"

# Only the modules that grub.cfg uses, and those that grub-mkrescue's own start-up loads
# (part_*): with all of them GRUB would be the largest part of the ISO.
modules="normal configfile test echo sleep reboot serial terminal multiboot2 boot all_video
    iso9660 part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos
    part_plan part_sun part_sunpc"

# The same contents give the same ISO: one time for all files and for the volume.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
find "$tmp/tree" -exec touch --date=@"$SOURCE_DATE_EPOCH" {} +

if ! TMPDIR=$tmp grub-mkrescue --output="$tmp/iso" --install-modules="$modules" \
    --locales= --fonts= --themes= "$tmp/tree" -volid BASALT >"$tmp/log" 2>&1; then
    cat "$tmp/log" >&2
    die "grub-mkrescue failed"
fi
# grub-mkrescue leaves out what it has no tool for, and says so only in its log.
[ -s "$tmp/iso" ] || { cat "$tmp/log" >&2; die "grub-mkrescue made no ISO"; }
mv -f "$tmp/iso" "$out"
