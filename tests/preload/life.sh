#!/usr/bin/env bash
# A process's whole life, and processes in which the region cannot be had.
# As lib.sh, and: PROGRAM ITS-LIBRARY PROGRAM-AT-OUR-ADDRESS STATIC-PROGRAM
program=$3 program_library=$4 taken=$5 static=$6
set -- "$1" "$2"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

moments() { # HOW EXPECTED
    local said
    said=$(under timeout 60 "$program" "$program_library" "$1" 2>"$work/err") || fail "$1: ended with $?: $(cat "$work/err")"
    [ "$said" = "$2 moments" ] || fail "$1: \"$said\", not $2 moments"
    [ ! -s "$work/err" ] || fail "$1: $(cat "$work/err")"
}
for _ in $(seq 10); do
    moments plain 6
    moments quick 5
done

# ---- without the region: everything goes on with the next allocator, and it is said once -------------

# goes_on WHY COMMAND…: writes "fine" and one line that holds WHY
goes_on() {
    local why=$1
    shift
    "$@" >"$work/out" 2>"$work/err" || fail "$why: ended with $?: $(cat "$work/err")"
    [ "$(cat "$work/out")" = fine ] || fail "$why: $(cat "$work/out")"
    [ "$(grep -c '^reprise: ' "$work/err")" = 1 ] || fail "$why: said $(grep -c '^reprise: ' "$work/err") times: $(cat "$work/err")"
    grep -q "^reprise: .*$why" "$work/err" || fail "no \"$why\" in: $(cat "$work/err")"
    REPRISE_QUIET=1 "$@" >"$work/out" 2>"$work/err" || fail "$why: quiet: ended with $?"
    [ ! -s "$work/err" ] || fail "$why: REPRISE_QUIET=1 is not quiet: $(cat "$work/err")"
}
with_limit() { # KIB COMMAND…
    (ulimit -v "$1" && shift && under "$@")
}
code='import json, threading; json.dumps(list(range(100000))); t = threading.Thread(target=print, args=("fine",)); t.start(); t.join()'
goes_on RLIMIT_AS with_limit 400000 "$python" -c "$code"

goes_on '0x550000000000' under "$taken"

# A static program has no place for us, and nobody is told.
[ "$(under "$static" 2>&1)" = fine ] || fail "a static program does not run"

# A limit that leaves room: half of it is reserved, and what does not fit goes on elsewhere.
for kib in 1000000 4000000 40000000; do
    out=$(with_limit "$kib" "$python" -c "$code" 2>&1) || fail "ulimit -v $kib: ended with $?: $out"
    [ "$out" = fine ] || fail "ulimit -v $kib: $out"
done
out=$(with_limit 1500000 "$python" -c 'a = [bytes(50 << 20) for _ in range(20)]; print(len(a))' 2>&1) || fail "$out"
[ "$out" = 20 ] || fail "a limit that the C library's malloc would keep: $out"
out=$(with_limit 1500000 "$python" -c "
try:
    a = [bytes(50 << 20) for _ in range(100)]
except MemoryError:
    print('full')" 2>&1) || fail "$out"
[ "$out" = full ] || fail "a limit that is reached: $out"
