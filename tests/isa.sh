#!/usr/bin/env bash
# Every level of this CPU, forced: the kernel tests, which walk through all of them, and a correction
# on each. And the kernels on an x86-64 of 2008, which has no level but scalar, where qemu is there to
# emulate one (Debian: qemu-user).
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "$*" >&2
    exit 1
}

# levels WORD…: what `inspect` of the zhengzi that these words start lists.
levels() {
    "$@" inspect tests/golden/checkpoint/plain.safetensors | sed -n 's/^isa .* of //p'
}

# correct LEVEL WORD…: one sentence on that level.
correct() {
    local level=$1 output
    shift
    output=$("$@" correct --isa "$level" -t 今天新情很好) || fail "$level: no correction"
    [ "$output" = 今天心情很好 ] || fail "$level: $output"
    echo "$level: $output"
}

# The levels that the kernel of the system says this CPU has: zhengzi must not overlook one.
told() {
    local flags
    flags=" $(sed -n 's/^\(flags\|Features\)[^:]*: //p' /proc/cpuinfo | head -n 1) "
    has() {
        for flag in "$@"; do [[ $flags == *" $flag "* ]] || return 1; done
    }
    printf scalar
    if has asimd; then printf ', neon'; fi
    if has asimddp; then printf ', neon-dot'; fi
    if has asimddp i8mm; then printf ', neon-i8mm'; fi
    if has avx2 fma; then printf ', avx2'; fi
    if has avx2 fma avx_vnni; then printf ', avx-vnni'; fi
    if has avx2 fma avx512f avx512bw avx512dq avx512vl; then
        printf ', avx512'
        if has avx512_vnni; then printf ', avx512-vnni'; fi
        if has avx512_vnni amx_tile amx_int8 amx_bf16; then printf ', amx'; fi
    fi
}

cargo build --locked -p zhengzi
zhengzi=${CARGO_TARGET_DIR:-target}/debug/zhengzi
listed=$(levels "$zhengzi")
if [ -r /proc/cpuinfo ]; then
    [ "$listed" = "$(told)" ] || fail "this CPU has $(told), but zhengzi lists $listed"
else
    echo "not compared: no /proc/cpuinfo to say what this CPU has"
fi

tests() {
    cargo test --locked -p zhengzi-kernels
    cargo test --locked -p zhengzi-tests --test zhengzi -- kernels
}
printf '\n== %s\n' "$listed"
tests
for level in ${listed//,/}; do
    correct "$level" "$zhengzi"
done

if [ "$(rustc --print host-tuple)" = x86_64-unknown-linux-gnu ] && command -v qemu-x86_64 >/dev/null; then
    nehalem="qemu-x86_64 -cpu Nehalem"
    old=$(levels $nehalem "$zhengzi")
    [ "$old" = scalar ] || fail "a Nehalem has no vectors of ours, but zhengzi lists $old"
    printf '\n== %s on a Nehalem\n' "$old"
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$nehalem tests
    correct scalar $nehalem "$zhengzi"
else
    echo "skipped: the kernels on a CPU without AVX2: no qemu-x86_64"
fi
printf '\nevery level passed: %s\n' "$listed"
