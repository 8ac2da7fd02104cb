#!/usr/bin/env bash
# Packs a release: target/packages/zhengzi-VERSION-TARGET.tar.gz for each TARGET, and SHA256SUMS.
#
#   packaging/release.sh [TARGET…]      x86_64-unknown-linux-gnu and -static, aarch64-unknown-linux-gnu
#
# TARGET is one of rustc's; with -static added glibc is linked into the binary (+crt-static). Such a
# binary needs nothing of the system it runs on: for containers from scratch, for systems whose
# glibc is older than the builder's, for rescue disks. The others need the glibc of the builder or
# a newer one: build on the oldest system that is to run them.
#
# aarch64 on another machine: rustup target add aarch64-unknown-linux-gnu, and a linker, on Debian
# apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross. To run the result there:
# qemu-aarch64 -L /usr/aarch64-linux-gnu (Debian's qemu-user). Tried so: the three packed by default.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    set -- x86_64-unknown-linux-gnu x86_64-unknown-linux-gnu-static aarch64-unknown-linux-gnu
fi
version=$(cargo pkgid --locked -p zhengzi | sed 's/.*[#@]//')
host=$(rustc --print host-tuple)
out=target/packages
mkdir -p "$out"

# What makes two builds of a commit the same, wherever they are made.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
nowhere="--remap-path-prefix=$PWD=zhengzi --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
export CARGO_PROFILE_RELEASE_STRIP=symbols
: "${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:=$(command -v aarch64-linux-gnu-gcc || echo cc)}"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER

# build TARGET: the path of the binary is left in $binary.
build() {
    local triple=${1%-static} flags=$nowhere
    if [ "$1" != "$triple" ]; then flags+=" -C target-feature=+crt-static"; fi
    # --target keeps the flags from proc macros, which cannot be static.
    RUSTFLAGS="${RUSTFLAGS-} $flags" \
        cargo build --release --locked -p zhengzi --target "$triple" --target-dir "target/release-$1"
    binary=target/release-$1/$triple/release/zhengzi
}

# The pages are the same for all; only the host's binary can write them.
build "$host"
packaging/pages.sh "$binary" target/packaging

for target in "$@"; do
    build "$target"
    name=zhengzi-$version-$target
    rm -rf "${out:?}/$name"
    mkdir -p "$out/$name"
    cp "$binary" README.md README.zh.md CHANGELOG.md LICENSE "$out/$name"
    cp model/data/NOTICE.md "$out/$name" # of the table inside the binary
    cp -r target/packaging/man target/packaging/completions "$out/$name"
    tar --create --directory "$out" --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX "$name" |
        gzip --no-name --best > "$out/$name.tar.gz"
    rm -r "${out:?}/$name"
done
cd "$out"
sha256sum ./zhengzi-*.tar.gz | sed 's| \./| |' > SHA256SUMS
cat SHA256SUMS
