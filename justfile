# Conveniences: each is one line over cargo, which is all that README and CI need.

# What CI runs.
check:
    .ci/run

# The tests under each instruction set of this CPU.
test:
    cargo test

# Scores both policies on test sets, e.g. `just evaluate ../shared/eval/*.tsv`.
evaluate *FILES:
    cargo run --release -p zhengzi-model --example evaluate -- {{FILES}}

# Load time, latency, throughput, peak memory.
bench:
    cargo bench -p zhengzi-benches --bench electra

# The golden files, from PyTorch and Hugging Face transformers (see tests/golden/README.md).
golden PYTHON="python3":
    {{PYTHON}} tests/golden/checkpoint/generate.py
    {{PYTHON}} tests/golden/electra/generate.py

# Licences, bans and sources of all dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources
