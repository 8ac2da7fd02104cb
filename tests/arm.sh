#!/usr/bin/env bash
# The whole suite on three Arm CPUs, emulated: without dot products of bytes, with them, and with products
# of byte matrices. Emulation shows what is right, never what is fast.
#
#   tests/arm.sh [CPU…] [-- ARGUMENTS]      cortex-a53, neoverse-n1 and max; arguments go to cargo test
#
# For instance `tests/arm.sh neoverse-n1 -- -p zhengzi-kernels`. Needs, on Debian,
# apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
# and rustup target add aarch64-unknown-linux-gnu.
set -euo pipefail
cd "$(dirname "$0")/.."

# The levels that each CPU must reach, all that `inspect` lists and no others.
declare -A expected=(
    [cortex-a53]="scalar, neon"
    [neoverse-n1]="scalar, neon, neon-dot"
    [max]="scalar, neon, neon-dot, neon-i8mm"
)
# What emulation cannot show.
declare -A unfit=(
    [evaluation_sentences_are_corrected_as_the_replay_corrects_them]="400 sentences take half an hour; 100 others are corrected"
    [an_interrupt_cleans_up_and_says_130]="its first signal comes before the emulator has begun the program"
    [an_interrupt_that_is_to_be_ignored_is_ignored]="the emulator catches every signal, so that /proc tells of none ignored"
)

cpus=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    cpus+=("$1")
    shift
done
[ $# -eq 0 ] || shift
[ ${#cpus[@]} -gt 0 ] || cpus=(cortex-a53 neoverse-n1 max)

triple=aarch64-unknown-linux-gnu
export CARGO_TARGET_DIR=target/aarch64
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# Tests that start zhengzi put the same words before it.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"

skips=()
for name in "${!unfit[@]}"; do
    echo "skipped: $name: ${unfit[$name]}"
    skips+=(--skip "$name")
done

cargo build --locked --target "$triple" -p zhengzi
reached=()
for cpu in "${cpus[@]}"; do
    export QEMU_CPU=$cpu
    levels=$($CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER "$CARGO_TARGET_DIR/$triple/debug/zhengzi" \
        inspect tests/golden/checkpoint/plain.safetensors | sed -n 's/^isa .* of //p')
    if [ "$levels" != "${expected[$cpu]-$levels}" ]; then
        echo "$cpu reached $levels, not ${expected[$cpu]}" >&2
        exit 1
    fi
    printf '\n== %s: %s\n' "$cpu" "$levels"
    cargo test --locked --no-fail-fast --target "$triple" "$@" -- "${skips[@]}"
    reached+=("$cpu: $levels")
done
printf '\nreached and passed\n'
printf '  %s\n' "${reached[@]}"
