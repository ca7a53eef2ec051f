#!/usr/bin/env bash
# The first minute, in a terminal: keys are typed, the picture is made of half blocks.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
. "$(dirname "$0")/minute.sh"

tmux_start
minute_sources
terminal_start --build "'$build'" --source "$work/demo" "$work/demo/game.so"

# The probe's colour is a colour of the screen: red;green;blue in an escape sequence.
probe() { screen -e | grep -q "8;2;$((16#${1:0:2}));$((16#${1:2:2}));$((16#${1:4:2}))[;m]"; }
alarm() { screen -e | grep -q '8;2;224;69;47[;m]'; }
ghosts() { screen -e | grep -q '8;2;240;212;66[;m]' && screen -e | grep -q '8;2;185;192;204[;m]'; }
# A terminal tells no releases: a key that comes anew is held for 0.4 s, one that comes again for less.
right() {
    sleep 0.6
    types Right
}
right_end() { :; }
key() { types "$1"; }
tells() { screen | grep -q -- "$1"; }
rewind_to() {
    wait_for "types F6; [ \"\$(field frame)\" -le $1 ]" "F6 does not run backwards to $1"
    wait_for '! is mode rewind' "F6 is never let go"
}

minute
types C-q
shows 'code=0'
nothing_left
