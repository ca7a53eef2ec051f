#!/usr/bin/env bash
# Memory as a user of the command sees it: debug modes by name at the start and while it runs, what
# they find, reports, leaks; and that looking changes nothing.
. "$(dirname "$0")/robust_lib.sh" "$@"
command -v cc >/dev/null || exit 77
command -v python3 >/dev/null || exit 77
memory=$programs/memory_module.so
run=(timeout 60 reprise run --stage none)
unset REPRISE_DEBUG

ctl() { reprise ctl --name "$@"; }
says() { # TEXT FILE WHAT
    grep -q -e "$1" "$2" || fail "$3: does not say \"$1\": $(head -40 "$2")"
}
# silent FILE WHAT: the command said nothing but that a runner was replaced
silent() {
    local said
    said=$(grep '^reprise' "$1" | grep -v 'the runner was ended: frame [0-9]* is restored' | head -20)
    [ -z "$said" ] || fail "$2: says $said"
}
# hashes FILE ARGUMENTS…
hashes() {
    local file=$1
    shift
    "${run[@]}" --frames 300 --hashes "$@" >"$work/$file" 2>"$work/$file.err" ||
        fail "$*: ended with $?: $(head -3 "$work/$file.err")"
    silent "$work/$file.err" "$*"
}

# ---- programs that break memory: WHAT at frame 10
cat >"$work/bad.c" <<'SOURCE'
#include <reprise/memory.h>
#include <reprise/stage.h>
#include <reprise/temp.h>
#include <reprise/trace.h>
#include <stdlib.h>
#include <string.h>
typedef struct thing { char name[32]; } thing;
static rp_allocator *physics;
static thing *thing_of_all, *grown[64];
static char *volatile kept;
void rp_module_start(rp_stage *stage)
{
    (void)stage;
    physics = rp_heap_create(&(rp_heap_desc){.name = "physics"});
    RP_SCOPE("solve") thing_of_all = rp_new(physics, thing, 1);
}
static void touch(void *block, int at) { ((volatile char *)block)[at] = 'X'; }
void rp_module_step(rp_stage *stage)
{
    thing *made = rp_new(physics, thing, 1);
    char *volatile bytes = malloc(20);
    strcpy(bytes, "hello");
    grown[stage->frame % 64] = rp_resize(physics, grown[stage->frame % 64], stage->frame * 8);
    if (stage->frame != 10 || !WHAT) {
        rp_free(made);
        free(bytes);
        return;
    }
#if WHAT == 1
    touch(thing_of_all, 32); /* overrun */
#elif WHAT == 2
    rp_free(made);
    rp_free(made); /* second free */
#elif WHAT == 3
    rp_free(made);
    touch(made, 3); /* use after free */
#elif WHAT == 4
    free(bytes);
    free(bytes); /* second free */
#elif WHAT == 5
    RP_TEMP(temp) kept = rp_arena_push(temp, 100, 1);
    kept[3] = 1; /* use after scope */
#elif WHAT == 6
    RP_TEMP(temp) kept = rp_arena_push(temp, 100, 1);
#elif WHAT == 7
    kept = malloc(77); /* leak */
    kept = NULL;
#elif WHAT == 8
    touch(thing_of_all, -3); /* underrun */
#endif
}
SOURCE
for what in 0 1 2 3 4 5 6 7 8; do
    cc -g -DWHAT=$what -I"$sources/include" -fno-omit-frame-pointer -fPIC -shared -o "$work/bad$what.so" \
        "$work/bad.c" || exit 1
done
line_of() { grep -n -- "$1" "$work/bad.c" | head "-${2:-1}" | tail -1 | cut -d: -f1; }

# broken CODE PROGRAM MODES TEXT…: it ends with that code, and says all of these
broken() {
    local code=$1 program=$2 modes=$3 got
    shift 3
    "${run[@]}" --frames 20 --debug "$modes" "$work/bad$program.so" >"$work/out" 2>"$work/err"
    got=$?
    [ $got -eq "$code" ] || fail "program $program under $modes: ended with $got: $(cat "$work/err")"
    for text in "$@"; do says "$text" "$work/err" "program $program under $modes"; done
    ! grep -q '{@' "$work/err" || fail "program $program under $modes: an address is left: $(cat "$work/err")"
}
made="rp_module_start (bad.c:$(line_of 'rp_new(physics, thing, 1);'))"
broken 3 1 '*=canary' 'broken: overrun' '0 bytes behind the block' '32 bytes, .*bad.c:[0-9]* thing' \
    'heap physics, scope /solve' 'frame 10' 'made at' "$made" '\[58\]' "at the frame's end"
