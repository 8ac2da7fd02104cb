#!/usr/bin/env bash
# Which edges of our own readers the corpora reach: `fuzz/coverage.sh [TARGET…]`, after fuzz/run.sh.
#
# For each source file: edges reached, all, functions never entered. By libFuzzer's own counters, since the
# llvm-profdata that reads what this compiler writes is not everywhere. What a target does not link (generic
# code nobody calls) is not counted; a function that several targets enter is counted in each.
set -euo pipefail
cd "$(dirname "$0")"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(pickle zip legacy safetensors config vocabulary spans json forward)
bin=target/address/$(rustc -vV | sed -n 's/^host: //p')/release
for target in "${targets[@]}"; do
    length=2048
    [ "$target" != forward ] || length=20000
    "$bin/$target" -runs=0 -max_len=$length -print_coverage=1 "target/corpus/$target" "target/seeds/corpus/$target" 2>&1 |
        tr -d '\r' | awk -v target="$target" '
        # COVERED_FUNC: hits: 5 edges: 6/8 name file:line      UNCOVERED_FUNC: hits: 0 edges: 0/3 name file:line
        /COVERED_FUNC:/ {
            file = $NF; sub(/:[0-9]+(:[0-9]+)?$/, "", file)
            if (file !~ /(runtime|model|cli)\/src\//) next
            sub(/.*\/(runtime|model|cli)\/src\//, "&\001", file)
            n = split(file, half, "\001"); owner = half[1]
            sub(/\/src\/$/, "", owner); sub(/.*\//, "", owner)
            file = owner "/src/" half[2]
            for (i = 1; i < NF; i++) if ($i == "edges:") split($(i + 1), edges, "/")
            reached[file] += edges[1]; all[file] += edges[2]
            if (/UNCOVERED_FUNC/) missed[file]++
        }
        END {
            for (file in all) {
                printf "%s\t%s\t%d of %d edges\t%d %%\t%d functions never entered\n", target, file, reached[file], all[file], 100 * reached[file] / all[file], missed[file] | "sort"
            }
        }'
done
