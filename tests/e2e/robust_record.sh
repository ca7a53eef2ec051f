#!/usr/bin/env bash
# Takes of what runs: `--take`, `reprise ctl save`, `--crash-takes`. Each frame in them has the hash that it had;
# hosts and runners that are killed at any moment, disks that fill up. RP_LONG=1: 1000 kills of each.
. "$(dirname "$0")/robust_lib.sh" "$@"
export XDG_STATE_HOME=$work/state
kills=12
[ -n "${RP_LONG:-}" ] && kills=1000
RANDOM=${RP_SEED:-1}
echo "seed ${RP_SEED:-1}"

# The frames of a take with their hashes, thin ones left out, as --hashes prints them.
frames_of() { reprise info --frames "$1" 2>/dev/null | awk '/^ *[0-9]+ build / && !/thin/ { print $1, $NF }'; }

# holds TAKE HASHES LEAST: all that is in it is as it was; frame 0 has no line in HASHES.
holds() {
    local code
    reprise info --check "$1" >"$work/checked" 2>&1
    code=$?
    [ $code -eq 0 ] || [ $code -eq 3 ] || { fail "$1 cannot be read: $(cat "$work/checked")"; return; }
    frames_of "$1" | grep -v '^0 ' >"$work/frames"
    # No gap: what was committed before a kill is there, up to what was at hand.
    grep -q '^ *thin ' "$work/checked" || awk 'NR > 1 && $1 != last + 1 { exit 1 } { last = $1 }' "$work/frames" ||
        fail "$1 has a gap in its frames"
    [ "$(wc -l <"$work/frames")" -ge "$3" ] || fail "$1 has $(wc -l <"$work/frames") frames, not $3 at least"
    [ -z "$(LC_ALL=C sort "$work/frames" | LC_ALL=C comm -23 - "$2.sorted" | head -1)" ] ||
        fail "$1: a frame with another hash: $(LC_ALL=C sort "$work/frames" | LC_ALL=C comm -23 - "$2.sorted" | head -1)"
}

reference() { # MODULE FRAMES HASHES
    reprise run --stage none --name reference --frames "$2" --hashes "$1" >"$3" 2>/dev/null
    LC_ALL=C sort "$3" >"$3.sorted"
}

# ---- recorded from the start ----
for name in lua sqlite context memory; do
    module=$programs/${name}_module.so
    reference "$module" 150 "$work/$name.hashes"
    reprise run --stage none --name rec --frames 150 --hashes --take "$work/$name.take" "$module" \
        >"$work/out" 2>"$work/err" || fail "$name: not recorded: $(cat "$work/err")"
    cmp -s "$work/out" "$work/$name.hashes" || fail "$name: recording changes the program's frames"
    holds "$work/$name.take" "$work/$name.hashes" 150
    [ $name = memory ] && continue # what it reads of its debug allocators is another thing in another process
    reprise open --stage none --trust --frames 150 --hashes --frame 60 "$work/$name.take" >"$work/out" 2>"$work/err" ||
        fail "$name: not opened: $(cat "$work/err")"
    tail -90 "$work/$name.hashes" | cmp -s - "$work/out" || fail "$name: other frames from frame 60 on"
done
cp "$work/lua.take" "$work/kept.take"
refused 1 'is there already' reprise run --stage none --frames 5 --take "$work/lua.take" "$programs/lua_module.so"
cmp -s "$work/lua.take" "$work/kept.take" || fail "a take was touched by a run that was refused"
echo words >"$work/words"
refused 1 'is no take' reprise run --stage none --frames 5 --take "$work/words" "$programs/lua_module.so"
refused 1 'file can be made' reprise run --stage none --frames 5 --take "$work/nowhere/a.take" "$programs/lua_module.so"

