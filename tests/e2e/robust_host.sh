#!/usr/bin/env bash
# How a host ends: asked to (orderly, nothing left), or killed (no runner outlives it, and the next host
# clears away what it left).
. "$(dirname "$0")/robust_lib.sh" "$@"

module=$programs/counter_module.so
pids_of() { # the runners of a host
    pgrep -P "$1" -f reprise-runner
}
# shellcheck disable=SC2317 # called through until_true
gone() { # PID…: none of them lives, as far as it is a runner
    for one in "$@"; do
        grep -qs reprise-runner "/proc/$one/cmdline" && return 1
    done
    return 0
}

for signal in TERM INT HUP; do
    # An interactive shell would not, but a script starts what runs behind with SIGINT ignored.
    start "ends_$signal" --paced "$module"
    until_true "[ \"\$(status ends_$signal frame)\" -gt 10 ]" || fail "$signal: it does not run"
    runners=$(pids_of "$pid")
    [ "$(echo "$runners" | wc -l)" -eq 2 ] || fail "$signal: runner and spare are \"$runners\""
    [ "$(find "$XDG_RUNTIME_DIR" -name 'build-*.so' | wc -l)" -eq 1 ] || fail "$signal: no copy while it runs"
    kill "-$signal" "$pid"
    wait "$pid" || fail "$signal: the host ended with $?"
    until_true "gone ${runners//$'\n'/ }" || fail "$signal: a runner is left"
    nothing_left "$signal"
    [ -z "$(ls "$XDG_RUNTIME_DIR/reprise")" ] || fail "$signal: its socket is left"
done

# Killed at any moment: while it starts, while it runs, while it takes a build.
cp "$module" "$work/game.so"
for delay in 0.00 0.01 0.02 0.03 0.05 0.1 0.3; do
    reprise run --stage none --paced --name killed "$work/game.so" >/dev/null 2>&1 &
    pid=$!
    started+=("$pid")
    sleep "$delay"
    if [ "$delay" = 0.3 ]; then
        cp "$programs/counter_module_edit_1.so" "$work/new" && mv "$work/new" "$work/game.so"
        sleep 0.01
    fi
    runners=$(pids_of "$pid")
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    until_true "gone ${runners//$'\n'/ }" || fail "killed after $delay: a runner is left"
done

# A runner in an endless step dies with its host, too.
start hung --watchdog 0 --paced "$programs/bad_hang.so"
sleep 2
runners=$(pids_of "$pid")
kill -KILL "$pid"
wait "$pid" 2>/dev/null
until_true "gone ${runners//$'\n'/ }" || fail "a runner that hangs outlives its host"

# What the dead left goes with the next start; what lives, and what is not ours, stays.
[ "$(find "$XDG_RUNTIME_DIR" -maxdepth 1 -name 'reprise-??????' | wc -l)" -ge 1 ] || fail "the killed left nothing: this test tests nothing"
mkdir "$XDG_RUNTIME_DIR/reprise-abcdef" "$XDG_RUNTIME_DIR/reprise-mine" "$XDG_RUNTIME_DIR/other-abcdef"
touch "$XDG_RUNTIME_DIR/reprise-abcdef/build-000001.so" "$XDG_RUNTIME_DIR/reprise-abcdef/precious.txt"
touch "$XDG_RUNTIME_DIR/reprise-file00"
ln -s "$work" "$XDG_RUNTIME_DIR/reprise-link00"
start first --paced "$module"
first=$pid
start second --paced "$module"
[ "$(find "$XDG_RUNTIME_DIR" -name 'build-*.so' | wc -l)" -ge 2 ] || fail "a live host's copy is gone"
reprise ctl --name first quit >/dev/null
reprise ctl --name second quit >/dev/null
wait "$first" || fail "the first ended with $?"
wait "$pid" || fail "the second ended with $?"
[ -e "$XDG_RUNTIME_DIR/reprise-abcdef/precious.txt" ] || fail "a file that is none of ours is gone"
[ -d "$XDG_RUNTIME_DIR/reprise-mine" ] && [ -d "$XDG_RUNTIME_DIR/other-abcdef" ] || fail "a folder of another name is gone"
[ -L "$XDG_RUNTIME_DIR/reprise-link00" ] && [ -e "$work/game.so" ] || fail "a link was followed"
rm -rf "$XDG_RUNTIME_DIR"/reprise-{abcdef,mine,file00,link00} "$XDG_RUNTIME_DIR/other-abcdef"
nothing_left "after hosts that were killed"
finish
