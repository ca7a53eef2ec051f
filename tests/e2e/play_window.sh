#!/usr/bin/env bash
# The window with real keys: the fox runs, and each key that steers does what it says.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc
demo_copy
$build || fail "the demo does not build"
x_start
window_start "$work/demo/game.so"

fox=F58A3C # its fur; nothing else at the start has this colour
# Where the fox is: the left edge of its colour, in the picture above the bar.
fox_x() { shot; colour $fox 0 0 1280 720 | cut -d" " -f2; }
fox_feet() { shot; colour $fox 0 0 1280 720 | awk '{ print $3 + $5 }'; }

# F5 pauses: the frame stays, and the picture too.
press F5
wait_for 'is mode pause'
at=$(field frame)
seen 200 $fox 0 300 1280 420 || fail "no fox in the picture"
before=$(fox_x)
cp "$work/shot.ppm" "$work/paused.ppm"
shot
cmp -s "$work/shot.ppm" "$work/paused.ppm" || fail "the picture changes while paused"
is frame "$at" || fail "frames go by while paused"

# The status line's dark bar, the timeline's head, and the game's ground stand where they should.
seen 20000 161A21 0 720 1280 50 || fail "no bar under the picture"
seen 100 E4E8EF 0 740 640 30 || fail "no status line"
read -r _ _ head_y _ < <(colour FFFFFF 0 720 1280 50)
[ "$head_y" -lt 740 ] || fail "no head on the timeline"

# Right runs, space jumps.
hold Right
press F5
wait_for "above frame $((at + 25))"
let_go Right
press F5
wait_for 'is mode pause'
after=$(fox_x)
[ "$after" -gt $((before + 40)) ] || fail "the fox did not run: $before, then $after"
press F5
wait_for 'is mode play'
wait_for "above frame $(($(field frame) + 20))"
press F5
wait_for 'is mode pause'
ground=$(fox_feet)
quietly speed 1/16
press F5
wait_for 'is mode play'
press space
wait_for "above frame $(($(field frame) + 2))"
press F5
wait_for 'is mode pause'
stepped 12
wait_for '[ "$(fox_feet)" -lt $((ground - 30)) ]' "the fox did not jump"

# F9 and F10: a frame back, a frame on; what comes back is the same picture.
at=$(field frame)
shot
cp "$work/shot.ppm" "$work/here.ppm"
press F9
wait_for "is frame $((at - 1))"
press F9
wait_for "is frame $((at - 2))"
shot
cmp -s "$work/shot.ppm" "$work/here.ppm" && fail "two frames back the picture is the same"
quietly seek "$at"
wait_for "is frame $at"
wait_for 'shot; cmp -s "$work/shot.ppm" "$work/here.ppm"' "the frame that was sought is another picture"
press F10
wait_for "is frame $((at + 1))"
is newest $((at + 1)) || fail "a step on from the newest frame"

# F1 shows the keys over the picture, and hides them.
seen 100 566179 0 0 1280 720 && fail "a panel before it was asked for"
press F1
wait_for 'seen 1000 566179 0 0 1280 720' "F1 shows no panel"
press F1
wait_for '! seen 100 566179 0 0 1280 720' "F1 does not hide the panel"

# F6 held runs backwards; let go, it is as before.
press F5
wait_for 'is mode play'
wait_for "above frame $((at + 30))"
top=$(field frame)
hold F6
wait_for 'is mode rewind'
wait_for '[ "$(field frame)" -lt $((top - 20)) ]' "F6 does not run backwards"
let_go F6
wait_for 'is mode play'
press F5
wait_for 'is mode pause'

# F7 and F7: a loop between the two; its passes count.
from=$(field frame)
press F7
press F5
wait_for "above frame $((from + 20))"
press F7
wait_for 'is mode loop' "F7 twice makes no loop"
is from "$from" || fail "the loop begins at $(field from), not $from"
to=$(field to)
[ "$to" -gt $((from + 20)) ] || fail "the loop ends at $to"
wait_for 'above pass 2' "the loop's passes do not count up"
is diverged 0 || fail "a pass of the loop differs: $(field difference)"
seen 50 2F7FC1 0 720 1280 30 || fail "the loop is not on the timeline"
is newest "$to" || [ "$(field newest)" -le "$to" ] || fail "a loop makes frames behind its end"

# F3 takes over: no loop any more, and new frames behind its end.
press F3
wait_for 'is loop null' "F3 does not take over"
wait_for "above frame $((to + 10))"

# The mouse drags the timeline to its beginning.
xdotool mousemove --window "$window" 640 734 mousedown 1 mousemove --window "$window" 10 734
wait_for "is frame $(field oldest)" "dragging the timeline seeks nothing"
xdotool mouseup 1

press ctrl+q
host_ended 0
[ ! -e "$XDG_RUNTIME_DIR/reprise/game.sock" ] || fail "the socket is left behind"