# ---- seeks, loops and another build on the way ----
cp "$programs/counter_module.so" "$work/game.so"
start rec --paced --take "$work/way.take" "$work/game.so"
until_true '[ "$(status rec frame)" -gt 60 ]' || fail "it does not run"
reprise ctl --name rec loop 20 40 >/dev/null
until_true '[ "$(status rec frame)" -eq 40 ]'
sleep 0.5
reprise ctl --name rec unloop >/dev/null
reprise ctl --name rec seek 30 >/dev/null
reprise ctl --name rec play >/dev/null
cp "$programs/counter_module_edit_1.so" "$work/next.so" && mv "$work/next.so" "$work/game.so"
until_true '[ "$(status rec build)" -eq 2 ]' || fail "the new build is not taken"
until_true '[ "$(status rec frame)" -gt 100 ]'
reprise ctl --name rec status --json | grep -q '"recording":{"file":"'"$work/way.take"'"' || fail "no status of the recording"

# ---- bookmarks: in what is recorded, and in what is saved ----
reprise ctl --name rec pause >/dev/null
at=$(status rec frame)
reprise ctl --name rec bookmark 'the boss' >/dev/null
reprise ctl --name rec back 20 >/dev/null
reprise ctl --name rec bookmark door >/dev/null
reprise ctl --name rec bookmark gone >/dev/null
reprise ctl --name rec unbookmark gone >/dev/null
reprise ctl --name rec play >/dev/null
until_true '[ "$(status rec frame)" -gt $((at + 5)) ]'
reprise ctl --name rec pause >/dev/null
end=$(reprise ctl --name rec bookmark end | awk '$2 == "end" { print $1 }') # the last frame that there is

# ---- saved while it runs ----
refused 1 'is there already' reprise ctl --name rec save "$work/way.take"
reprise ctl --name rec save "$work/saved.take" --wait >"$work/out" 2>"$work/err" || fail "not saved: $(cat "$work/err")"
(cd "$work" && reprise ctl --name rec save last.take 1 --wait >/dev/null) || fail "the last second is not saved"
reprise ctl --name rec quit >/dev/null
wait "$pid" || fail "the host ended with $?"
for take in way saved last; do
    reprise info --check "$work/$take.take" >"$work/out" 2>&1 || fail "$take.take: $(cat "$work/out")"
done
for take in way saved; do
    reprise info "$work/$take.take" | sed -n 's/^ *bookmark *//p' >"$work/marks"
    [ "$(cat "$work/marks")" = "$((at - 20)) door"$'\n'"$at the boss"$'\n'"$end end" ] || fail "$take.take: bookmarks: $(cat "$work/marks")"
done
reprise trim --frames "door-the boss" "$work/saved.take" "$work/part.take" >/dev/null 2>&1
trimmed=$(reprise info --json "$work/part.take" | grep -o '"bookmarks": *\[[^]]*\]' | grep -o '"frame"' | wc -l)
[ "$trimmed" -eq 2 ] || fail "a part between two bookmarks has $trimmed of them"
reprise open --stage none --trust --frame door --frames $((at - 19)) --hashes "$work/saved.take" 2>"$work/err" | cut -d' ' -f1 >"$work/out"
[ "$(cat "$work/out")" = $((at - 19)) ] || fail "opened at a bookmark: $(cat "$work/out" "$work/err")"
refused 2 'or a bookmark' reprise open --stage none --trust --frame nowhere "$work/saved.take"
grep -q 'build 2' <(reprise info "$work/saved.take") || fail "the second build is not in the take"
frames=$(frames_of "$work/last.take" | wc -l)
[ "$frames" -ge 60 ] && [ "$frames" -le 63 ] || fail "a second has $frames frames"
# What both hold of the last second is the same.
frames_of "$work/last.take" | LC_ALL=C sort >"$work/last"
frames_of "$work/way.take" | LC_ALL=C sort >"$work/way"
[ "$(LC_ALL=C comm -12 "$work/last" "$work/way" | wc -l)" -ge 55 ] || fail "recorded and saved frames differ"

# ---- what a crash leaves ----
mkdir "$work/crashes"
reprise run --stage none --name crash --frames 300 --crash-takes "$work/crashes" "$programs/bad_null.so" >"$work/out" 2>"$work/err"
[ $? -eq 3 ] || fail "a crash: exit code $?"
take=$(ls "$work"/crashes/crash-crash-*.take 2>/dev/null)
[ -f "$take" ] || fail "no take of the crash"
grep -q "the seconds before: $take" "$work/err" || fail "the take is not named: $(cat "$work/err")"
reprise info --check "$take" | grep -q 'SIGSEGV' || fail "the report is not in the take of the crash"

