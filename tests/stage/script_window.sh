#!/usr/bin/env bash
# The window under an X server of its own: real keys and a real mouse, and outliving that server.
set -u
show_stage=$1
command -v Xvfb >/dev/null && command -v xdotool >/dev/null || exit 77
[ -e "${REPRISE_LIB:-.}/reprise-stage-sdl.so" ] || exit 77

folder=$(mktemp -d /tmp/rp-stage-XXXXXX)
events="$folder/events"
server='' program='' window=''
clean() { [ -n "$program" ] && kill "$program" 2>/dev/null; [ -n "$server" ] && kill "$server" 2>/dev/null; wait; rm -rf "$folder"; }
trap clean EXIT
fail() { echo "FAILED: $*"; cat "$events" 2>/dev/null; exit 1; }
until_true() { for _ in $(seq 200); do eval "$1" && return 0; sleep 0.05; done; return 1; }
told() { until_true "grep -q -- '$1' '$events' 2>/dev/null" || fail "no event \"$1\""; }

# The server picks a free number itself and writes it.
Xvfb -displayfd 3 -screen 0 1400x900x24 3>"$folder/display" >/dev/null 2>&1 &
server=$!
until_true "[ -s '$folder/display' ]" || fail "no X server"
DISPLAY=":$(cat "$folder/display")"
export DISPLAY
unset WAYLAND_DISPLAY

"$show_stage" sdl --view crash --events "$events" &
program=$!
told 'opened sdl'
until_true 'window=$(xdotool search --name show_stage | head -1); [ -n "$window" ]' || fail "no window"
eval "$(xdotool getwindowgeometry --shell "$window")"
[ "$WIDTH" = 1280 ] && [ "$HEIGHT" -gt 720 ] || fail "the window is $WIDTH x $HEIGHT"
xdotool windowfocus "$window"

xdotool key a
told 'key 65 down'
told 'key 65 up'
told 'text a'
xdotool keydown Right
told 'key 129 down'
xdotool keyup Right
told 'key 129 up'
xdotool key minus shift+F4 F5
told 'key 45 down'
told 'command 15 0'
told 'command 3 0'
xdotool keydown F6
told 'command 6 0'
xdotool keyup F6
told 'command 7 0'

# The middle of the picture is the middle of the canvas; the wheel turns up.
xdotool mousemove --window "$window" 640 360 click 1
told 'mouse 160\.[0-9] 90\.[0-9] buttons 1'
xdotool click 4
told 'wheel 1.0'
# The track begins at 16 and is 1248 wide; the bar is 50 high.
xdotool mousemove --window "$window" 640 $((HEIGHT - 36)) mousedown 1
told 'scrub 0.50 down'
xdotool mousemove --window "$window" 5000 $((HEIGHT - 36)) mouseup 1
told 'scrub .* up'
xdotool windowsize "$window" 700 500
told 'resize'
if command -v import >/dev/null; then
    colours=$(import -window root -depth 8 txt:- 2>/dev/null | grep -c -i '#E0452F')
    [ "$colours" -gt 100 ] || fail "the failure's red edge is not on the screen"
fi

# A held key is let go when the window loses the keyboard.
xdotool keydown z
told 'key 90 down'
xdotool windowunmap "$window"
told 'key 90 up'
xdotool keyup z windowmap "$window"

kill -KILL "$server"
wait "$program"
code=$?
program=
[ "$code" = 3 ] || fail "without its X server it ended with $code"
told 'lost'
told 'closed'
server=
echo "the window works under Xvfb"
