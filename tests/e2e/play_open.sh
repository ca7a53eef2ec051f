#!/usr/bin/env bash
# A take in a window and in a terminal: it stands at its frame, is scrubbed through by keys, played on from
# with them, and an edit of the source is picked up.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc
demo_copy
$build || fail "the demo does not build"

# The demo's script is played, and what a killed host leaves is the take.
reprise run --resume --stage none --input "$work/demo/play.input" --frames 400 "$work/demo/game.so" 2>"$work/err" ||
    fail "the demo does not run: $(cat "$work/err")"
take=$work/jump.take
mv "$XDG_RUNTIME_DIR"/reprise/resume/game.so-*/state-*.take "$take" || fail "no take"
reprise info --frames "$take" >"$work/info" || fail "no take"
hash_of() { sed -n "s/^$1 build 1 .* \\([0-9a-f]\\{16\\}\\)\$/\\1/p" "$work/info"; }
[ -n "$(hash_of 300)" ] || fail "no hash of frame 300: $(head -3 "$work/info")"

# ---- headless, from a frame in the middle ----
played=$(reprise open --trust --stage none --frame 200 --frames 300 --hashes --input "$work/demo/play.input" "$take" 2>"$work/err" | tail -1)
[ "$played" = "300 $(hash_of 300)" ] || fail "frame 300 is \"$played\", not $(hash_of 300)"

# ---- a window ----
# opened ARGUMENTS…: as host_start, and paused at a frame
opened() {
    reprise open --name game "$@" "$take" >"$work/out" 2>"$work/err" &
    host=$!
    wait_for 'is mode pause || ! kill -0 "$host" 2>/dev/null' "the take does not open"
    kill -0 "$host" 2>/dev/null || fail "the host ended"
}
if command -v Xvfb xdotool import >/dev/null 2>&1; then
    x_start
    opened --stage sdl --frame 200 --module "$work/demo/game.so" --build "$build"
    wait_for 'window=$(xdotool search --name "Fox at dusk" 2>/dev/null | head -1); [ -n "$window" ]' "no window"
    xdotool windowfocus --sync "$window"
    is frame 200 || fail "it stands at frame $(field frame)"
    is newest 400 || fail "its history ends at frame $(field newest)"
    wait_for 'seen 200 F58A3C 0 300 1280 420' "no fox in the picture"
    press F9
    wait_for 'is frame 199' "F9 is no step back"
    hold F6
    wait_for 'is mode rewind'
    wait_for '[ "$(field frame)" -lt 180 ]' "F6 does not rewind"
    let_go F6
    press F5
    wait_for 'is mode play'
    wait_for 'above frame 210' "it does not play on"
    edit 's/printf("demo: %s at/printf("edited: %s at/'
    wait_for 'is build 2' "the edit is not picked up"
    at=$(field frame)
    wait_for "above frame $((at + 10))" "it does not play on under the edited build"
    quietly quit
    host_ended 0
fi

# ---- a terminal ----
tmux_start
types "reprise open --name game --stage term --frame 100 $take 2>$work/err; echo code=\$?" Enter
wait_for 'is mode pause' "the take does not open in the terminal"
shows '▀'
wait_for 'screen | grep -q "frame 100/400"' "the status line does not tell the frame"
types F10
wait_for 'is frame 101' "F10 is no step"
wait_for 'is newest 400' "a step in pause drops what follows"
types F5
wait_for 'above frame 110' "it does not play on"
quietly quit
shows '^code=0'
nothing_left
