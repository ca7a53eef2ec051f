#!/usr/bin/env bash
# From nothing to a program that runs: `reprise new`, make, run.
. "$(dirname "$0")/lib.sh" "$@"
need make cc
cd "$work" || exit 1

reprise new hello >"$work/out" 2>"$work/err" || fail "reprise new: $(cat "$work/err")"
[ -s hello/game.c ] && [ -s hello/Makefile ] && [ -s hello/README.md ] || fail "files are missing: $(ls hello)"
make -s -C hello 2>"$work/err" || fail "it does not build: $(cat "$work/err")"
[ ! -s "$work/err" ] || fail "it builds with warnings: $(cat "$work/err")"

cd hello || exit 1
run() { timeout 60 reprise run --stage none --frames 120 --hashes ./game.so; }
run >"$work/first" 2>"$work/err" || fail "it does not run: $(cat "$work/err")"
run >"$work/second" 2>"$work/err" || fail "it does not run again: $(cat "$work/err")"
[ "$(tail -1 "$work/first" | cut -d' ' -f1)" = 120 ] || fail "not 120 frames: $(tail -1 "$work/first")"
cmp "$work/first" "$work/second" || fail "two runs differ"

# With --build as the README says, from a source that was never built, and again when it changes.
make -s clean
host_start --stage none --paced --build make ./game.so
is build 1 || fail "build $(field build) runs first"
printf '\nint added = 1;\n' >>game.c
wait_for 'is build 2' "an edit brings no build"
quietly quit
host_ended 0

# What is there is never written over.
sum=$(cksum <game.c)
cd .. || exit 1
reprise new hello >"$work/out" 2>"$work/err" && fail "a second \`reprise new\` in the same folder is not refused"
grep -q '^reprise: .*hello' "$work/err" || fail "no clear line: $(cat "$work/err")"
[ "$(cksum <hello/game.c)" = "$sum" ] || fail "game.c was written over"
