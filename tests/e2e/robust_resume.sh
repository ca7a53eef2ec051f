#!/usr/bin/env bash
# `reprise run --resume`: where host and runner are killed at random moments, every frame is as in a run that
# nobody disturbed; what cannot be gone on from is told; nothing grows.
. "$(dirname "$0")/robust_lib.sh" "$@"
RANDOM=${RP_SEED:-$$}
echo "RP_SEED=${RP_SEED:-$$}"
kills=${RP_LONG:+100} kills=${kills:-8}
frames=$((kills * 120))
folder() { find "$XDG_RUNTIME_DIR/reprise/resume" -mindepth 1 -maxdepth 1 -name "$1-*"; }

cat >"$work/play.input" <<'INPUT'
reprise-input 1
12 +right
52 space
300 -right
310 +left
700 text "hello"
900 -left
INPUT

# as_undisturbed FILE WHAT: its whole lines are frames with the hashes of $work/undisturbed
as_undisturbed() {
    grep -x '[0-9]* [0-9a-f]\{16\}' "$1" >"$work/whole"
    grep -vxFf "$work/undisturbed" "$work/whole" >"$work/others"
    [ -s "$work/others" ] && fail "$2: another frame $(head -1 "$work/others")"
}

# killed MODULE: runs it to the end, killed again and again
killed() {
    local module=$1 arguments at count=0 went_on=0
    cp "$module" "$work/game.so"
    arguments=(--stage none --paced --rate 500 --input "$work/play.input" --hashes --frames "$frames")
    timeout 120 reprise run "${arguments[@]}" "$work/game.so" >"$work/undisturbed" 2>/dev/null ||
        fail "$module: it does not run"
    while [ "$count" -lt "$kills" ]; do
        reprise run --resume --name killed "${arguments[@]}" "$work/game.so" >"$work/out" 2>"$work/err" &
        pid=$!
        started+=("$pid")
        sleep "0.$(printf '%03d' $((RANDOM % 300)))"
        if [ $((RANDOM % 3)) -eq 0 ]; then # the runner first
            kill -KILL "$(pgrep -P "$pid" -f reprise-runner | head -1)" 2>/dev/null
        fi
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        count=$((count + 1))
        as_undisturbed "$work/out" "$module, kill $count"
        grep -q 'goes on behind frame' "$work/err" && went_on=$((went_on + 1))
        [ "$(find "$(folder game.so)" -type f | wc -l)" -le 3 ] || fail "$module: takes pile up"
    done
    reprise run --resume "${arguments[@]}" "$work/game.so" >"$work/out" 2>"$work/err" || fail "$module: $(cat "$work/err")"
    as_undisturbed "$work/out" "$module, the last run"
    [ "$(tail -1 "$work/out")" = "$(tail -1 "$work/undisturbed")" ] || fail "$module: it does not reach its end"
    at=$(sed -n 's/.*goes on behind frame \([0-9]*\)$/\1/p' "$work/err")
    [ "${at:-0}" -gt 0 ] && [ "$went_on" -gt $((kills / 3)) ] ||
        fail "$module: only $went_on of $kills runs went on, the last behind frame ${at:-none}"
    [ "$(find "$(folder game.so)" -type f | wc -l)" -eq 1 ] || fail "$module: more than one take is left"
    rm -r "$XDG_RUNTIME_DIR/reprise/resume"
}
killed "$programs/counter_module.so"
[ ! -e "$programs/lua_module.so" ] || killed "$programs/lua_module.so"

# ---- another take begins where one has grown ----
module=$programs/counter_module.so
REPRISE_RESUME_BYTES=100000 timeout 60 reprise run --resume --stage none --paced --rate 1000 --frames 3500 "$module" \
    2>"$work/err" || fail "grown: $(cat "$work/err")"
file=$(find "$(folder counter_module.so)" -type f)
[ "${file##*/}" != state-00000001.take ] || fail "no other take began"
reprise info --check "$file" >/dev/null || fail "grown: the take is damaged"

# ---- an edited build takes over ----
cp "$module" "$work/game.so"
reprise run --resume --stage none --frames 50 "$work/game.so" 2>/dev/null || fail "edited: it does not run"
cp "$programs/counter_module_edit_1.so" "$work/game.so"
reprise run --resume --stage none --paced --name edited "$work/game.so" 2>"$work/err" &
pid=$!
started+=("$pid")
until_true '[ "$(status edited newest_build)" = 2 ]' || fail "edited: the other build is not taken"
until_true '[ "$(status edited frame)" -gt 60 ]' || fail "edited: it does not go on"
refused 1 'another host runs this module' reprise run --resume --stage none --name other "$work/game.so"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
reprise run --resume --stage none --frames 5000 "$work/game.so" 2>"$work/err" || fail "edited: $(cat "$work/err")"
grep -q 'goes on behind frame' "$work/err" || fail "edited: $(cat "$work/err")"

# ---- what cannot be gone on from ----
file=$(find "$(folder game.so)" -type f)
head -c 3000 "$file" >"$work/cut" && cp "$work/cut" "$file"
reprise run --resume --stage none --frames 10 "$work/game.so" 2>"$work/err" || fail "cut: $(cat "$work/err")"
grep -q 'resume: .*state-.*take' "$work/err" || fail "cut: it is not told: $(cat "$work/err")"
reprise run --resume --stage none --frames 20 "$work/game.so" 2>"$work/err" || fail "cut: $(cat "$work/err")"
grep -q 'goes on behind frame 10$' "$work/err" || fail "after a new world: $(cat "$work/err")"
chmod 755 "$XDG_RUNTIME_DIR/reprise/resume"
refused 1 'no folder of yours alone' reprise run --resume --stage none --frames 5 "$work/game.so"
chmod 700 "$XDG_RUNTIME_DIR/reprise/resume"
reprise run --stage none --frames 5 "$work/game.so" 2>"$work/err" || fail "without: $(cat "$work/err")"
grep -q 'goes on' "$work/err" && fail "it went on without being asked"
nothing_left resume
finish
