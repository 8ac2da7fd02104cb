# Conveniences: each is one line over cargo, which is all that README and CI need.

# What CI runs.
check:
    .ci/run

# All tests; those of the kernels walk through every instruction set of this CPU.
test:
    cargo test

# The tests that take many minutes (docs/reliability.md), each said with what it tried.
torture:
    cargo test --release --locked -p zhengzi-tests -- --ignored --nocapture

# Every instruction set of this CPU, forced: kernels, and a correction end to end.
isa:
    tests/isa.sh

# All tests on three Arm CPUs, emulated (tests/arm.sh says what it needs), e.g. `just arm neoverse-n1`.
arm *CPUS:
    tests/arm.sh {{CPUS}}

# Scores both policies and every mode on test sets: the figures of docs/correction.md, e.g. `just evaluate ../shared/eval/*.tsv`.
evaluate *FILES:
    cargo run --release -p zhengzi -- evaluate --policy compat {{FILES}}
    cargo run --release -p zhengzi -- evaluate --mode careful {{FILES}}
    cargo run --release -p zhengzi -- evaluate --funnel {{FILES}}
    cargo run --release -p zhengzi -- evaluate --mode eager {{FILES}}
    cargo run --release -p zhengzi -- evaluate --document {{FILES}}

# Load time, latency, throughput, peak memory.
bench:
    cargo bench -p zhengzi-benches --bench electra

# Races PyTorch, ONNX Runtime and OpenVINO and writes the tables of docs/performance.md (the script says what it needs; PYTHON: another python3).
race *ARGUMENTS:
    cargo build --release -p zhengzi
    ${PYTHON:-python3} benches/race.py --write docs/performance.md {{ARGUMENTS}}

# The golden files, most of them from PyTorch and Hugging Face transformers (each script says what
# it needs).
golden PYTHON="python3":
    {{PYTHON}} tests/golden/checkpoint/generate.py
    {{PYTHON}} tests/golden/electra/generate.py
    {{PYTHON}} tests/golden/electra/containers.py
    {{PYTHON}} tests/golden/compat/replay.py
    {{PYTHON}} tests/golden/evaluation/definitions.py
    {{PYTHON}} tests/golden/training/generate.py

# The PTX of all CUDA kernels, and the registers of each (the script says what it needs; no GPU).
ptx PYTHON="python3":
    {{PYTHON}} kernels/ptx.py

# Tests and times of the CUDA kernels for a machine with a driver and no Rust, into target/gpu.
gpu-pack:
    tests/gpu-pack.sh

# Fuzzes each target for so many seconds, with AddressSanitizer (fuzz/README.md), e.g. `just fuzz 60 zip`.
fuzz SECONDS="60" *TARGETS:
    fuzz/run.sh {{SECONDS}} {{TARGETS}}

# The tests with AddressSanitizer; the threads with ThreadSanitizer; the scalar path under valgrind (tests/sanitize.sh).
asan:
    tests/sanitize.sh address
tsan:
    tests/sanitize.sh thread
valgrind:
    tests/sanitize.sh valgrind

# Licences, bans and sources of all dependencies (needs cargo-deny).
deny:
    cargo fetch --locked
    cargo deny --offline check licenses bans sources

# Tarballs with binary, manual and completions, and their SHA256SUMS, into target/packages.
release *TARGETS:
    packaging/release.sh {{TARGETS}}

# A Debian package into target/debian (needs cargo-deb).
deb:
    cargo build --release --locked -p zhengzi
    packaging/pages.sh target/release/zhengzi target/release/packaging
    cargo deb -p zhengzi --locked --no-build

# A container image that holds nothing but zhengzi (`just container docker` has docker build it).
container ENGINE="podman":
    {{ENGINE}} build -t zhengzi -f packaging/Containerfile .

# The study ladder: one matrix product from three loops to AMX, verified and timed (docs/gemm-ladder.md).
ladder *ARGUMENTS:
    cargo run --release -p zhengzi-kernels --example gemm_ladder -- {{ARGUMENTS}}

# The inner loops of a rung as machine code, e.g. `just asm rung6_avx512::multiply` (needs binutils).
asm KERNEL:
    cargo build --quiet --release -p zhengzi-kernels --example gemm_ladder
    objdump -d -C -M intel --no-show-raw-insn target/release/examples/gemm_ladder | awk -v kernel='{{KERNEL}}' -f kernels/examples/gemm_ladder/loops.awk
