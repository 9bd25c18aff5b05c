# The variables that a user sets, for `make` and for tools/qemu.sh: gives each its default
# and refuses what it cannot be, with status 2. To be sourced; `make help` explains them.
#
# A script that sources this file may define `cleanup`; a refusal calls it by its trap.

refuse() {
    echo "$1" >&2
    exit 2
}

# choice NAME DEFAULT GOOD…
choice() {
    local name=$1 value=${!1:-$2} good
    shift 2
    for good; do
        if [ "$value" = "$good" ]; then
            printf -v "$name" %s "$value"
            return
        fi
    done
    refuse "$name=$value is not known. Good values: $*"
}

# pattern NAME DEFAULT REGULAR-EXPRESSION GOOD-VALUES-IN-WORDS
pattern() {
    local value=${!1:-$2}
    [[ $value =~ ^($3)$ ]] || refuse "$1=$value is not known. Good values: $4"
    printf -v "$1" %s "$value"
}

# words ARRAY NAME: splits the variable's value as a shell would, quotes honoured and
# nothing expanded.
words() {
    local -n array=$1
    local text=${!2:-} split
    if ! split=$(printf %s "$text" | xargs -r printf '%q ' 2>/dev/null); then
        refuse "$2=$text has a quote that is not closed"
    fi
    eval "array=($split)" # safe: each word comes quoted from printf %q
}

choice RUST_BUILD_MODE debug debug release
choice UEFI on on off
choice GRAPHICS off on off
choice ACCEL tcg tcg kvm
choice RUN_QEMU_GDB no yes no
pattern SMP 4 '[1-9][0-9]{0,2}' 'a number of CPUs, from 1 on'
pattern MEM 2G '[1-9][0-9]*[MG]' 'a size such as 64M or 2G'
pattern GDB_PORT 1234 '[1-9][0-9]{0,4}' 'a TCP port'
[ "$GDB_PORT" -le 65535 ] || refuse "GDB_PORT=$GDB_PORT is not known. Good values: a TCP port"
[ "$GRAPHICS" = off ] || [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] ||
    refuse "GRAPHICS=on needs a display: neither DISPLAY nor WAYLAND_DISPLAY is set"
case ${CMDLINE:-} in
*[[:cntrl:]]*) refuse "CMDLINE must be one line, without control characters" ;;
*[![:ascii:]]*)
    ! command -v iconv >/dev/null || iconv -f UTF-8 -t UTF-8 <<<"$CMDLINE" >/dev/null 2>&1 ||
        refuse "CMDLINE must be UTF-8"
    ;;
esac

[ -z "${INITRAMFS:-}" ] || [ -f "$INITRAMFS" ] || refuse "INITRAMFS=$INITRAMFS: no such file"
[ -z "${EXTRA:-}" ] || [ -d "$EXTRA" ] || refuse "EXTRA=$EXTRA: no such folder"
[[ ! ${EXTRA:-} =~ [^[:alnum:]/._+@,:=-] ]] ||
    refuse "EXTRA=$EXTRA: the build takes no path with blanks or special characters"
[ -z "${EXTRA:-}" ] || [ -z "${INITRAMFS:-}" ] ||
    refuse "EXTRA is laid over Basalt's own initramfs: not with INITRAMFS"
words disks DISK
for disk in "${disks[@]}"; do
    [ -f "$disk" ] || refuse "DISK: no such file: $disk"
done
words qemu_extra QEMU_EXTRA
