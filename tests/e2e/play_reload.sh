#!/usr/bin/env bash
# A build that the state cannot be brought to, and the four ways on, by `ctl` and by keys; the report of a
# reload; what is watched and checked, frame by frame and build by build.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc

mkdir "$work/demo"
source_write() { # MEMBERS POINTS-A-PRESS
    cat >"$work/next.c" <<SOURCE
#include <reprise/stage.h>
#include <reprise/watch.h>
static struct score { $1 } score;
static int frames;
void rp_module_step(rp_stage *stage)
{
    frames++;
    if (rp_pressed(stage, RP_KEY_SPACE)) {
        score.points += $2;
    }
    rp_watch("points", score.points);
    rp_watch("not a number", 0.0 / (frames - frames));
    rp_watch_point("where", frames, 10 + $2);
    rp_check("points", score.points);
    rp_check("frames", frames);
    rp_check("half", frames * 0.5);
    rp_check("name", "the same");
    for (int i = 0; i < 100 && stage->frame == 12; i++) {
        rp_watch("many", i);
    }
}
SOURCE
    mv "$work/next.c" "$work/demo/game.c"
}
printf 'game.so: game.c\n\tcc -g -O1 %s -shared %s -o $@ game.c\n' '$(shell reprise cflags)' '$(shell reprise ldflags)' >"$work/demo/Makefile"
source_write 'int points, tag;' 1
printf 'reprise-input 1\n10 space\n20 space\n30 space\n' >"$work/demo/input"
# points FRAME BUILD: as watched
points() { ctl watch "$1" | awk -v b="$2" '$3 == b && $4 == "points" { print $5; exit }'; }
says() { grep -q -- "$1" "$work/err" || fail "it does not say \"$1\""; }

host_start --stage none --paced --input "$work/demo/input" --build "$build" --source "$work/demo" "$work/demo/game.so"
wait_for 'above frame 45'
[ "$(points 40 1)" = 3 ] || fail "three presses give $(points 40 1)"
ctl watch 12 >"$work/told"
[ "$(grep -c ' many ' "$work/told")" = 62 ] || fail "a frame keeps 64 watched values, not $(wc -l <"$work/told")"
grep -q 'not a number' "$work/told" && fail "what is no number is watched"
ctl watch 40 --json | grep -q '"name":"where","x":40.0,"y":11.0' || fail "no point: $(ctl watch 40 --json)"
ctl reload | grep -q 'no build has taken over' || fail "$(ctl reload)"
quietly loop 5 40
wait_for 'above pass 1'

# ---- the same input under other code: values that differ are told once a name, with the first frame ----
source_write 'int points, tag;' 2
wait_for 'is build 2'
at=$(field pass)
wait_for "above pass $((at + 2))" "the loop does not go on"
ctl checks >"$work/told"
grep -q '^points: frame 10: 1 under build 1, 2 under build 2$' "$work/told" || fail "checks: $(cat "$work/told")"
[ "$(grep -c ': frame ' "$work/told")" = 1 ] || fail "what is equal differs: $(cat "$work/told")"
says 'check "points": frame 10: 1 under build 1, 2 under build 2'
[ "$(grep -c 'check "points"' "$work/err")" = 1 ] || fail "a difference is told again and again"
ctl checks --json | grep -q '"frame":10,"old_build":1,"new_build":2,"old":"1","new":"2"' || fail "$(ctl checks --json)"
[ "$(points 40 1) $(points 40 2)" = "3 6" ] || fail "the build before is forgotten: $(ctl watch 40)"
ctl reload --json | grep -q '"old_build":1,"new_build":2,"variables":{"carried":2,"added":0,"removed":0}' || fail "$(ctl reload --json)"
ctl reload | grep -q '^variables  2 carried' || fail "$(ctl reload)"
wait_for "grep -qE 'build 2 · [0-9]+ ms · 2 variables carried over' $work/err" "no toast with milliseconds"