broken 3 8 'physics=canary' 'broken: underrun' '3 bytes before the block' "$made"
broken 3 1 'physics=end-of-page' "failed: bad.c:$(line_of 'touch(void')  overrun: the guard page" \
    '0 bytes behind the block' 'a write' "touch (bad.c:$(line_of 'touch(void'))" "$made" \
    "rp_module_step  bad.c:$(line_of '/. overrun')"
broken 3 8 '/solve=start-of-page' 'underrun: the guard page' 'a write'
broken 3 2 '*=canary' "failed: bad.c:$(line_of '/. second free')  double free" 'freed at' \
    "rp_module_step (bad.c:$(($(line_of '/. second free') - 1)))"
broken 3 3 '*=quarantine' 'broken: use after free' '3 bytes into the block' 'freed at' '\[58\]'
broken 3 3 'physics=end-of-page,quarantine' 'use after free: a freed block was touched' 'freed at'
broken 3 4 '*=canary' "failed: bad.c:$(line_of '/. second free' 2)  double free" 'heap program' 'freed at'
broken 3 5 '*=off' 'use after scope' "bad.c:$(line_of '/. use after scope')" \
    "began at .*bad.c:$(line_of 'kept = rp_arena_push')"
broken 3 6 '*=off' 'temp memory was kept' 'bad.c'
broken 0 0 '*=canary,fill,quarantine'
broken 0 0 '*=end-of-page'

# ---- leaks at the end
"${run[@]}" --frames 20 --leaks "$work/bad7.so" >"$work/out" 2>"$work/err"
[ $? -eq 23 ] || fail "--leaks: ended with another code: $(cat "$work/err")"
says '1 block, 77 B, nothing points to' "$work/err" --leaks
says "rp_module_step (bad.c:$(line_of '/. leak'))" "$work/err" --leaks
"${run[@]}" --frames 20 --leaks "$work/bad0.so" >"$work/out" 2>"$work/err" ||
    fail "--leaks without one: ended with $?: $(cat "$work/err")"
"${run[@]}" --frames 20 "$work/bad7.so" >"$work/out" 2>"$work/err" || fail "a leak that nobody asked for: $?"

# ---- words that mean nothing
refused 2 'unknown mode "foo": the modes are trace' "${run[@]}" --debug 'x=foo' "$memory"
refused 2 'no setting' "${run[@]}" --debug canary "$memory"
refused 2 'no number' "${run[@]}" --debug 'x=sampled=0' "$memory"
refused 2 'REPRISE_DEBUG: debug: unknown mode' env REPRISE_DEBUG='x=bar' "${run[@]}" "$memory"
refused 2 'too many settings' "${run[@]}" --debug "$(seq -f '%090g=canary' -s ';' 100)" "$memory"
REPRISE_DEBUG='x=bar' "${run[@]}" --frames 3 --debug 'x=canary' "$memory" || fail "the option does not win"
REPRISE_DEBUG='*=canary' "${run[@]}" --frames 20 "$work/bad1.so" 2>"$work/err"
says 'overrun' "$work/err" REPRISE_DEBUG
refused 2 'nothing to set' reprise ctl debug
refused 2 'unknown mode' reprise ctl debug x=foo
refused 2 'no such report' reprise ctl memory bush
refused 2 'wrong number' reprise ctl memory mark
refused 2 'wrong number' reprise ctl memory growth a
refused 2 'wrong number' reprise ctl memory

