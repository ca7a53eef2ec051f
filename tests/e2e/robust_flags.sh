#!/usr/bin/env bash
# `reprise cflags` and `reprise ldflags`: what they print builds a module that lies where they said, at
# another place for each link.
. "$(dirname "$0")/robust_lib.sh" "$@"

cat >"$work/module.c" <<'CODE'
#include <reprise/reprise.h>
static int steps;
void rp_module_step(rp_stage *stage) { rp_clear(stage->canvas, (uint32_t)++steps); }
CODE

build() { # FILE
    # shellcheck disable=SC2046
    cc -g $(reprise cflags) "$work/module.c" $(reprise ldflags) -o "$work/$1" || fail "$1 was not built"
}

build one.so
build two.so
place() { readelf -lW "$work/$1" | awk '$1 == "LOAD" { print $3; exit }'; }
case $(place one.so) in
0x0000554* | 0x0000555*) ;;
*) fail "a build at $(place one.so), which is not in the window for modules" ;;
esac
[ "$(place one.so)" != "$(place two.so)" ] || fail "two links want the same place"

start flags "$work/one.so"
pid_of_runner=$(status flags runner_pid)
low=$(place one.so | sed 's/^0x0*//')
grep -q "^$low-" "/proc/$pid_of_runner/maps" || fail "the build does not lie at $low"
reprise ctl --name flags quit >/dev/null

reprise cflags --help | grep -q Example || fail "cflags --help has no example"
reprise ldflags --help | grep -q Example || fail "ldflags --help has no example"
reprise cflags --nonsense 2>/dev/null && fail "cflags takes any option"
finish
