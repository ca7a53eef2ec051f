#!/usr/bin/env bash
# `reprise open`: the same frames in a new process, from a copy elsewhere, without the build it was made of;
# what it refuses, with its exit code; libraries that lie elsewhere; a take that is cut off.
. "$(dirname "$0")/robust_lib.sh" "$@"
export XDG_STATE_HOME=$work/state
maker=$6/robust_take_maker
# take_make PROGRAM FILE.take HASHES: its first 200 frames
take_make() {
    PROGRAM=$1 FRAMES=200 TAKE=$2 HASHES=$3 "$maker" >"$work/out" 2>&1 && [ -s "$2" ] ||
        { cat "$work/out" >&2; echo "FAILED: no take of $1" >&2; exit 1; }
}

# As from another machine: nothing of the build is left but what the take holds.
mkdir "$work/there" "$work/here"
cp "$programs/counter_module.so" "$work/there/game.so"
take_make "$work/there/game.so" "$work/there/a.take" "$work/hashes"
take_make lua_module "$work/here/lua.take" "$work/lua.hashes"
cp "$work/there/game.so" "$work/kept.so"
cp "$work/there/a.take" "$work/here/b.take"
rm -r "$work/there"
take=$work/here/b.take
reprise export --input --output "$work/b.input" "$take" || fail "no inputs"

# opened CODE ARGUMENTS…: headless, to $work/out
opened() {
    local wanted=$1 got
    shift
    timeout 60 reprise open --stage none "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" -eq "$wanted" ] || fail "open $*: ended with $got, not $wanted: $(cat "$work/err")"
}
says() { grep -q -- "$1" "$work/err" || fail "it says \"$(cat "$work/err")\", not \"$1\""; }
hashes_from() { # FRAME [FILE]
    tail -n +$(($1 + 1)) "${2:-$work/hashes}" | cmp -s - "$work/out" ||
        fail "from frame $1: $(wc -l <"$work/out") other hashes"
}

# ---- what is not known is not run ----
opened 5 --frames 200 "$take"
says 'did not run on this machine yet'
says '--trust'
opened 0 --frames 100 --hashes --frame 99 --module "$work/kept.so" "$take" # the same bytes are here
opened 5 --frames 200 "$take"
opened 0 --frames 100 --hashes --frame 99 --trust "$take"
hashes_from 99 <(head -100 "$work/hashes")

# ---- any frame, and on from there ----
for frame in first 1 60 199; do
    opened 0 --frames 200 --hashes --frame "$frame" --input "$work/b.input" "$take"
    hashes_from "${frame/first/0}"
done
reprise export --input --output "$work/lua.input" "$work/here/lua.take"
opened 0 --trust --frames 200 --hashes --frame 120 --input "$work/lua.input" "$work/here/lua.take"
hashes_from 120 "$work/lua.hashes"
opened 0 --frames 201 --hashes "$take"
[ "$(cut -d' ' -f1 "$work/out")" = 201 ] || fail "the last frame is not where it stands"

# ---- libraries that lie elsewhere: every process loads one more ----
libm=$(ldd "$programs/lua_module.so" | sed -n 's/.*libm\.so[^ ]* => \([^ ]*\) .*/\1/p')
export LD_PRELOAD=$libm
opened 0 --frames 200 --hashes --frame 60 --input "$work/lua.input" "$work/here/lua.take"
unset LD_PRELOAD
says 'lie elsewhere in this process'
[ "$(wc -l <"$work/out")" -eq 140 ] || fail "it does not play on where libraries lie elsewhere"

# ---- while it is open: history, loops, a runner that is killed, an edited build ----
cp "$work/kept.so" "$work/here/game.so"
reprise open --stage none --paced --name opened --frame 150 --module "$work/here/game.so" "$take" \
    >"$work/opened.out" 2>"$work/opened.err" &
pid=$!
started+=("$pid")
until_true '[ "$(status opened frame)" = 150 ]' || fail "it does not stand at frame 150: $(cat "$work/opened.err")"
[ "$(status opened mode)" = '"pause"' ] || fail "it does not pause"
c() { reprise ctl --name opened "$@" >/dev/null 2>"$work/ctl.err" || fail "ctl $*: $(cat "$work/ctl.err")"; }
c seek 20
[ "$(status opened frame)" = 20 ] || fail "no frame 20"
[ "$(status opened newest)" = 200 ] || fail "the frames behind it are gone"
c seek 180
c back 5
[ "$(status opened frame)" = 175 ] || fail "back does not lead to 175"
c loop 100 140
until_true '[ "$(status opened pass)" -gt 3 ]' || fail "it does not loop"
[ "$(status opened diverged)" = 0 ] || fail "a pass of the loop differs"
kill -KILL "$(status opened runner_pid)"
until_true '[ "$(status opened restarts)" -gt 0 ] && [ "$(status opened pass)" -gt 5 ]' || fail "no other runner"
[ "$(status opened diverged)" = 0 ] || fail "after a kill a pass differs"
c unloop
c seek 90
cp "$programs/counter_module_edit_1.so" "$work/new.so" && mv "$work/new.so" "$work/here/game.so"
until_true '[ "$(status opened newest_build)" = 2 ]' || fail "the edited build is not taken"
c play
until_true '[ "$(status opened frame)" -gt 130 ]' || fail "it does not play on"
kill "$pid"
wait "$pid" || fail "it ended with $?"
nothing_left "open"

# ---- what cannot be opened ----
refused 2 'no take' reprise open
refused 2 'unknown option' reprise open --seed 4 "$take"
refused 2 'say with --module' reprise open --build make "$take"
refused 2 'give a number' reprise open --stage none --frame soon "$take"
refused 1 'it has 0 to 200' reprise open --stage none --frame 777 "$take"
refused 1 'this is no take' reprise open --stage none "$work/kept.so"
refused 1 'cannot be opened' reprise open --stage none "$work/nothing.take"
refused 1 'no regular file\|not a regular file' reprise open --stage none "$work/here"
before=$failures
(
    ulimit -v 8000000
    refused 1 'address space limit' reprise open --stage none "$take"
    [ "$failures" -eq "$before" ]
) || fail "a limit of address space is not named"

# ---- cut off: up to the last frame that is whole ----
size=$(stat -c %s "$take")
for part in 60 85 99; do
    head -c $((size * part / 100)) "$take" >"$work/here/cut.take"
    at=$(reprise info --frames "$work/here/cut.take" 2>/dev/null | tail -1 | cut -d' ' -f1)
    [ "${at:-0}" -gt 1 ] || continue
    opened 0 --frames $((at + 1)) --hashes --input "$work/b.input" "$work/here/cut.take"
    says 'frames before it can be read'
    [ "$(cat "$work/out")" = "$(sed -n "$((at + 1))p" "$work/hashes")" ] || [ "$at" -ge 200 ] ||
        fail "cut at $part %: frame $((at + 1)) is another"
done
head -c 100 "$take" >"$work/here/cut.take"
refused 1 'at 64: a record is longer' reprise open --stage none "$work/here/cut.take"
nothing_left "open"
finish