# ---- every function, twice, looped and sought; under all modes
for modes in '*=off' '*=canary,fill,quarantine,stacks' '*=end-of-page' 'physics=sampled=3' '*=trace,stacks,leaks'; do
    hashes first --debug "$modes" "$memory"
    hashes second --debug "$modes" "$memory"
    [ "$(sort -u "$work/first" | wc -l)" -eq 300 ] || fail "$modes: not 300 frames"
    cmp -s "$work/first" "$work/second" ||
        fail "$modes: other hashes the second time: $(diff "$work/first" "$work/second" | head -2)"
done

# loops NAME: a loop of that program passes three times without a difference
loops() {
    local frame
    frame=$(status "$1" frame)
    ctl "$1" loop $((frame - 20)) "$frame" >/dev/null || fail "$1: no loop"
    until_true "[ \"0\$(status $1 pass)\" -ge 3 ]" || fail "$1: it does not loop"
    [ "$(status "$1" diverged)" = 0 ] || fail "$1: a pass differs: $(ctl "$1" --json status)"
    ctl "$1" unloop >/dev/null
}
# killed NAME: its runner is killed, and it goes on
killed() {
    local before
    before=$(status "$1" frame)
    kill -KILL "$(status "$1" runner_pid)"
    until_true "[ \"\$(status $1 frame)\" -gt $((before + 5)) ]" || fail "$1: it does not go on: $(status "$1" lines)"
    [ "$(status "$1" failure)" = null ] || fail "$1: it failed: $(ctl "$1" --json status)"
}
over() { # NAME
    ctl "$1" quit >/dev/null
    wait "$pid" || fail "$1: the host ended with $?: $(cat "$work/$1.err")"
}

# ---- programs that nobody here wrote: nothing is found, and all can be restored
for program in "$demo" "$memory" "$programs"/{lua,sqlite,chipmunk}_module.so; do
    [ -e "$program" ] || continue
    for modes in '*=fill,canary' '*=end-of-page'; do
        hashes first --debug "$modes" "$program"
        start foreign --paced --debug "$modes" "$program"
        ctl foreign speed 64 >/dev/null
        until_true '[ "$(status foreign frame)" -gt 150 ]' || fail "$program under $modes does not run"
        killed foreign
        ctl foreign speed 1 >/dev/null
        loops foreign
        sought=$(($(status foreign oldest) + 3))
        ctl foreign seek $sought >/dev/null && ctl foreign play >/dev/null
        until_true '[ "$(status foreign frame)" -gt $((sought + 5)) ]' || fail "$program under $modes: no life after a seek"
        ctl foreign debug --list | grep -q "^program .*world *${modes#*=}" || fail "the choice is lost: $(ctl foreign debug --list)"
        over foreign
        silent "$work/foreign.err" "$program under $modes"
    done
done

# ---- switching while it runs; what is found is shown, and one may go on
start switch --paced "$work/bad0.so"
until_true '[ "$(status switch frame)" -gt 70 ]'
ctl switch debug 'physics=canary,stacks' >/dev/null || fail "no switch"
ctl switch debug --list >"$work/list"
says '^physics .*world *stacks,canary' "$work/list" "--list"
says '^program .*off' "$work/list" "--list"
says '^chosen: physics=canary,stacks' "$work/list" "--list"
killed switch
ctl switch debug --list >"$work/list"
says '^physics .*world *stacks,canary' "$work/list" "after a restart"
loops switch
ctl switch seek 10 >/dev/null && ctl switch play >/dev/null
until_true '[ "$(status switch frame)" -gt 90 ]' || fail "it does not run under new modes"
ctl switch debug 'physics=off' '*=end-of-page' >/dev/null
loops switch
killed switch
ctl switch debug --list | grep -q '^physics .*off' || fail "off is not off: $(ctl switch debug --list)"
over switch
silent "$work/switch.err" switching

