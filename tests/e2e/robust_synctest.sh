#!/usr/bin/env bash
# `reprise run --synctest`: honest programs never differ and have the hashes that they have without;
# a frame that reads the processor's clock is named, with the block or the variable.
. "$(dirname "$0")/robust_lib.sh" "$@"
cheats=$(dirname "$programs")/e2e
[ -e "$cheats/robust_cheat.so" ] || cheats=$(dirname "$host")/tests/e2e

for module in "$demo" "$programs"/{counter,lua,sqlite}_module.so; do
    [ -e "$module" ] || continue
    for options in "" --synctest; do
        # shellcheck disable=SC2086
        timeout 60 reprise run --stage none --frames 200 --hashes $options "$module" \
            >"$work/hashes$options" 2>"$work/err" || fail "$module $options: ended with $?: $(tail -1 "$work/err")"
    done
    cmp -s "$work/hashes" "$work/hashes--synctest" || fail "$module: other hashes with --synctest"
done

# differs MODULE TEXT…: frame 150, and it alone, differs, and the line has these texts
differs() {
    local module=$1 text
    shift
    timeout 60 reprise run --stage none --frames 200 --synctest "$module" >/dev/null 2>"$work/err"
    [ $? -eq 4 ] || fail "$module: the exit code is not 4: $(cat "$work/err")"
    [ "$(grep -c 'came out different' "$work/err")" -eq 1 ] || fail "$module: not one line: $(cat "$work/err")"
    for text in 'synctest: frame 150 ' ' the first time, ' "$@"; do
        grep -q -- "$text" "$work/err" || fail "$module: no '$text' in: $(cat "$work/err")"
    done
}
differs "$cheats/robust_cheat.so" "0 bytes into variable 'cheated' of 8 bytes: "
differs "$cheats/robust_cheat_heap.so" '16 bytes into a block of 48 of heap '
timeout 60 reprise run --stage none --frames 200 --synctest --debug '*=trace' "$cheats/robust_cheat_heap.so" 2>"$work/err"
grep -q '16 bytes into a block of 32 of heap .*made at ' "$work/err" || fail "no site: $(cat "$work/err")"

# A person can ask.
start twice --paced --rate 500 --synctest "$cheats/robust_cheat.so"
until_true '[ "$(status twice differed)" = 1 ]' || fail "status says $(reprise ctl --name twice --json status)"
[ "$(status twice last)" = 150 ] || fail "status names another frame"
until_true '[ "$(status twice frame)" -gt 160 ]' || fail "it does not go on"
reprise ctl --name twice quit >/dev/null
wait "$pid" || fail "the host ended with $?"
finish
