#!/usr/bin/env bash
# The terminal stage: what is typed is obeyed, what is shown can be read, and the terminal is given back,
# whether the program quits, is ended, or the terminal goes away.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc
demo_copy
$build || fail "the demo does not build"
tmux_start
# The terminal's settings, as the shell sees them.
settings() {
    types "stty -g >$work/settings.$1; echo told $1" Enter
    shows "^told $1"
}
# A terminal tells no release: a key that comes again within 0.4 s is one that is held.
again() {
    sleep 0.6
    types "$1"
}
status_line() { screen | grep 'build 1 '; }
settings before
types "cd $work" Enter
terminal_start "$work/demo/game.so"

# The picture: half blocks in the sky's colours; under it the build and the frame.
shows '▀'
shows 'build 1 '
wait_for 'screen -e | grep -q "38;2;.*▀"' "no true colour"
types F5
wait_for 'is mode pause'
at=$(field frame)
wait_for 'status_line | grep -q "frame $at"' "the status line shows another frame than $at"
types F10
wait_for "is frame $((at + 1))"
wait_for 'status_line | grep -q "frame $((at + 1))"'
types F9 F9
wait_for "is frame $((at - 1))"
wait_for 'status_line | grep -q "frame $((at - 1))/$((at + 1))"' "the status line does not tell of later frames"

# What is kept becomes a take in the folder that the host was started in.
types F8
shows 'saved .*\.take: frames 0 to '
reprise info --check "$work"/*.take | grep -q "to $((at + 1))," || fail "the take does not end where it is"

# Help, speed and a loop, in words.
types F1
shows 'runs backwards while it is held'
again F1
wait_for '! screen | grep -q "runs backwards"' "F1 does not hide the keys"
types F2
shows '½ speed'
for _ in 1 2 3 4; do again F2; done
wait_for '! screen | grep -q " speed"' "F2 does not come back to full speed"
types F7
shows 'marked in at'
again F5
wait_for "above frame $((at + 15))"
again F7
wait_for 'above pass 1' "no loop"
shows "loop $((at - 1))–"
types F3
wait_for 'is loop null'

# A key that is typed reaches the program: the same frames with the arrow and without are other pictures.
again F5
wait_for 'is mode pause'
at=$(field frame)
# picture_after NAME [KEY]: a first frame drops those that were kept, so that the others are made anew.
picture_after() {
    quietly seek "$at"
    quietly speed 1/16
    quietly play
    wait_for "above frame $at"
    quietly pause
    local rest=$((at + 20 - $(field frame)))
    [ $# = 1 ] || types "$2"
    stepped "$rest"
    wait_for 'status_line | grep -q "frame $((at + 20)) "'
    screen -e | head -28 >"$work/$1"
}
picture_after stood
picture_after stood_again
cmp "$work/stood" "$work/stood_again" || fail "the same frames are other pictures"
picture_after ran Right
cmp -s "$work/stood" "$work/ran" && fail "the arrow moves nothing"

# Another size: the status line is on the new last row, and nothing is wider than the screen.
tm resize-window -x 70 -y 20
wait_for 'screen | tail -1 | grep -q "build 1 "' "the status line is not on the last row of 20"
screen | head -1 | grep -q '▀' || fail "no picture in the smaller terminal"
tm resize-window -x 120 -y 40
wait_for 'screen | tail -1 | grep -q "build 1 "' "the status line is not on the last row of 40"

types C-q
shows 'code=0'
screen | grep -q '▀' && fail "the picture is left on the shell's screen"
settings quit
cmp "$work/settings.before" "$work/settings.quit" || fail "the terminal's settings are not put back"
nothing_left

# Ended by a signal.
types clear Enter
terminal_start "$work/demo/game.so"
shows '▀'
kill -TERM "$(our_processes | while read -r pid; do grep -qs 'reprise$' "/proc/$pid/comm" && echo "$pid"; done | head -1)"
shows 'code=0'
settings term
cmp "$work/settings.before" "$work/settings.term" || fail "after SIGTERM the terminal's settings are not put back"
nothing_left

# The terminal goes away.
terminal_start "$work/demo/game.so"
shows '▀'
tm kill-server
nothing_left
grep -q 'the stage went away' "$work/err" || fail "no word about the terminal: $(cat "$work/err")"
