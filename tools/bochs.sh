#!/bin/bash
# Runs Basalt in Bochs, another emulator: its CPUs have x2APIC mode, which QEMU before 9
# emulates only with KVM, and its chip set, BIOS and ACPI tables are others.
#
#   CMDLINE='test; poweroff' tools/bochs.sh
#
#   RUST_BUILD_MODE, SMP, CMDLINE: see `make help`. CMDLINE must end with `poweroff`:
#   nothing can be typed. What `make build` has built is run.
#
# Debian: bochs bochs-x bochsbios vgabios xvfb. The console is printed at the end, which
# takes some hundred times as long as in QEMU. The status is 0 if the machine was switched
# off in time.
set -eu
cd "$(dirname "$0")/.."

SECONDS_AT_MOST=${SECONDS_AT_MOST:-600}
for program in bochs-bin xvfb-run; do
    command -v "$program" >/dev/null || {
        echo "bochs: $program is missing" >&2
        exit 2
    }
done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/basalt-bochs.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
tools/make-iso.sh "target/image/${RUST_BUILD_MODE:-debug}/basalt" \
    target/userspace/initramfs.cpio "$tmp/iso" "${CMDLINE:-poweroff}"
cat >"$tmp/bochsrc" <<EOF
config_interface: textconfig
display_library: x
megs: 256
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$tmp/iso, status=inserted
boot: cdrom
log: $tmp/log
cpu: model=corei7_haswell_4770, count=${SMP:-4}, ips=50000000, reset_on_triple_fault=0
com1: enabled=1, mode=file, dev=$tmp/console
clock: sync=none
panic: action=fatal
EOF
echo continue >"$tmp/commands" # Debian's Bochs begins in its debugger
timeout "$SECONDS_AT_MOST" xvfb-run -a bochs-bin -q -f "$tmp/bochsrc" -rc "$tmp/commands" \
    </dev/null >"$tmp/out" 2>&1 || true
cat "$tmp/console" 2>/dev/null || tail "$tmp/out"
grep -q 'soft power off' "$tmp/log"
