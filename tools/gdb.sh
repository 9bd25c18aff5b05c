#!/bin/bash
# Attaches GDB to the machine that `make run-debug` started.
#
#   tools/gdb.sh MODE [GDB ARGUMENT …]
set -eu

mode=$1
shift
cd "$(dirname "$0")/.."
kernel=target/x86_64-unknown-none/$mode/basalt
port=${GDB_PORT:-1234}
if [ ! -f "$kernel" ]; then
    echo "There is no $kernel: first make run-debug RUST_BUILD_MODE=$mode" >&2
    exit 1
fi
# A connection that is opened and closed says nothing to QEMU.
if ! (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null; then
    echo "Nothing waits for GDB on port $port: first make run-debug, in another terminal" >&2
    exit 1
fi
# basalt.gdb connects: some of its settings cannot be changed afterwards.
exec gdb -q "$kernel" -ex 'set debuginfod enabled off' -ex "set \$port = $port" \
    -x tools/gdb/basalt.gdb "$@"
