#!/usr/bin/env bash
# Writes the manual pages and the completions of a binary into a folder: pages.sh BINARY FOLDER
set -euo pipefail
binary=$1 folder=$2
export LC_ALL=C.UTF-8 # English, whoever packs it

rm -rf "$folder"
mkdir -p "$folder/man" "$folder/completions"
"$binary" man > "$folder/man/zhengzi.1"
for command in correct detect fill evaluate convert inspect verify bench completions man; do
    "$binary" man "$command" > "$folder/man/zhengzi-$command.1"
done
# The names under which each shell looks for them.
"$binary" completions bash > "$folder/completions/zhengzi"
"$binary" completions zsh > "$folder/completions/_zhengzi"
"$binary" completions fish > "$folder/completions/zhengzi.fish"
