#!/bin/bash
# Runs cargo with the toolchain that this machine has.
#
#   tools/cargo.sh kernel COMMAND [ARGUMENT …]    for the target x86_64-unknown-none
#   tools/cargo.sh host COMMAND [ARGUMENT …]      for this machine
#   tools/cargo.sh which                          says which toolchain that is; status 1: none
#
# Stable Rust in either way; the first that is found is taken, for everything:
#   precompiled  a rustc whose sysroot has the target, such as rustup's after
#                `rustup target add x86_64-unknown-none`
#   build-std    a rustc with the standard library's source, such as Debian's rustc-web
#                with rust-web-src: core and alloc are built with the kernel. That is an
#                unstable flag of cargo: RUSTC_BOOTSTRAP=1 serves it, and nothing else.
set -eu

target=x86_64-unknown-none

# has_target RUSTC, has_source RUSTC: whether its sysroot has the target, or the source.
has_target() {
    local directory
    directory=$("$1" --print target-libdir --target $target 2>/dev/null) || return 1
    compgen -G "$directory/libcore-*.rlib" >/dev/null
}
has_source() {
    local sysroot
    sysroot=$("$1" --print sysroot 2>/dev/null) || return 1
    [ -f "$sysroot/lib/rustlib/src/rust/library/alloc/Cargo.toml" ] &&
        command -v ld.lld >/dev/null
}

# Sets `kind` and `bin`, the directory with cargo and rustc.
find_toolchain() {
    local way rustc
    for way in has_target has_source; do
        for rustc in "$(command -v rustc)" /usr/bin/rustc; do
            if [ -x "$rustc" ] && [ -x "${rustc%/*}/cargo" ] && $way "$rustc"; then
                bin=${rustc%/*}
                case $way in
                has_target) kind=precompiled ;;
                has_source) kind=build-std ;;
                esac
                return
            fi
        done
    done
    return 1
}

case ${1-} in
kernel | host) [ $# -ge 2 ] || set -- ;;
which) [ $# -eq 1 ] || set -- ;;
*) set -- ;;
esac
if [ $# -eq 0 ]; then
    echo "usage: tools/cargo.sh kernel|host COMMAND [ARGUMENT …], or: tools/cargo.sh which" >&2
    exit 2
fi
if ! find_toolchain; then
    [ "$1" = which ] || echo "No Rust toolchain for $target is here: make setup" >&2
    exit 1
fi
if [ "$1" = which ]; then
    echo "$kind $bin"
    exit
fi

# What is in the environment for other projects does not reach this one; neither do
# make's flags and its jobs.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET CARGO_BUILD_RUSTFLAGS \
    MAKEFLAGS MFLAGS MAKELEVEL
export PATH=$bin:$PATH RUSTC=$bin/rustc RUSTDOC=$bin/rustdoc
CARGO_TARGET_DIR=$(cd "$(dirname "$0")/.." && pwd)/target
export CARGO_TARGET_DIR

flags=()
if [ "$1" = kernel ]; then
    flags=(--target $target)
    if [ "$kind" = build-std ]; then
        export RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER=ld.lld
        flags+=(-Zbuild-std=core,alloc,compiler_builtins)
    fi
fi
command=$2
shift 2
exec "$bin/cargo" "$command" "${flags[@]}" "$@"
