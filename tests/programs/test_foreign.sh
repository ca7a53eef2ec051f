#!/bin/sh
# Each program draws the same frames in two runs, and draws something new in each frame.
#
#     test_foreign.sh HARNESS DIRECTORY MODULE...
set -eu
harness=$1 directory=$2
shift 2
work=$(mktemp -d /tmp/reprise-foreign-XXXXXX)
trap 'rm -rf "$work"' EXIT
printf 'reprise-input 1\n50 +right\n150 -right\n200 +left\n300 -left\n' > "$work/play.input"

for module in "$@"; do
    "$harness" "$directory/$module.so" --frames 600 --hash --input "$work/play.input" > "$work/first"
    "$harness" "$directory/$module.so" --frames 600 --hash --input "$work/play.input" > "$work/second"
    "$harness" "$directory/$module.so" --frames 600 --hash > "$work/without"
    cmp "$work/first" "$work/second" || { echo "$module: two runs differ" >&2; exit 1; }
    ! cmp -s "$work/first" "$work/without" || [ "$module" = sqlite_module ] ||
        { echo "$module: keys change nothing" >&2; exit 1; }
    pictures=$(cut -d' ' -f2 "$work/first" | sort -u | wc -l)
    [ "$pictures" -ge 500 ] || { echo "$module: only $pictures pictures in 600 frames" >&2; exit 1; }
done
