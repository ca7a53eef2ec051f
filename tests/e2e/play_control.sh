#!/usr/bin/env bash
# `reprise ctl`: each command has its effect, refusals and exit codes are as the help says, and neither a
# second host nor garbage on the socket disturbs the first.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc
demo_copy
$build || fail "the demo does not build"
host_start --stage none --paced --watchdog 0 --build "$build" --source "$work/demo" "$work/demo/game.so"

# code CODE WORDS…: that is how ctl ends; its line of error is in $work/said.
code() {
    local wanted=$1 got=0
    shift
    reprise ctl "$@" >"$work/told" 2>"$work/said" || got=$?
    [ "$got" = "$wanted" ] || fail "ctl $*: ended with $got, not $wanted: $(cat "$work/said")"
    [ "$wanted" = 0 ] || grep -q '^reprise: ' "$work/said" || fail "ctl $*: no line of error"
}

# ---- each command ----
code 0 status
grep -q '^mode  *play$' "$work/told" || fail "no mode in: $(cat "$work/told")"
code 0 status --json
grep -q '^{"ok":true,.*"mode":"play"' "$work/told" || fail "no JSON: $(cat "$work/told")"
wait_for 'above frame 60'
code 0 pause
wait_for 'is mode pause'
at=$(field frame)
code 0 step
wait_for "is frame $((at + 1))"
code 0 step 9
wait_for "is frame $((at + 10))"
code 0 back
wait_for "is frame $((at + 9))"
code 0 back 4
is frame $((at + 5)) || fail "back 4 is answered before it is done"
code 0 seek 30
is frame 30 || fail "seek is answered before it is done"
is newest $((at + 10)) || fail "a seek drops frames"
# ---- bookmarks ----
code 0 bookmark start
grep -q '^30  *start$' "$work/told" || fail "no bookmark in: $(cat "$work/told")"
code 0 seek 35
code 0 bookmark
code 0 seek start
is frame 30 || fail "seek start leads to frame $(field frame)"
code 0 bookmarks
[ "$(sed 's/  */ /' "$work/told")" = $'30 start\n35 mark-1' ] || fail "bookmarks: $(cat "$work/told")"
code 0 status --json
grep -q '"bookmarks":\[{"name":"start","frame":30},{"name":"mark-1","frame":35}\]' "$work/told" || fail "not in the status"
code 1 seek elsewhere
grep -q "no 'elsewhere'.*start, mark-1" "$work/said" || fail "it does not say which there are: $(cat "$work/said")"
code 1 bookmark 12
code 1 bookmark last
code 1 unbookmark elsewhere
code 0 unbookmark mark-1
code 0 bookmarks
[ "$(wc -l <"$work/told")" = 1 ] || fail "unbookmark does nothing: $(cat "$work/told")"
code 0 toggle
wait_for 'is mode play && above frame 40'
code 0 toggle
wait_for 'is mode pause'
code 0 speed 64
at=$(field frame)
code 0 step 64
wait_for "is frame $((at + 64))"
code 0 speed 1
code 0 rewind
wait_for "[ \"\$(field frame)\" -lt $at ]" "rewind does not run backwards"
code 0 play
wait_for 'is mode play'
code 0 mark
from=$(awk '$1 == "frame" { print $2 }' "$work/told")
wait_for "above frame $((from + 10))"
code 0 mark
wait_for 'is mode loop && above pass 1'
is from "$from" || fail "the loop begins at $(field from), not $from"
code 0 mark
is loop null || fail "a third mark does not end the loop"
code 0 loop 20 40
wait_for 'is mode loop && is from 20 && is to 40 && above pass 1'
code 0 unloop
is loop null || fail "unloop does not end the loop"
wait_for "above frame 40"
code 0 loop 20 30
code 0 take-over
is loop null || fail "take-over does not end the loop"
wait_for 'above frame 60'

# ---- builds and failures ----
edit 's/^#define JUMP_SPEED 9.0f/#define JUMP_SPEED 11.5f/'
wait_for 'is build 2'
code 0 revert
is build 3 || fail "revert runs build $(field build)"
code 0 revert 2
is build 4 || fail "revert 2 runs build $(field build)"
code 1 revert 77
edit 's/^    float dt_s = stage->dt_s;$/&\n    if (stage->frame % 2) *(volatile int *)0 = 1;/'
wait_for 'is mode failed'
at=$(field frame)
code 1 play
grep -q 'failed' "$work/said" || fail "play after a failure: $(cat "$work/said")"
code 0 retry
wait_for 'is mode failed'
is frame "$at" || fail "retry went on to $(field frame)"
code 0 skip
wait_for 'is mode failed'
code 0 revert 1
wait_for 'is failure null' "an earlier build does not end the failure"
wait_for "is mode play && above frame $((at + 10))" "the earlier build does not run on"

# ---- refusals and exit codes ----
code 1 retry
code 1 skip
code 1 take-over
code 1 seek 99999999
code 1 loop 40 20
code 2 seek
code 2 seek 1 2
code 2 speed 0
code 2 fly
code 2
code 2 status --nonsense
code 3 --name nobody status
code 3 --socket "$work/nobody.sock" status

# ---- a second host, and garbage ----
timeout 30 reprise run --stage none --name game --frames 5 "$work/demo/game.so" >"$work/told" 2>"$work/said"
second=$?
[ "$second" = 1 ] || fail "a second host on the name ended with $second"
grep -q '^reprise: .*game' "$work/said" || fail "no clear line: $(cat "$work/said")"
at=$(field frame)
wait_for "above frame $at" "the first host stopped"
[ "$(our_processes | wc -l)" -ge 2 ] || fail "the first host's runner is gone"

if command -v perl >/dev/null; then
    # garbage PERL-EXPRESSION: its value is sent, and the first answer printed.
    garbage() {
        perl -MIO::Socket::UNIX -e '$SIG{PIPE} = "IGNORE"; my $s = IO::Socket::UNIX->new($ARGV[0]) or die; print $s eval $ARGV[1]; $s->flush; shutdown($s, 1); print scalar <$s>' \
            "$XDG_RUNTIME_DIR/reprise/game.sock" "$1"
    }
    garbage '"no json\n"' | grep -q '"ok":false' || fail "no refusal of what is no JSON"
    garbage '"{\"cmd\":17}\n"' | grep -q '"ok":false' || fail "no refusal of a command that is a number"
    garbage '"{\"cmd\":\"seek\",\"a\":-1}\n"' | grep -q '"ok":false' || fail "no refusal of a negative frame"
    garbage '"{\"cmd\":\"speed\",\"a\":\"fast\"}\n"' | grep -q '"ok":false' || fail "no refusal of a word for a number"
    garbage '"x" x 200000' | grep -q '"ok":false' || fail "no refusal of a line without an end"
    garbage '"\0\xff" x 5000 . "\n"' | grep -q '"ok":false' || fail "no refusal of bytes"
    at=$(field frame)
    wait_for "above frame $at" "garbage stopped the host"
fi

code 0 quit
host_ended 0
code 3 status
