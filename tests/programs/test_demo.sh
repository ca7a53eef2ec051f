#!/bin/sh
# The demo's promise: the scripted jump misses the gap with a JUMP_SPEED of 9.0 and clears it with 11.5.
# Both are built from the game's own source; the second changes speed in the middle of the run, as a
# reload does.
#
#     test_demo.sh HARNESS EXAMPLE INCLUDE
set -eu
harness=$1 example=$2 include=$3
work=$(mktemp -d /tmp/reprise-demo-XXXXXX)
trap 'rm -rf "$work"' EXIT
cp "$example"/game.c "$example"/*.h "$work"

build() { # NAME SPEED-BEHIND-FRAME-250
    sed "s|^#define JUMP_SPEED 9.0f|static uint64_t demo_frame;\n#define JUMP_SPEED (demo_frame < 250 ? 9.0f : $2)|
         s|^    float dt_s = stage->dt_s;\$|    demo_frame = stage->frame;\n&|" "$example/game.c" > "$work/$1.c"
    grep -q 'demo_frame = stage' "$work/$1.c"
    grep -q 'demo_frame < 250' "$work/$1.c"
    ${CC:-cc} -D_GNU_SOURCE -g -O1 -I"$include" -I"$work" -fPIC -shared "$work/$1.c" -o "$work/$1.so" -lm
    "$harness" "$work/$1.so" --frames 350 --input "$example/play.input" > "$work/$1.out"
}

build weak 9.0f
build strong 11.5f
grep -q 'missed the edge' "$work/weak.out" || { echo "9.0 clears the gap" >&2; exit 1; }
! grep -q 'missed the edge' "$work/strong.out" || { echo "11.5 misses the gap" >&2; exit 1; }
