#!/usr/bin/env bash
# Each bad module runs 99 frames and ends in frame 100 in the way that its name says; X does it sooner.
#
#     test_bad.sh HARNESS DIRECTORY MODULE...
set -u
harness=$1 directory=$2
shift 2
ulimit -c 0
work=$(mktemp -d /tmp/reprise-bad-XXXXXX)
trap 'rm -rf "$work"' EXIT
printf 'reprise-input 1\n20 x\n' > "$work/x.input"

fail() {
    echo "$*" >&2
    exit 1
}

for module in "$@"; do
    case $module in
    bad_null | bad_call | bad_literal | bad_recursion) wanted=139 ;;
    bad_abort | bad_assert | bad_free | bad_memory) wanted=134 ;;
    bad_divide) wanted=136 ;;
    bad_illegal) wanted=132 ;;
    bad_exit) wanted=3 ;;
    bad_hang) wanted=124 ;;
    *) fail "$module: this test does not know how it ends" ;;
    esac
    for try in "99" "100" "30 --input $work/x.input"; do
        # shellcheck disable=SC2086
        (timeout 2 "$harness" "$directory/$module.so" --frames $try) > /dev/null 2>&1
        got=$?
        [ "$try" = 99 ] && expected=0 || expected=$wanted
        [ $got -eq "$expected" ] || fail "$module: $try frames ended with $got, not $expected"
    done
done
"$harness" "$directory/bad_null_mended.so" --frames 200 --input "$work/x.input" || fail "mended one fails"
