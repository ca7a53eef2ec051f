#!/usr/bin/env bash
# The example of two peers: over lines that lose, delay, reorder and repeat packets both confirm the
# same frames, which are those of a perfect line; a peer that cheats is found out.
. "$(dirname "$0")/robust_lib.sh" "$@"
example=$(dirname "$host")/examples/rollback/example_rollback
[ -x "$example" ] || exit 77
seed=${RP_SEED:-$RANDOM}
echo "RP_SEED=$seed"
frames=300 lines=2
[ -n "${RP_LONG:-}" ] && frames=3000 lines=30
port=$((20000 + seed % 20000))

# play NAME OPTIONS…: both peers; what they print goes to $work/NAME
play() {
    local name=$1
    shift
    timeout 60 "$example" --frames "$frames" --rate 400 --seed "$seed" "$@" >"$work/$name" 2>"$work/$name.err"
}
confirmed() { sed -n "s/^player [01]: frames 1 to $frames confirmed, //p" "$work/$1" | sort -u; }
rollbacks() { sed -n 's/^player [01]: \([0-9]*\) rollbacks.*/\1/p' "$work/$1" | sort -n | head -1; }

play alone --player 0 --port $((port + 2)) --peer $((port + 3)) &
alone=$!
started+=("$alone")
play perfect || fail "a perfect line: ended with $?: $(cat "$work/perfect.err")"
[ "$(confirmed perfect | wc -l)" -eq 1 ] || fail "a perfect line: $(cat "$work/perfect")"
for ((i = 1; i <= lines; i++)); do
    play "line$i" --delay $((5 * i % 40)) --jitter $((9 * i % 30)) --loss $((13 * i % 40)) --twice $((7 * i % 30)) ||
        fail "line $i: ended with $?: $(cat "$work/line$i.err")"
    [ "$(confirmed "line$i")" = "$(confirmed perfect)" ] || fail "line $i: other frames: $(cat "$work/line$i")"
    [ "$(rollbacks "line$i")" -gt 5 ] || fail "line $i: nothing was guessed wrong: $(cat "$work/line$i")"
done

# The two as programs of their own, one of which starts late.
play one --player 0 --port "$port" --peer $((port + 1)) --loss 10 &
first=$!
started+=("$first")
sleep 0.3
play two --player 1 --port $((port + 1)) --peer "$port" --loss 10 || fail "player 1 ended with $?: $(cat "$work/two.err")"
wait "$first" || fail "player 0 ended with $?: $(cat "$work/one.err")"
cat "$work/one" "$work/two" >"$work/both"
[ "$(confirmed both)" = "$(confirmed perfect)" ] || fail "two programs: $(cat "$work/both")"

play spoilt --delay 5 --jitter 10 --spoil 100
[ $? -eq 3 ] || fail "a peer that cheats: not found: $(cat "$work/spoilt" "$work/spoilt.err")"
grep -q 'DESYNC: the peers differ after frame 1[0-9][0-9]$' "$work/spoilt.err" || fail "says $(cat "$work/spoilt.err")"

wait "$alone"
[ $? -eq 1 ] || fail "without the other it does not end with 1"
grep -q 'was not heard of' "$work/alone.err" || fail "says $(cat "$work/alone.err")"
finish
