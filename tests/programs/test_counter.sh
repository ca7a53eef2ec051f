#!/bin/sh
# The counter module counts what its header says, in each of its variants.
#
#     test_counter.sh HARNESS DIRECTORY
set -eu
harness=$1 directory=$2
work=$(mktemp -d /tmp/reprise-counter-XXXXXX)
trap 'rm -rf "$work"' EXIT
printf 'reprise-input 1\n10 space\n20 +space\n30 -space\n' > "$work/play.input"

# The value of a block: three bytes in the middle of it, after the 15 of the header.
block() {
    at=$((15 + 3 * (($1 / 8 * 45 + 20) * 320 + $1 % 8 * 40 + 20)))
    od -An -tu1 -j $at -N 3 "$2" | awk '{print $1 * 65536 + $2 * 256 + $3}'
}

expect() {
    got=$(block "$2" "$work/$1.ppm")
    [ "$got" -eq "$3" ] || { echo "$1: block $2 is $got, not $3" >&2; exit 1; }
}

for module in counter_module counter_module_edit_1 counter_module_edit_2 counter_module_edit_3 \
    counter_module_edit_4 counter_module_edit_5; do
    "$harness" "$directory/$module.so" --frames 100 --input "$work/play.input" \
        --shot 100 "$work/$module.ppm"
    expect $module 1 200
    expect $module 2 100
    expect $module 3 107
    expect $module 4 105
    expect $module 5 40
    expect $module 17 1
    expect $module 18 0
    expect $module 19 2
done
expect counter_module 0 100
expect counter_module 15 149
expect counter_module 16 0
expect counter_module_edit_1 0 1000
expect counter_module_edit_2 16 176
expect counter_module_edit_3 15 15592931
# The order of functions and the size of an item must not show.
for index in 6 7 8 9 10; do
    expect counter_module_edit_4 $index "$(block $index "$work/counter_module.ppm")"
    expect counter_module_edit_5 $index "$(block $index "$work/counter_module.ppm")"
done
