#!/usr/bin/env bash
# `reprise gdb` with a real gdb: breakpoints, seeking from inside, going along from runner to runner, a
# crash that stops in place, and the watchdog that waits.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc gdb
gdb -batch -ex 'python print(1)' >/dev/null 2>&1 || { echo "skipped: gdb has no Python" >&2; exit 77; }
[ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" -lt 2 ] || { echo "skipped: nobody may trace here" >&2; exit 77; }

# A module whose state says which frame it is of.
mkdir "$work/demo"
cat >"$work/demo/game.c" <<'SOURCE'
#include <assert.h>
#include <reprise/stage.h>
/* here */
static int count, *nothing;
static __attribute__((noinline)) void tick(void)
{
    count++; /* tick */
}
void rp_module_step(rp_stage *stage)
{
    (void)stage;
    tick();
    /* later */
}
SOURCE
printf 'game.so: game.c\n\tcc -g -O1 %s -shared %s -o $@ game.c\n' '$(shell reprise cflags)' '$(shell reprise ldflags)' >"$work/demo/Makefile"
source_line() { grep -n -- "$1" "$work/demo/game.c" | head -1 | cut -d: -f1; }
tick_line=$(source_line '/\* tick \*/')
host_start --stage none --paced --watchdog 400 --build "$build" --source "$work/demo" "$work/demo/game.so"
wait_for 'above frame 40'

# debug SCRIPT: what gdb prints is in $work/said; a command that fails ends the script, and DONE is lacking.
debug() {
    printf '%s\necho DONE\\n\n' "$1" >"$work/script.gdb"
    timeout 100 reprise gdb game -- -batch -ex 'set pagination off' -x "$work/script.gdb" >"$work/said" 2>&1
    local code=$?
    [ "$code" = 0 ] && grep -q '^DONE$' "$work/said" || fail "gdb ended with $code: $(cat "$work/said")"
}
said() { grep -qE -- "$1" "$work/said" || fail "gdb did not say \"$1\": $(cat "$work/said")"; }
# From gdb's `shell`: runs words with all of lib.sh.
cat >"$work/do" <<WORDS
#!/usr/bin/env bash
$(declare -f until_true wait_for ctl field is above)
fail() { echo "FAILED: \$*"; exit 1; }
$(declare -f edit | sed 's/\$work/${work}/g')
export work='$work'
eval "\$1"
WORDS
chmod +x "$work/do"

# ---- breakpoints: file and line, the watchdog waits, the host answers ----
restarts=$(field restarts)
debug "
break tick
break game.c:$tick_line
info breakpoints
delete 2
reprise continue
shell $work/do 'is runner_does step && is traced true || fail the host does not know it'
shell $work/do 'wait_for \"above runner_ms 1000\"'
shell $work/do 'echo restarts=\$(field restarts)'
backtrace
"
said "Breakpoint 1 at 0x[0-9a-f]+: file (.*)?game\\.c, line $tick_line\\."
said "Breakpoint 1, tick \\(\\) at (.*)?game\\.c:$tick_line"
said "^#1 .* in rp_module_step \\(.*game\\.c:"
said "^restarts=$restarts$"
grep -q FAILED "$work/said" && fail "$(cat "$work/said")"
at=$(field frame)
wait_for "above frame $at" "it does not go on without gdb"
is failure null || fail "the watchdog ended what a debugger had held"

# ---- seeking from inside: in the middle of a step, and between two frames ----
debug "
break tick
reprise continue
reprise seek 21
print count
reprise back 4
print count
delete
reprise step 3
print count
reprise watch count
reprise continue
reprise status
python
try:
    gdb.execute('reprise seek 99999999')
except gdb.GdbError as error:
    print('refused', error)
except gdb.error as error:
    print('refused', error)
end
reprise unwatch
info breakpoints
"
said '^\$1 = 21$'
said '^\$2 = 17$'
said '^\$3 = 20$'
said '^\[reprise: frame 21: count = 21, before it 20\]$'
said '^refused reprise: .*99999999'
said '^No breakpoints or watchpoints\.$'
is restarts $((restarts + 1)) || fail "a step that was given up takes one runner, not $(($(field restarts) - restarts))"
wait_for 'is traced false'
quietly play
wait_for 'is mode play'

# A seek that is refused gives no step up.
at=$(field restarts)
debug "
break tick
reprise continue
python
try:
    gdb.execute('reprise seek 99999999')
except (gdb.GdbError, gdb.error) as error:
    print('refused', error)
end
backtrace
"
said '^#0  tick'
is restarts "$at" || fail "a refused seek ended a runner"

# ---- a new build: gdb goes along, breakpoints are where the code is now ----
debug "
break tick
break tock
disable 1
shell $work/do 'edit \"s,^/\\* here \\*/,/* moved */\\n\\nstatic __attribute__((noinline)) void tock(void) { __asm__(\\\"\\\"); } /* tock */,; s,^    tick();,    tock();\\n    tick();,\"'
reprise continue
info breakpoints
print count
shell $work/do 'is build 2 || fail build \$(field build)'
delete 2
enable 1
reprise continue
"
tock_line=$(source_line '/\* tock \*/') tick_line=$(source_line '/\* tick \*/')
said "Breakpoint 2, tock \\(\\) at (.*)?game\\.c:$tock_line"
said "tick at (.*)?game\\.c:$tick_line"
said "Breakpoint 1, tick \\(\\) at (.*)?game\\.c:$tick_line"
said '\[reprise: runner [0-9]+: build 2, frame '
grep -q FAILED "$work/said" && fail "$(cat "$work/said")"

# A frame of the old build: its lines.
debug "
reprise seek 30
break tick
reprise status
info breakpoints
print count
"
said 'build 1, frame 30 of game'
said '^\$1 = 30$'
quietly play
wait_for 'is mode play && is build 2'

# ---- kill -9: while it stands in gdb, and while it runs ----
debug "
break tick
reprise continue
shell kill -KILL \$($work/do 'field runner_pid')
reprise continue
print 1111
delete
shell { $work/do 'pid=\$(field runner_pid) at=\$(field frame); wait_for \"above frame \$((at + 5))\"; kill -KILL \$pid; wait_for \"! is runner_pid \$pid && is traced true && above frame \$((at + 20))\"; kill -INT \$(field runner_pid)' & } >/dev/null 2>&1
handle SIGINT stop nopass
reprise continue
print 2222
"
said '^\$1 = 1111$'
said '^\$2 = 2222$'
[ "$(grep -c 'reprise: runner ' "$work/said")" -ge 3 ] || fail "gdb did not go along: $(cat "$work/said")"

# ---- a crash stops in place, and is a failure as usual behind it ----
debug "
shell $work/do 'edit \"s,^    /\\* later \\*/,    *nothing = 1; /* crash */,\"'
reprise continue
backtrace
reprise continue
print count
"
crash_line=$(source_line '/\* crash \*/')
said 'received signal SIGSEGV'
said "^#0 .*rp_module_step \\(.*game\\.c:$crash_line"
said '\[reprise: the step failed: '"game.c:$crash_line"
wait_for 'is mode failed' "the usual failure does not follow"
[ "\$1 = $(field frame)" = "$(grep '^\$1 = ' "$work/said")" ] || fail "gdb is not at the frame before: $(cat "$work/said")"

# An assertion raises no signal, and yet stops in the module's frame.
debug "
shell $work/do 'edit \"s,^    \\*nothing = 1;.*,    assert(nothing); /* assert */,\"'
reprise continue
"
said '\[reprise: the program failed: assertion failed: nothing\]'
said "^#[0-9]+ .*rp_module_step \\(.*game\\.c:$(source_line '/\* assert \*/')"
wait_for 'is mode failed'
edit 's,^    assert(nothing);.*,    /* later */,'
wait_for 'is failure null && is mode play' "it does not go on once it is mended"

# ---- at the prompt gdb's own `continue` goes along as well ----
mkfifo "$work/keys"
reprise gdb game <"$work/keys" >"$work/said" 2>&1 &
debugger=$!
exec 7>"$work/keys"
echo continue >&7
wait_for 'is traced true' "gdb does not attach"
runner=$(field runner_pid) at=$(field frame)
wait_for 'is traced true && above frame $((at + 10))' "it does not go on under gdb"
kill -KILL "$runner"
wait_for 'is traced true && ! is runner_pid "$runner" && above frame $((at + 30))' "gdb does not go along"
at=$(field build)
edit 's,^/\* moved \*/,/* moved again */,'
wait_for '! is build "$at" && is traced true' "gdb does not go along to a new build"
at=$(field frame)
wait_for 'above frame $((at + 30))' "it does not run on in the new build"
kill "$debugger"
wait "$debugger"
exec 7>&-
wait_for 'is traced false && above frame $((at + 60))' "the end of gdb ends the program"

# ---- the host ends although gdb holds the program ----
debug "
break tick
reprise continue
shell $work/do 'ctl quit >/dev/null && wait_for \"[ ! -e $XDG_RUNTIME_DIR/reprise/game.sock ]\"'
echo QUIT\\n
"
said '^QUIT$'
grep -q FAILED "$work/said" && fail "$(cat "$work/said")"
host_ended 0

# ---- where writes are noticed by a signal, that one is no stop, and a fault of the program is ----
sed -i 's,^    /\* later \*/,    if (stage->frame > 60) *nothing = 1; /* crash */,' "$work/demo/game.c"
$build || fail "the module does not build"
for tracking in mprotect wp-sigbus; do
    host_start --stage none --paced --tracking $tracking --build "$build" --source "$work/demo" "$work/demo/game.so"
    is tracking $tracking || { quietly quit; host_ended 0; continue; } # the machine has no such
    wait_for 'above frame 10'
    quietly pause
    debug "
    reprise seek 5
    break tick
    reprise continue
    delete
    reprise continue
    "
    said 'Breakpoint 1, tick'
    said 'received signal SIGSEGV|\[reprise: the program failed: SIGSEGV'
    said "rp_module_step \(.*game\.c:$(source_line '/\* crash \*/')"
    wait_for 'is mode failed'
    quietly quit
    host_ended 0
done

# ---- refusals ----
reprise gdb game >/dev/null 2>"$work/said"
[ $? = 3 ] || fail "gdb at nobody: $(cat "$work/said")"
reprise gdb --nonsense >/dev/null 2>"$work/said"
[ $? = 2 ] || fail "an option that is none: $(cat "$work/said")"
reprise gdb --help | grep -q 'reprise seek' || fail "no help"
