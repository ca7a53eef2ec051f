#!/usr/bin/env bash
# Builds one after the other, 5 to 50 ms apart, put in place in every way: the last one is always picked
# up, none is taken torn, what the program counted goes on, and neither host nor runner grows.
. "$(dirname "$0")/robust_lib.sh" "$@"
command -v cc >/dev/null || exit 77

builds=40
[ -n "${RP_LONG:-}" ] && builds=100
RANDOM=${RP_SEED:-$$}
echo "RP_SEED=${RP_SEED:-$$}"

# Each knows its number and checks that it is whole: its first and its last page of constants agree.
cat >"$work/game.c" <<'SOURCE'
#include <reprise/stage.h>
#include <stdio.h>
#include <stdlib.h>
static const int first[4096] = {VARIANT};
static const int last[65536] = {[65535] = VARIANT};
static unsigned long counted;
static int *kept; /* on the heap, with the pattern of the frame in which it was made */

void rp_module_start(rp_stage *stage)
{
    (void)stage;
    kept = calloc(1000, sizeof *kept);
    kept[999] = 4711;
}

void rp_module_step(rp_stage *stage)
{
    if (first[0] != VARIANT || last[65535] != VARIANT || kept[999] != 4711 ||
        ++counted != stage->frame) {
        abort();
    }
    if (stage->frame % 16 == 0) {
        printf("variant %d frame %lu\n", VARIANT, counted);
        fflush(stdout);
    }
}
SOURCE
mkdir "$work/made"
flags=$(reprise ldflags)
for i in $(seq 0 "$builds"); do
    # Half of them as our flags say, half as anybody would link them.
    # shellcheck disable=SC2046,SC2086
    cc -g -DVARIANT="$((i + 1))" -I"$sources/include" -fPIC -shared -o "$work/made/$i.so" "$work/game.c" \
        $([ $((i % 2)) -eq 0 ] && echo $flags) || exit 1
done

resident() { # PID, in KiB
    awk '/^Rss(Anon|Shmem):/ { sum += $2 } END { print sum }' "/proc/$1/status"
}

put() { # NUMBER
    local from=$work/made/$1.so to=$work/game.so
    case $(($1 % 4)) in
    0) cp "$from" "$work/new" && mv "$work/new" "$to" ;; # renamed into place
    1) cp "$from" "$to" ;;                              # written over
    2) rm -f "$to" && cp "$from" "$to" ;;               # as linkers do
    3) # written in place, slowly
        local size half
        size=$(stat -c %s "$from")
        half=$((size / 2))
        { head -c "$half" "$from"; sleep 0.015; tail -c +$((half + 1)) "$from"; } >"$to"
        ;;
    esac
}

put 0
start game --paced --rate 200 "$work/game.so"
until_true '[ "$(status game frame)" -gt 5 ]' || fail "it does not run"
early_host=0
for i in $(seq 1 "$builds"); do
    put "$i"
    sleep "0.0$(printf '%02d' $((RANDOM % 46 + 5)))"
    if [ "$i" -eq 10 ]; then
        until_true "grep -q '^variant 11 ' '$work/game.err'" || fail "build 10 is not picked up"
        early_host=$(resident "$pid")
        early_runner=$(resident "$(status game runner_pid)")
    fi
done
wanted=$((builds + 1))
until_true "tail -1 '$work/game.err' | grep -q '^variant $wanted '" ||
    fail "the last build is not picked up: $(tail -1 "$work/game.err") $(status game notice)"
[ "$(status game failure)" = null ] || fail "a build was torn, or lost what was counted: $(grep -m3 reprise "$work/game.err")"
[ "$(status game notice)" = "[]" ] || fail "a notice is left: $(status game notice)"
sleep 0.2
late_host=$(resident "$pid")
late_runner=$(resident "$(status game runner_pid)")
echo "$(status game newest_build) of $wanted builds taken; host $early_host KiB after 10, $late_host KiB at the end;" \
    "runner $early_runner, $late_runner KiB"
taken=$(status game newest_build)
[ "$taken" -ge $((builds / 4)) ] || fail "only $taken builds were taken"
# The host keeps each build's file, and the runner the place of each; nothing else may grow.
each=$(($(stat -c %s "$work/made/1.so") / 1024))
[ "$late_host" -lt $((early_host + (each + 100) * builds + 8192)) ] ||
    fail "the host grew from $early_host to $late_host KiB"
[ "$late_runner" -lt $((early_runner + 40 * builds + 4096)) ] ||
    fail "the runner grew from $early_runner to $late_runner KiB"
copies=$(find "$XDG_RUNTIME_DIR" -name 'build-*.so' | wc -l)
[ "$copies" -eq "$taken" ] || fail "$copies copies for $taken builds"
reprise ctl --name game quit >/dev/null
wait "$pid" || fail "the host ended with $?"
nothing_left "$builds builds"
finish
