#!/usr/bin/env bash
# The same input gives the same hashes: twice, with a larger environment, from another folder, with
# either tracking, whatever the budget.
. "$(dirname "$0")/robust_lib.sh" "$@"

cat >"$work/play.input" <<'INPUT'
reprise-input 1
12 +right
52 space
120 left
170 space
200 -right
210 +left
300 mouse 31.5 20 left
400 text "hello"
500 -left
INPUT

# hashes FILE ARGUMENTS…
hashes() {
    local file=$1
    shift
    timeout 60 reprise run "$@" --stage none --input "$work/play.input" --frames 600 --hashes \
        >"$work/$file" 2>"$work/$file.err" || fail "$*: ended with $?: $(tail -1 "$work/$file.err")"
}

same() {
    cmp -s "$work/first" "$work/$1" ||
        fail "$module: other hashes $2, from frame $(diff "$work/first" "$work/$1" | sed -n '2s/< \([0-9]*\).*/\1/p')"
}

for module in "$demo" "$programs"/{counter,lua,sqlite,chipmunk,context}_module.so; do
    [ -e "$module" ] || continue
    hashes first "$module"
    [ "$(grep -c '^[0-9]* [0-9a-f]\{16\}$' "$work/first")" -eq 600 ] || fail "$module: not 600 hashes"
    [ "$(cut -d' ' -f2 "$work/first" | sort -u | wc -l)" -gt 590 ] || fail "$module: hashes repeat"
    hashes second "$module"
    same second "the second time"
    (
        for i in $(seq 300); do export "ROBUST_ENVIRONMENT_$i=$(printf '%0100d' "$i")"; done
        hashes environment "$module"
    )
    same environment "with a larger environment"
    mkdir -p "$work/a folder"
    (cd "$work/a folder" && cp "$module" ./copy.so && hashes folder ./copy.so)
    same folder "from another folder"
    hashes wp "$module" --tracking wp-async
    grep -q 'wp-async' "$work/wp.err" || same wp "with wp-async"
    hashes compare "$module" --tracking compare
    same compare "with compare"
    hashes budget "$module" --budget 1M
    same budget "with a small budget"
done

# Where there is something to differ in, it does.
hashes first "$programs/counter_module.so"
hashes other "$programs/counter_module.so" --seed 2
cmp -s "$work/first" "$work/other" && fail "another seed gives the same hashes"
hashes other "$programs/counter_module.so" --time 5
cmp -s "$work/first" "$work/other" && fail "another time gives the same hashes"
nothing_left hashes
finish
