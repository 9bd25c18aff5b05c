#!/bin/bash
# check-on-linux.sh OUT [PATTERN]: runs the programs of programs.txt on this Linux and
# compares what they do with what stands there. PATTERN: only commands that hold it.
#
# What a test expects of the kernel is what Linux itself does: a line that fails here is
# wrong in programs.txt. `make check` builds all that is needed first.

set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: check-on-linux.sh OUT [PATTERN]}
pattern=${2:-}
launch=$out/work/launch
limit=20 # seconds for one program

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

passed=0
failed=0
declare -A mentioned

report() { # report CONDITION COMMAND MESSAGE
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
        echo "ok $2"
    else
        failed=$((failed + 1))
        echo "FAIL $2: $3"
        [ -s output ] && sed 's/^/    /' output | head -n 200
    fi
}

# Runs one line of programs.txt, given as its fields.
run() {
    local command=$1 expect=$2 linux='' stdin='' copies=1 interrupt=0 tree=root
    local -a texts=() words
    shift 2
    local field
    for field; do
        case $field in
            'out '*) texts+=("${field#out }") ;;
            'stdin '*) stdin=${field#stdin } ;;
            'copies '*) copies=${field#copies } ;;
            'interrupt '*) interrupt=${field#interrupt } ;;
            'linux '*) linux=${field#linux } ;;
            extra) tree=extra ;;
            *) report 1 "$command" "unknown key: $field"; return ;;
        esac
    done
    read -ra words <<< "$command"
    # Without the static glibc its program is not there.
    if [ $tree = extra ] && [ ! -e "$out/extra${words[0]}" ]; then
        echo "not built: $command"
        return
    fi

    : > status
    printf '%b' "$stdin" > input
    "$launch" status "$limit" "$copies" "$interrupt" "$out/$tree${words[0]}" "${words[@]}" \
        < input > output 2>&1
    # Copies may end differently, each as one of what is expected.
    local -a ends
    mapfile -t ends < <(sort -u status)
    local ended=${ends[0]-nothing} wrong=0 end
    for end in "${ends[@]:1}"; do
        ended+=", $end"
    done
    for end in "${ends[@]-nothing}"; do
        [[ " or ${linux:-$expect} or " == *" or $end or "* ]] || wrong=1
    done
    local message="ended with '$ended', not '${linux:-$expect}'"
    local text
    for text in "${texts[@]}"; do
        if [ "$(grep -cF -e "$text" output)" -lt "$copies" ]; then
            wrong=1
            message+="; does not print '$text'"
        fi
    done
    report $wrong "$command" "$message"
}

while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    fields=()
    while [[ $line == *' | '* ]]; do
        fields+=("${line%%' | '*}")
        line=${line#*' | '}
    done
    fields+=("$line")
    mentioned[${fields[0]}]=1
    mentioned[${fields[0]%% *}]=1
    if [[ ${fields[0]} == *"$pattern"* ]]; then
        run "${fields[@]}"
    fi
done < "$here/programs.txt"

# Nothing may be forgotten: each program, each kind, each broken file has its line.
: > output
if [ -z "$pattern" ]; then
    forgotten=''
    for file in "$out"/root/bin/* "$out"/root/broken/*; do
        path=${file#"$out/root"}
        [ "${mentioned[$path]:-}" ] || forgotten+=" $path"
    done
    for kind in $("$out/root/bin/hostile" LIST); do
        [ "${mentioned["/bin/hostile $kind"]:-}" ] || forgotten+=" $kind"
    done
    for part in $("$out/root/bin/memory" LIST); do
        [ "${mentioned["/bin/memory $part"]:-}" ] || forgotten+=" $part"
    done
    [ -z "$forgotten" ]
    report $? 'programs.txt names everything' "no line for$forgotten"
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
