#!/bin/bash
# For `make run`: makes an ISO and runs it, both in a directory of its own.
#
#   tools/run.sh target/run/PID KERNEL INITRAMFS [QEMU ARGUMENT …]
#
# PID is make's. The variables are in the environment, as tools/qemu.sh takes them. The
# status of the run is left in target/run/PID/status, and the script ends with 0: make
# would say that there was an error.
set -eu

directory=$1 kernel=$2 initramfs=$3
shift 3
tools=$(dirname "$0")

# Those of makes that were killed.
for old in "$(dirname "$directory")"/*; do
    [ -d "/proc/${old##*/}" ] || rm -rf "$old"
done
mkdir -p "$directory"
"$tools/make-iso.sh" "$kernel" "$initramfs" "$directory/basalt.iso" "${CMDLINE:-}"

case " $* " in
*" -S "*)
    echo "The machine waits for GDB. In another terminal: make gdb$(
        [ "${RUST_BUILD_MODE:-debug}" = debug ] || printf " RUST_BUILD_MODE=%s" "$RUST_BUILD_MODE"
        [ "${GDB_PORT:-1234}" = 1234 ] || printf " GDB_PORT=%s" "$GDB_PORT"
    )"
    echo "There, for example: hbreak kernel_entry, then continue. ^A x here ends QEMU."
    ;;
esac
export ISO=$directory/basalt.iso STATUS_FILE=$directory/status
# The run ends with make, however that ends.
with_make=()
! command -v setpriv >/dev/null || with_make=(setpriv --pdeathsig TERM --)
exec "${with_make[@]}" "$tools/qemu.sh" "$@"