# ---- refused; each way on ----
refused() { wait_for '! is refused null' "a struct that cannot be converted is not refused"; }
source_write 'int points, *tag;' 5
refused
is build 2 || fail "build $(field build) runs"
says 'reprise ctl reload --again'
ctl reload --json | grep -q '"ways":\["again","restart","keep","regardless","since"\]' || fail "$(ctl reload --json)"
quietly reload --keep
is refused null && is notice '[]' && is build 2 || fail "the old build is not kept"
reprise ctl reload --keep 2>"$work/said" && fail "nothing is refused and yet kept out"
at=$(field pass)
wait_for "above pass $at" "the old build does not run on"

source_write 'int points; struct { int a; } tag;' 10
refused
quietly reload --again
is refused null && is build 3 || fail "build $(field build) runs, not 3"
is mode loop && is from 5 && is to 40 || fail "the loop is gone"
[ "$(points 40 3)" = 30 ] || fail "the input was not run again: $(ctl watch 40)"
at=$(field pass)
wait_for "above pass $((at + 1))" "the loop does not go on"
is diverged 0 || fail "$(field difference)"
[ "$(points 40 3)" = 30 ] || fail "a pass makes $(points 40 3)"

source_write 'int points, *tag;' 100
refused
quietly reload --regardless
is refused null && is build 4 || fail "build $(field build) runs, not 4"
at=$(field pass)
wait_for "above pass $((at + 1))" "the loop does not go on"
[ "$(points 40 4)" = "$((300 + $(ctl watch 6 | awk '$3 == 4 && $4 == "points" { print $5; exit }')))" ] || fail "$(ctl watch 40)"
ctl reload | grep -q "'score' in game.c: starts anew" || fail "$(ctl reload)"

source_write 'long points; int tag;' 1000
refused
quietly reload --restart
is refused null && is build 5 && is loop null || fail "no new world"
[ "$(field frame)" -lt 40 ] || fail "a new world begins at frame $(field frame)"
wait_for 'above frame 40'
[ "$(points 40 5)" = 3000 ] || fail "$(ctl watch 40)"
is oldest 0 || fail "its history begins at $(field oldest)"

# Without a refused build: the same build, from the start.
quietly pause
wait_for 'is mode pause'
at=$(field frame)
quietly reload --again
is frame "$at" && is build 5 || fail "it ran to $(field frame), not $at"
[ "$(points 40 5)" = 3000 ] || fail "$(ctl watch 40)"
ctl checks | grep -q ' 0 names differ' || fail "$(ctl checks)"
quietly play

# It fails on the way: the usual failure, at the frame before.
source_write 'unsigned char points; int *tag;' '100 / (frames - 20)'
refused
reprise ctl reload --again 2>"$work/said" && fail "a division by zero does not fail"
wait_for 'is mode failed'
is frame 19 || fail "it failed behind frame $(field frame), not 19"
source_write 'unsigned char points; int *tag;' 2
wait_for 'is failure null && above frame 40' "it does not go on once it is mended"
[ "$(reprise ctl status --keep 2>&1 >/dev/null; echo $?)" != 0 ] || fail "--keep with status"
quietly quit
host_ended 0

# ---- by keys ----
source_write 'int points, tag;' 1
rm "$work/demo/game.so"
tmux_start
terminal_start --input "$work/demo/input" --build "'$build'" --source "$work/demo" "$work/demo/game.so"
wait_for 'above frame 45'
source_write 'int points, *tag;' 5
refused
shows 'Shift F4'
types F12
wait_for 'is refused null' "F12 does not keep the old build"
is build 1 || fail "build $(field build)"
source_write 'int points; struct { int a; } tag;' 10
refused
types F4
wait_for 'is build 2' "F4 does not run the input again"
wait_for '[ "$(points 40 2)" = 30 ]' "$(ctl watch 40)"
source_write 'int points, *tag;' 100
refused
terminal_sends $'\e[24;2~'
wait_for 'is build 3' "Shift F12 does not load regardless"
source_write 'long points; int tag;' 1000
refused
terminal_sends $'\e[1;2S'
wait_for 'is build 4 && above frame 40' "Shift F4 does not restart"
[ "$(points 40 4)" = 3000 ] || fail "$(ctl watch 40)"
types C-q
shows 'code=0'
nothing_left
