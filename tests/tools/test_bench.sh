#!/usr/bin/env bash
# tools/bench.sh against programs that print what a benchmark prints, and one that fails.
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d /tmp/reprise-bench-XXXXXX)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

program() { # PATH: prints its arguments' ids as results
    cat > "$1" <<'EOS'
#!/bin/sh
shift
for id in "$@"; do
    echo '{"id":"'"$id"'","case":"two words","value":1.5,"target":2,"unit":"ratio","ok":true,"median_us":3.00}'
    echo '{"id":"'"$id"'","case":"told","value":9,"target":0,"unit":"us","ok":true,"spread":0.05}'
    echo '{"id":"'"$id"'","case":"slow","value":7,"target":2,"unit":"us","ok":false,"median_us":3.00,"spread":0.25}'
done
EOS
    chmod +x "$1"
}

mkdir -p "$work"/{empty,bench,host}
program "$work/bench/bench_one"
program "$work/host/bench_two"
touch "$work/bench/bench_one.c"

[ "$("$source/tools/bench.sh" "$work" --json S1 S2 | wc -l)" = 12 ] || fail "--json does not pass all lines on"
"$source/tools/bench.sh" "$work" S1 > "$work/table"
grep -qE '^S1 +two words +1.5 +2 +ratio +yes$' "$work/table" || fail "a target that was met is not shown"
grep -qE '^S1 +slow +7 +2 +us +MISSED +spread 25 %$' "$work/table" || fail "a target that was missed is not shown"
grep -qE '^S1 +told +9 +- +us +-$' "$work/table" || fail "a result without a target is not shown as one"
grep -qx '6 results, 2 missed' "$work/table" || fail "the results are not counted"
! "$source/tools/bench.sh" "$work/empty" 2>/dev/null || fail "no benchmarks is no failure"
! "$source/tools/bench.sh" "$work" --fast 2>/dev/null || fail "an unknown option is taken"
echo 'exit 3' >> "$work/bench/bench_one"
! "$source/tools/bench.sh" "$work" S1 > "$work/table" 2>/dev/null || fail "a benchmark that fails is no failure"
grep -qx '6 results, 2 missed' "$work/table" || fail "after one that failed the others do not run"
