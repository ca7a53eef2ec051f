#!/usr/bin/env bash
# A seek of the host to a frame that was thinned out goes to the nearest one before it that is kept, and
# says so, once for a stretch; a loop over such frames runs as it was recorded.
. "$(dirname "$0")/robust_lib.sh" "$@"

start thin --paced --rate 400 --budget 1M "$programs/counter_module.so"
until_true "[ \"\$(status thin thinned || echo 0)\" -gt 100 ]" || fail "nothing is thinned out: $(status thin thinned)"
reprise ctl --name thin pause >/dev/null || fail "no pause"
sleep 0.2
oldest=$(status thin oldest) newest=$(status thin newest)
notice() { reprise ctl --name thin --json status | grep -o '"notice":\[[^]]*\]'; }

# ---- the nearest one that is kept
gone='' kept=''
for frame in $(seq $((oldest + 1)) $((oldest + 200))); do
    [ "$frame" -lt "$newest" ] || break
    reprise ctl --name thin seek "$frame" >/dev/null || { fail "seek $frame: refused"; break; }
    at=$(status thin frame)
    if [ "$at" != "$frame" ]; then
        gone=$frame kept=$at
        break
    fi
done
if [ -z "$gone" ]; then
    fail "of the frames from $oldest on none was thinned out"
else
    [ "$kept" -lt "$gone" ] || fail "seek $gone: went to $kept, which is not before it"
    notice | grep -q "frame $gone was thinned out: this is $kept, the nearest kept" ||
        fail "seek $gone: does not say that this is $kept: $(notice)"
    # from there on until the next kept one: said once
    reprise ctl --name thin seek "$((gone + 1))" >/dev/null
    if [ "$(status thin frame)" = "$kept" ]; then
        notice | grep -q "frame $((gone + 1)) was thinned out" && fail "says it again within the stretch"
    fi
    # ---- a loop over it
    reprise ctl --name thin loop "$kept" "$gone" >/dev/null || fail "loop $kept $gone: refused"
    reprise ctl --name thin play >/dev/null
    until_true "status thin loop_pass | grep -q '[3-9]' || reprise ctl --name thin --json status | grep -q '\"pass\":[3-9]'" ||
        fail "loop $kept $gone: makes no passes: $(reprise ctl --name thin --json status)"
    grep -q 'differs\|diverge' "$work/thin.err" && fail "loop $kept $gone: $(cat "$work/thin.err")"
fi
reprise ctl --name thin quit >/dev/null
wait "$pid"
nothing_left thinned
finish
