#!/usr/bin/env bash
# The first minute, in the window: the gap is missed, wound back, looped; the looped code is edited, breaks,
# and is mended; its process is killed. The loop goes on through all of it.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
. "$(dirname "$0")/minute.sh"

x_start
minute_sources
window_start --build "$build" --source "$work/demo" "$work/demo/game.so"

# What stands in the picture: the probe's square.
probe() { shot; [ "$(colour "$1" 0 0 64 64 | cut -d' ' -f1)" -gt 2000 ]; }
alarm() { seen 2000 E0452F 0 0 1280 720; }
ghosts() { seen 200 F0D442 0 100 1280 620 && seen 30 B9C0CC 0 100 1280 620; }
right() { hold Right; }
right_end() { let_go Right; }
key() { press "${1/Space/space}"; }
tells() { grep -q -- "$1" "$work/err"; } # the same lines are drawn in the panel
rewind_to() {
    hold F6
    wait_for "[ \"\$(field frame)\" -le $1 ]" "F6 does not run backwards to $1"
    let_go F6
}

minute
press ctrl+q
host_ended 0
