#!/usr/bin/env bash
# Each rung of the ladder of write tracking: the same hashes, the same reports of what fails, and a
# probe that steps down where the system lacks something, and says so.
. "$(dirname "$0")/robust_lib.sh" "$@"
refuse=$5

rungs='wp-sigbus mprotect compare'
reprise run --stage none --frames 1 --tracking wp-async "$programs/counter_module.so" >/dev/null 2>&1 &&
    rungs="wp-async $rungs"
reprise run --stage none --frames 1 --tracking wp-sigbus "$programs/counter_module.so" >/dev/null 2>&1 ||
    rungs=${rungs/wp-sigbus/}
frames=60
[ "${RP_LONG:-0}" = 1 ] && frames=1200

cat >"$work/play.input" <<'INPUT'
reprise-input 1
12 +right
30 space
40 left
50 -right
INPUT

# ---- the same hashes
for module in "$demo" "$programs"/{counter,lua,sqlite,chipmunk,memory,context}_module.so; do
    [ -e "$module" ] || continue
    first=
    for rung in $rungs; do
        timeout 100 reprise run --stage none --input "$work/play.input" --frames "$frames" --hashes --tracking "$rung" \
            "$module" >"$work/hashes.$rung" 2>"$work/err" ||
            fail "$module with $rung: ended with $?: $(tail -3 "$work/err")"
        [ "$(grep -c '^[0-9]* [0-9a-f]\{16\}$' "$work/hashes.$rung")" -eq "$frames" ] || fail "$module with $rung: hashes lack"
        first=${first:-$rung}
        cmp -s "$work/hashes.$first" "$work/hashes.$rung" || fail "$module: other hashes with $rung than with $first"
    done
done

# ---- what the system writes into the state; seeking back and on again
for rung in $rungs; do
    timeout 60 reprise run --stage none --frames 60 --tracking "$rung" "$programs/kernel_module.so" \
        >"$work/out" 2>"$work/err" || fail "kernel_module with $rung: ended with $?: $(head -3 "$work/err")"
    grep -q 'tracking of written pages was lost' "$work/err" && fail "kernel_module with $rung: tracking was lost"
    [ "$(grep -c 'io_uring: registered buffers' "$work/err")" -le 1 ] || fail "$rung: says more than once that buffers are refused"
    grep -q 'history:' "$work/err" && fail "$rung was asked for, and yet: $(cat "$work/err")"
    start rung --tracking "$rung" --paced "$programs/counter_module.so"
    until_true "[ \"\$(status rung newest || echo 0)\" -gt 30 ]" || fail "$rung: makes no frames"
    [ "$(status rung tracking)" = "\"$rung\"" ] || fail "$rung: the status says $(status rung tracking)"
    found='"around hot pages"'
    [ "$rung" = compare ] && found='"by comparing"'
    [ "$(status rung found)" = "$found" ] || fail "$rung: written pages are found $(status rung found), not $found"
    [ "$(status rung found_changes)" = 0 ] || fail "$rung: the way changed $(status rung found_changes) times"
    if [ "$rung" = wp-async ]; then
        [ "$(status rung slow)" = null ] || fail "$rung: the status calls it slow"
    else
        status rung slow | grep -q 'signal\|read' || fail "$rung: the status does not say what is slow"
    fi
    reprise ctl --name rung seek 5 >/dev/null 2>&1 || fail "$rung: no seek"
    reprise ctl --name rung play >/dev/null 2>&1
    kill "$pid"
    wait "$pid" 2>/dev/null
done

# ---- what fails is told as ever
for rung in $rungs; do
    for pair in 'bad_null:a null pointer' 'bad_recursion:stack overflow' 'bad_abort:SIGABRT' 'bad_divide:SIGFPE' \
        'bad_literal:SIGSEGV'; do
        timeout 30 reprise run --stage none --frames 100 --tracking "$rung" "$programs/${pair%%:*}.so" >/dev/null 2>"$work/err"
        [ $? -eq 3 ] || fail "${pair%%:*} with $rung: ended otherwise: $(head -2 "$work/err")"
        grep -q "${pair#*:}" "$work/err" || fail "${pair%%:*} with $rung: says \"$(head -2 "$work/err")\""
        grep -q "${pair%%:*}.c:" "$work/err" || fail "${pair%%:*} with $rung: no place is named"
    done
    timeout 30 reprise run --stage none --frames 200 --tracking "$rung" --debug '*=end-of-page' \
        "$programs/guard_module.so" >/dev/null 2>"$work/err"
    [ $? -eq 3 ] || fail "guard_module with $rung: ended otherwise: $(head -2 "$work/err")"
    grep -q 'guard_module.c' "$work/err" || fail "guard_module with $rung: the guard is not named: $(head -4 "$work/err")"
done

# ---- threads that do not rest
for rung in $rungs; do
    timeout 30 reprise run --stage none --frames 600 --tracking "$rung" --check-threads \
        "$programs/threads_module.so" >/dev/null 2>"$work/err"
    [ $? -eq 3 ] || fail "threads_module with $rung: ended with something else: $(head -3 "$work/err")"
    grep -q 'write during a commit: thread [0-9]* (restless)' "$work/err" || fail "threads_module with $rung: $(head -3 "$work/err")"
    grep -q 'add_for_ever' "$work/err" || fail "threads_module with $rung: the place is not named: $(cat "$work/err")"
    grep -q 'of the world zone' "$work/err" || fail "threads_module with $rung: the block is not named"
done

# ---- the probe steps down
# steps_down WHAT-IS-MISSING RUNG
steps_down() {
    "$refuse" "$1" true || { echo "skipped: seccomp is forbidden here"; return; }
    timeout 60 "$refuse" "$1" reprise run --stage none --input "$work/play.input" --frames "$frames" --hashes \
        "$programs/counter_module.so" >"$work/hashes" 2>"$work/err" || fail "without $1: ended with $?: $(cat "$work/err")"
    [ "$(grep -c "^reprise: history: .*, $2 (" "$work/err")" -eq 1 ] || fail "without $1: says \"$(cat "$work/err")\", not once $2"
    timeout 60 reprise run --stage none --input "$work/play.input" --frames "$frames" --hashes --tracking "$2" \
        "$programs/counter_module.so" >"$work/asked" 2>/dev/null
    cmp -s "$work/hashes" "$work/asked" || fail "without $1: other hashes"
}
case $rungs in *wp-sigbus*) steps_down scan wp-sigbus ;; esac
steps_down userfaultfd mprotect
steps_down handlers compare

# ---- what is asked for and missing is refused
refused 1 'userfaultfd' "$refuse" userfaultfd reprise run --stage none --frames 1 --tracking wp-sigbus "$programs/counter_module.so"
refused 2 'wp-async, wp-sigbus, mprotect or compare' reprise run --tracking fast "$programs/counter_module.so"
nothing_left tracking
finish
