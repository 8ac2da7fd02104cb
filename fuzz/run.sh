#!/usr/bin/env bash
# Fuzzes every target, or those named, for so many seconds or (10000x) so many executions each:
#
#   fuzz/run.sh 60 [TARGET…]        Needs cargo-fuzz (`cargo install cargo-fuzz`) and a C++ compiler.
#
# With AddressSanitizer, and no allocation of more than 64 MiB. SANITIZER=none is several times as fast, and
# FLAGS=--no-trace-compares twice again, once the corpus is grown. BUILD=no takes what was built last.
# What was found lies in fuzz/target/artifacts, what was learned in fuzz/target/corpus (from where the
# next run goes on), and what was done in fuzz/target/tally.tsv.
set -euo pipefail
cd "$(dirname "$0")"
limit=${1:-60}
shift || true
targets=("$@")
sanitizer=${SANITIZER:-address}
[ ${#targets[@]} -gt 0 ] || targets=(pickle zip legacy safetensors config vocabulary spans json forward)
case $limit in
*x) stop="-runs=${limit%x}" ;;
*) stop="-max_total_time=$limit" ;;
esac

# cargo-fuzz asks for switches of a nightly toolchain, which a stable one obeys, too.
export RUSTC_BOOTSTRAP=1
build=target/$sanitizer
[ "${BUILD:-yes}" = no ] || {
    cargo run --quiet --example seeds -- target/seeds
    (cd .. && cargo fuzz build --sanitizer "$sanitizer" --target-dir "fuzz/$build" ${FLAGS:-})
}
bin=$build/$(rustc -vV | sed -n 's/^host: //p')/release

failed=0
for target in "${targets[@]}"; do
    mkdir -p "target/corpus/$target" "target/artifacts/$target"
    # The seeds of the forward pass are whole models, of 8 to 19 KB.
    length=2048
    [ "$target" != forward ] || length=20000
    log=target/$target.$sanitizer.log
    "$bin/$target" "$stop" -dict="target/seeds/$target.dict" -max_len=$length -timeout=25 \
        -rss_limit_mb=1024 -malloc_limit_mb=64 -print_final_stats=1 \
        -artifact_prefix="target/artifacts/$target/" "target/corpus/$target" \
        "target/seeds/corpus/$target" >"$log" 2>&1 || {
        failed=1
        echo "$target: FOUND SOMETHING, see fuzz/$log"
    }
    awk -v target="$target" -v sanitizer="$sanitizer" '
        /inline 8-bit counters/ && !all { sub(/.*\(/, ""); all = $1 }
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") covered = $(i + 1) }
        /number_of_executed_units/ { runs = $2 }
        END { printf "%s\t%s\t%d executions\t%d of %d edges\n", target, sanitizer, runs, covered, all }
    ' "$log" | tee -a target/tally.tsv
done
exit $failed
