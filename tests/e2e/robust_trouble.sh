#!/usr/bin/env bash
# Everything around the program that can go wrong: the build command, the input, the budget, memory,
# address space, descriptors, disk. One clear line, the right exit code, and what can go on goes on.
. "$(dirname "$0")/robust_lib.sh" "$@"
command -v cc >/dev/null || exit 77
module=$programs/counter_module.so
run=(reprise run --stage none --frames 20)

# ---- build commands
cp "$module" "$work/b.so"
echo "int x;" >"$work/b.c"
change() {
    sleep 0.1
    echo "int y$RANDOM;" >>"$work/b.c"
}
start build --paced --build "cat '$work/command' | sh" --source "$work/b.c" "$work/b.so"
tell() { # COMMAND TEXT: the command is run when the source changes, and that is said
    echo "$1" >"$work/command"
    change
    until_true "status build notice | grep -q -- '$2'" || fail "$1: says $(status build notice)"
    local before
    before=$(status build frame)
    until_true "[ \"\$(status build frame)\" -gt $((before + 2)) ]" || fail "$1: the old build does not go on"
}
tell 'echo "b.c:1:1: error: no good" >&2; exit 2' 'error: no good'
tell 'exit 7' 'exit code 7'
tell 'kill -SEGV $$' 'exit code 139'
tell 'yes "b.c:3: error: again" | head -c 1000000; exit 1' 'error: again'
tell 'head -c 1000000 /dev/urandom; exit 9' 'exit code 9'
echo 'sleep 1000.25' >"$work/command"
change
until_true '[ "$(status build building)" = true ]' || fail "a command that hangs is not shown"
before=$(status build frame)
until_true '[ "$(status build frame)" -gt $((before + 5)) ]' || fail "a command that hangs stops the program"
[ "$(status build build)" = 1 ] || fail "another build"
reprise ctl --name build quit >/dev/null
wait "$pid" || fail "the host ended with $?"
until_true '! pgrep -f "^sleep 1000.25" >/dev/null' || fail "the command outlives the host"
refused 1 'exit code 3' "${run[@]}" --build 'exit 3' "$work/never.so"
nothing_left "build commands"

# ---- input
good_input() { printf 'reprise-input 1\n5 space\n10 +right\n%s' "$1"; } # THE REST
refuse_input() { # TEXT
    refused 1 "$1" "${run[@]}" --input "$work/input" "$module"
}
good_input '' >"$work/input"
"${run[@]}" --input "$work/input" "$module" >/dev/null 2>&1 || fail "good input is refused"
good_input '15 te' >"$work/input" && refuse_input 'input:4: '
printf 'reprise-inp' >"$work/input" && refuse_input 'reprise-input 1'
good_input '7 space' >"$work/input" && refuse_input 'input:4: '
good_input 'xyzzy' >"$work/input" && refuse_input 'input:4: '
good_input '12 mouse nan inf bogus' >"$work/input" && refuse_input 'input:4: '
head -c 10000 /dev/urandom >"$work/input" && refuse_input 'reprise-input 1'
: >"$work/input" && refuse_input 'reprise-input 1'
truncate -s 100M "$work/input" && refuse_input 'input: '
rm "$work/input" && refuse_input 'input: '
mkdir "$work/input" && refuse_input 'input: '
refuse_input_device() { refused 1 '/dev/zero: ' "${run[@]}" --input /dev/zero "$module"; }
refuse_input_device
nothing_left "input"

# ---- a world that is larger than its budget
cat >"$work/large.c" <<'SOURCE'
#include <reprise/stage.h>
#include <stdlib.h>
#include <string.h>
enum { BYTES = 48 << 20 };
static unsigned char *bytes;
void rp_module_start(rp_stage *stage) { (void)stage; bytes = malloc(BYTES); }
void rp_module_step(rp_stage *stage)
{
    if (!bytes) {
        abort();
    }
    memset(bytes + stage->frame % 8 * (BYTES / 8), (int)stage->frame, BYTES / 8);
}
SOURCE
cc -g -I"$sources/include" -fPIC -shared -o "$work/large.so" "$work/large.c" || exit 1
for budget in 4K 64K 1M; do
    timeout 60 "${run[@]}" --hashes --budget "$budget" "$work/large.so" >"$work/large.$budget" 2>"$work/err" ||
        fail "--budget $budget: ended with $?: $(head -1 "$work/err")"
done
"${run[@]}" --hashes "$work/large.so" >"$work/large" 2>/dev/null
for budget in 4K 64K 1M; do
    cmp -s "$work/large" "$work/large.$budget" || fail "--budget $budget changes frames"
done
start tiny --budget 64K "$work/large.so" --paced
until_true '[ "$(status tiny frame)" -gt 20 ]' || fail "it does not run on a tiny budget"
[ "$(status tiny oldest)" -gt 0 ] || fail "a tiny budget keeps everything"
reprise ctl --name tiny seek 1 >"$work/out" 2>&1
grep -q 'not kept' "$work/out" || fail "a frame that is not kept: $(cat "$work/out")"
reprise ctl --name tiny quit >/dev/null
wait "$pid" || fail "the host ended with $?"

# ---- limits; what cannot run says why, and what can runs
limited() { # TEXT ULIMIT-ARGUMENTS…
    local text=$1 got
    shift
    (ulimit "$@" && exec timeout 60 "${run[@]}" "$module") >"$work/out" 2>"$work/err"
    got=$?
    case $got in
    0) ;;
    1) grep -q -- "$text" "$work/err" || fail "ulimit $*: says \"$(head -2 "$work/err")\"" ;;
    *) fail "ulimit $*: ended with $got: $(head -2 "$work/err")" ;;
    esac
    echo "ulimit $*: exit code $got $(head -1 "$work/err" | cut -c1-150)"
}
for kib in 50000 200000 400000 1000000 4000000 40000000; do
    limited 'ulimit\|memory\|room\|runner' -v $kib
done
for count in 6 8 10 12 14 16 20 24 32; do
    limited 'descriptor\|open files\|cannot\|runner' -n $count
done
for blocks in 1 64; do
    limited 'large\|write\|written\|room\|runner' -f $blocks
done
nothing_left "limits"

# ---- somebody lies where the region must be, in the runner and in the host
cat >"$work/taker.c" <<'SOURCE'
#define _GNU_SOURCE
#include <sys/mman.h>
__attribute__((constructor)) static void take(void)
{
    mmap((void *)0x550000000000, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
SOURCE
cc -fPIC -shared -o "$work/taker.so" "$work/taker.c" || exit 1
refused 1 '0x550000000000' env LD_PRELOAD="$work/taker.so" "${run[@]}" "$module"

# ---- a full disk where the copies go
mkdir "$work/full"
if mount -t tmpfs -o size=16k,mode=700 tmpfs "$work/full" 2>/dev/null; then
    refused 1 'full\|space\|No space' env XDG_RUNTIME_DIR="$work/full" "${run[@]}" "$module"
    left=$(find "$work/full" -name 'reprise-??????*')
    umount "$work/full"
    [ -z "$left" ] || fail "a full disk: left behind: $left"
fi
nothing_left "the end"
finish
