#!/usr/bin/env bash
# lua5.4: tables, closures, coroutines, strings and garbage collection in both modes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need lua5.4
rounds=12
[ -z "$modes" ] || rounds=2
both lua lua5.4 "$sources/workload.lua" "$rounds"
[ "$(wc -l <"$work/lua.ours")" -ge "$rounds" ] || fail "the workload wrote too little"
