#!/usr/bin/env bash
# What the hooks of .pre-commit-hooks.yaml run: zhengzi as this checkout has it, built at the
# first call. (pre-commit's own `language: rust` installs only a package at the root of a
# repository, and ours is a workspace.)
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
binary=$checkout/target/pre-commit/bin/zhengzi

if [ ! -x "$binary" ]; then
    echo "building zhengzi: a few minutes, once" >&2
    # Its messages are of interest only if it fails.
    log=$(cargo install --locked --path "$checkout/cli" --root "$checkout/target/pre-commit" \
        --target-dir "$checkout/target/pre-commit/build" 2>&1) || { echo "$log" >&2; exit 2; }
    rm -rf "$checkout/target/pre-commit/build"
fi
exec "$binary" "$@"