# ---- hosts and runners that are killed ----
long=$((4000 + 40 * kills))
reference "$programs/sqlite_module.so" "$long" "$work/long.hashes"
most=0 opened=0 missing=0 early=0
for number in $(seq "$kills"); do
    rm -f "$work"/killed.take "$work"/.reprise-*
    pace=(--paced)
    [ $((number % 3)) -eq 0 ] && pace=() # as fast as it goes
    reprise run --stage none --name killed --frames 4000 "${pace[@]}" --take "$work/killed.take" "$programs/sqlite_module.so" \
        >/dev/null 2>&1 &
    pid=$!
    started=("$pid")
    # Half of them while they begin, half once they run: a busy machine takes its time to begin.
    [ $((number % 2)) -eq 0 ] || until_true '[ "$(status killed frame)" -gt 0 ]'
    sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
    # What is told as committed is kept, but for the frame that is just being written.
    committed=$(status killed frame)
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    if ! [ -f "$work/killed.take" ]; then # the file has its name once the build and the first frame are in it
        [ "${committed:-0}" -le 15 ] || fail "$committed frames, and no take"
        early=$((early + 1))
        continue
    fi
    holds "$work/killed.take" "$work/long.hashes" 0
    opened=$((opened + 1))
    last=$(tail -1 "$work/frames" | cut -d' ' -f1)
    if [ ${#pace[@]} -gt 0 ] && [ "${committed:-0}" -gt 1 ]; then
        [ "$((committed - ${last:-0}))" -gt "$missing" ] && missing=$((committed - ${last:-0}))
        [ "${last:-0}" -ge $((committed - 1)) ] ||
            fail "host killed at frame $committed or later: its take ends with frame ${last:-none}"
    fi
    [ "${last:-0}" -gt "$most" ] && most=$last
    [ "$failures" -gt 5 ] && break
done
echo "hosts killed: $kills, takes opened: $opened, before there was one: $early, the longest: $most frames, missing at most: $missing"
[ "$opened" -ge $((kills / 2)) ] || fail "only $opened of $kills killed hosts had a take"
[ "$most" -gt 10 ] || fail "no killed host had recorded more than $most frames"
rm -f "$work/killed.take"
start killed --frames "$long" --paced --take "$work/killed.take" "$programs/sqlite_module.so"
killed=0 committed=0
for _ in $(seq "$kills"); do
    runner=$(status killed runner_pid)
    now=$(status killed frame)
    [ "${now:-0}" -ge "$committed" ] || fail "runner killed: frame ${now:-none} after frame $committed"
    committed=${now:-0}
    # 0: there is none just now
    [ "${runner:-0}" -gt 0 ] && kill -KILL "$runner" 2>/dev/null && killed=$((killed + 1))
    sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
    [ "$failures" -gt 5 ] && break
done
echo "runners killed: $killed, frames committed: $committed"
[ "$killed" -gt $((kills * 9 / 10)) ] || fail "only $killed of $kills runners were there to be killed"
committed=$(status killed frame)
reprise ctl --name killed quit >/dev/null
wait "$pid" || fail "the host whose runners were killed ended with $?: $(cat "$work/killed.err")"
holds "$work/killed.take" "$work/long.hashes" "$committed"

# ---- a disk that fills up ----
mkdir "$work/small"
if mount -t tmpfs -o size=1m none "$work/small" 2>/dev/null; then
    timeout 60 reprise run --stage none --name full --frames 1500 --hashes --take "$work/small/full.take" \
        "$programs/sqlite_module.so" >"$work/out" 2>"$work/err"
    head -1500 "$work/long.hashes" | cmp -s - "$work/out" || fail "a full disk changes the program"
    grep -q 'recording ended: .*No space left' "$work/err" || fail "a full disk is not told: $(cat "$work/err")"
    holds "$work/small/full.take" "$work/long.hashes" 20
    umount "$work/small"
else
    echo 'skipped: no small file system can be mounted here'
fi
rm -rf "$work/state"
nothing_left "after all"
finish
