#!/usr/bin/env bash
# A window whose display goes away, and one that never had a display: a clear line, exit code 1, and no
# process is left behind.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc
demo_copy
$build || fail "the demo does not build"
x_start
window_start "$work/demo/game.so"
wait_for 'above frame 10'

kill -KILL "$x_server"
x_server=''
host_ended 1
grep -q '^reprise: the stage went away: the display or the terminal was closed$' "$work/err" ||
    fail "no clear line: $(cat "$work/err")"
[ "$(wc -l <"$work/err")" -le 3 ] || fail "more words than needed: $(cat "$work/err")"
[ ! -e "$XDG_RUNTIME_DIR/reprise/game.sock" ] || fail "the socket is left behind"

# refused WORDS: the window cannot be opened, and the line says why and what to do.
refused() {
    local code=0
    timeout 30 reprise run --stage sdl "$work/demo/game.so" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" = 1 ] || fail "ended with $code, not 1"
    grep -q "^reprise: window: .*$1" "$work/err" || fail "no \"$1\" in: $(cat "$work/err")"
    grep -q -- '--stage term' "$work/err" || fail "the line does not say what to do: $(cat "$work/err")"
    nothing_left
}
refused 'no display answers (DISPLAY is ":[0-9]'
unset DISPLAY
refused 'no display answers (DISPLAY is ""'
