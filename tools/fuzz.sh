#!/usr/bin/env bash
# Runs a fuzz target with libFuzzer and AddressSanitizer; without arguments lists the targets.
#
#     tools/fuzz.sh [TARGET [SECONDS]]
#
# What it learns stays in build/fuzz/corpus/TARGET, what it finds in build/fuzz/found/. To see a finding
# again: build/fuzz/tests/fuzz/fuzz_TARGET FILE. A finding that was mended becomes a file in
# tests/fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

list() {
    for file in tests/fuzz/fuzz_*.c; do
        name=$(basename "$file" .c)
        printf '  %-9s %s\n' "${name#fuzz_}" "$(sed -n '1s|^/\* *||; 1s|[.:].*|| p' "$file")"
    done
}

if [ $# -eq 0 ]; then
    echo 'usage: ./dev fuzz TARGET SECONDS'
    echo
    list
    exit 0
fi
target=$1 seconds=${2:-60}
if ! [ -f "tests/fuzz/fuzz_$target.c" ]; then
    echo "fuzz: $target: no such target: choose from" >&2
    list >&2
    exit 2
fi
[[ $seconds =~ ^[0-9]+$ ]] || { echo "fuzz: $seconds: give a number of seconds" >&2; exit 2; }

folder=build/fuzz
[ -f $folder/build.ninja ] || cmake --preset fuzz >/dev/null
ninja -C $folder "fuzz_$target" >&2
mkdir -p "$folder/corpus/$target" $folder/found
corpora=("$folder/corpus/$target")
for seeds in "tests/fuzz/corpus/$target" "$folder/tests/fuzz/seeds/$target"; do
    if [ -d "$seeds" ]; then
        corpora+=("$seeds")
    fi
done
"$folder/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$folder/found/$target-" "${corpora[@]}"
