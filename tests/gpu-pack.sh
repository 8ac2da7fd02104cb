#!/usr/bin/env bash
# Packs what proves and times the CUDA kernels, for a machine with an NVIDIA driver and no Rust, into target/gpu:
# there `sh run.sh` compares every kernel with the CPU's and prints a table of times. Needs binutils (strip).
set -euo pipefail
cd "$(dirname "$0")/.."
pack=target/gpu
mkdir -p "$pack"

tests=$(cargo test --locked -p zhengzi-tests --test zhengzi --no-run 2>&1 | sed -n 's/.*Executable .* (\(.*\))$/\1/p')
cargo build --locked --release -p zhengzi-runtime --features cuda --example cuda_bench
strip -o "$pack/tests" "$tests"
strip -o "$pack/cuda_bench" target/release/examples/cuda_bench

cat > "$pack/run.sh" <<'RUN'
#!/bin/sh
# sh run.sh [number of the GPU]
cd "$(dirname "$0")" || exit
gpu=${1:-0}
# Sources are not here, and sins are for the emulator.
ZHENGZI_TEST_DEVICE=$gpu ./tests cuda:: --skip cuda::sources --skip cuda::sins || exit
./cuda_bench "$gpu"
RUN
du -sh "$pack"
