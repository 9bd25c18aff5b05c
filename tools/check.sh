#!/bin/bash
# Everything that is checked without being run: formatting, clippy, manifests, scripts.
# All of it is tried; the status is 1 if something is wrong.
set -u
cd "$(dirname "$0")/.."

failed=0
step() {
    local name=$1
    shift
    echo "check: $name"
    "$@" || failed=1
}

# packages DIRECTORY…: the names of the packages directly in them.
packages() {
    local manifest
    for manifest in "${@/%//Cargo.toml}"; do
        sed -n '/^\[package\]/,/^name/s/^name = "\(.*\)"/\1/p' "$manifest"
    done
}
mapfile -t manifests < <(find . -name Cargo.toml -not -path './target/*' -not -path ./Cargo.toml)

# What is built for this machine: floor 0, the tools, the tests, user programs in Rust.
host=() not_kernel=()
for package in $(packages kernel/lib/*); do
    host+=(--package "$package")
done
for package in $(packages $(dirname tools/*/Cargo.toml tests/Cargo.toml userspace/*/Cargo.toml)); do
    host+=(--package "$package")
    not_kernel+=(--exclude "$package")
done

licences() {
    local manifest status=0
    grep -q '^license = "MIT OR Apache-2.0"$' Cargo.toml || { echo "Cargo.toml: no licence"; status=1; }
    for manifest in "${manifests[@]}"; do
        grep -qE '^license(.workspace = true| = "MIT OR Apache-2.0")$' "$manifest" ||
            { echo "$manifest: no licence"; status=1; }
    done
    for manifest in LICENSE-MIT LICENSE-APACHE; do
        [ -s $manifest ] || { echo "$manifest is missing"; status=1; }
    done
    return $status
}

scripts() {
    local script status=0
    while read -r script; do
        bash -n "$script" || status=1
        [ -x "$script" ] || [[ $script == */variables.sh ]] ||
            { echo "$script cannot be executed"; status=1; }
    done < <(find . -name '*.sh' -not -path './target/*'; echo .ci/run)
    return $status
}

step "formatting" tools/cargo.sh host fmt --all --check
step "clippy, kernel" tools/cargo.sh kernel clippy --quiet --workspace "${not_kernel[@]}" -- -D warnings
step "clippy, kernel in release mode" tools/cargo.sh kernel clippy --quiet --release --workspace \
    "${not_kernel[@]}" -- -D warnings
step "clippy, host and tests" tools/cargo.sh host clippy --quiet "${host[@]}" --all-targets -- -D warnings
step "licences" licences
step "scripts" scripts
exit $failed