start found --paced --debug 'physics=canary' "$work/bad1.so"
until_true '[ "$(status found goes_on)" = true ]' || fail "what is found does not pause: $(ctl found --json status)"
ctl found --json status >"$work/status"
python3 - "$work/status" <<'PYTHON' || fail "the status: $(cat "$work/status")"
import json, sys
status = json.load(open(sys.argv[1]))
memory = status["failure"]["memory"]
assert status["mode"] == "pause" and status["frame"] == 10, status["mode"]
assert memory["kind"] == "overrun" and memory["offset_bytes"] == 32 and memory["size_bytes"] == 32
assert memory["allocator"] == "physics" and "made at" in memory["text"] and memory["count"] == 1
assert any("scope /solve" in line for line in status["failure"]["lines"])
PYTHON
ctl found play >/dev/null
until_true '[ "$(status found frame)" -gt 20 ]' || fail "it does not go on"
[ "$(status found failure)" = null ] || fail "it is told again: $(ctl found --json status)"
ctl found seek 5 >/dev/null && ctl found play >/dev/null
until_true '[ "$(status found frame)" -gt 30 ]' || fail "a frame that is made again is told again"
over found
[ "$(grep -c 'memory was found broken' "$work/found.err")" -eq 1 ] || fail "told more than once: $(cat "$work/found.err")"

start guard --paced --debug 'physics=end-of-page' "$work/bad1.so"
until_true '[ "$(status guard goes_on)" = false ]' || fail "a guard is no failure: $(ctl guard --json status)"
ctl guard --json status >"$work/status"
says '"kind": \?"guard-after"' "$work/status" "a guard"
says '"mode": \?"failed"' "$work/status" "a guard"
ctl guard back 2 >/dev/null || fail "no way back"
[ "$(status guard failure)" = null ] || fail "the failure stays"
over guard

# ---- reports: all of them, as text of 100 columns and as one JSON document; they change nothing
start report --paced --hashes --debug '*=canary,stacks' "$memory"
until_true '[ "$(status report frame)" -gt 20 ]'
ctl report memory mark before >/dev/null || fail "no mark"
until_true '[ "$(status report frame)" -gt 60 ]'
ctl report memory mark after >/dev/null || fail "no mark"
for name in tree leaks fragmentation ledger 'growth before after'; do
    # shellcheck disable=SC2086
    ctl report memory $name >"$work/text" 2>&1 || fail "$name: $(cat "$work/text")"
    [ "$(wc -l <"$work/text")" -ge 2 ] || fail "$name: says nothing: $(cat "$work/text")"
    [ "$(awk '{ if (length($0) > most) most = length($0) } END { print most }' "$work/text")" -le 100 ] ||
        fail "$name: wider than 100 columns"
    # shellcheck disable=SC2086
    ctl report --json memory $name | python3 -m json.tool >"$work/json" 2>&1 || fail "$name: no JSON: $(head -3 "$work/json")"
    ! grep -q '{@' "$work/text" "$work/json" || fail "$name: an address is left"
done
ctl report memory tree >"$work/text"
says '/step' "$work/text" tree
says 'memory_module.c:[0-9]* body' "$work/text" tree
ctl report memory leaks >"$work/text"
says 'bodies_add (memory_module.c:' "$work/text" leaks
ctl report memory growth before after >"$work/text"
says 'memory_module.c' "$work/text" growth
refused 1 'no mark "nowhere"' reprise ctl --name report memory growth before nowhere
until_true '[ "$(status report frame)" -gt 200 ]'
killed report
refused 1 'went with the runner' reprise ctl --name report memory growth before after
over report
hashes first --debug '*=canary,stacks' "$memory"
head -200 "$work/first" >"$work/plain"
head -200 "$work/report.out" | cmp -s - "$work/plain" ||
    fail "looking changes frames: $(diff "$work/plain" "$work/report.out" | head -2)"

# ---- nothing that a module may call is missing in the runner, but for what is the deck's own
for header in memory debug trace arena slot page backed temp; do
    cc -E -P -I"$sources/include" -include "$sources/include/reprise/$header.h" -x c /dev/null |
        tr '\n' ' ' | sed 's/[;}]/\n/g' | grep -v 'inline\|typedef' | grep -o '\brp_[a-z_]* *(' | tr -d ' ('
done | sort -u >"$work/public"
nm -D --defined-only "$host/reprise-runner" | awk '{ print $3 }' | sort -u >"$work/exported"
left=$(comm -23 "$work/public" "$work/exported" | grep -v 'rp_memory_close\|rp_debug_on_error\|rp_symboliser\|rp_slot_thread_' | tr '\n' ' ')
[ -z "$left" ] || fail "modules cannot call $left"
nothing_left memory
finish
