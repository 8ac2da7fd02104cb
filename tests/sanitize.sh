#!/usr/bin/env bash
# The tests under tools that watch every access to memory:
#
#   tests/sanitize.sh address     AddressSanitizer: unit tests of kernels and runtime, and of the large test
#                                 binary all that runs kernels or reads files
#   tests/sanitize.sh thread      ThreadSanitizer: the crew and all that is shared by it
#   tests/sanitize.sh valgrind    memcheck: unit tests of kernels (scalar and AVX2: it knows no AVX-512), and a
#                                 correction on either path
#
# On x86-64 Linux. The sanitizers are switches of a nightly toolchain, which a stable one obeys, too.
set -euo pipefail
cd "$(dirname "$0")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
modules=(kernels:: checkpoint:: electra:: tokenizer:: similarity::)

sanitized() {
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer" \
        CARGO_TARGET_DIR="target/$1" cargo "$2" --target "$host" "${@:3}"
}

case ${1:-} in
address)
    # What a test leaks at its end (a `leak`ed file, a name) is no finding.
    export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1:${ASAN_OPTIONS:-}
    sanitized address test -p zhengzi-kernels -p zhengzi-runtime --lib
    sanitized address test -p zhengzi-tests --test zhengzi -- "${modules[@]}"
    ;;
thread)
    # Not the tests: the standard library is not built with it, and what synchronises in there (the harness's
    # channels, a mutex that is waited for) looks like a race. The crew's atomics are ours.
    export TSAN_OPTIONS=halt_on_error=1:${TSAN_OPTIONS:-}
    sanitized thread run -p zhengzi-kernels --example crew_watched
    ;;
valgrind)
    binary() { sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1; }
    kernels=$(cargo test -p zhengzi-kernels --lib --no-run --message-format=json 2>/dev/null | binary)
    program=$(cargo build -p zhengzi --message-format=json 2>/dev/null | binary)
    check() { valgrind --quiet --error-exitcode=9 --leak-check=no "$@"; }
    # What is long without valgrind would take hours here: every float, every height of a band.
    check "$kernels" --test-threads=1 --skip a_hundred_thousand --skip ulp --skip bands_of_every_height
    for isa in scalar avx2; do
        check "$program" correct --isa "$isa" --threads 2 --text 少先队员因该为老人让坐
    done
    ;;
*)
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
