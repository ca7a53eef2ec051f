#!/usr/bin/env bash
# Where the system refuses calls, by a sandbox's filter or at a limit: the program goes on.
# As lib.sh, and: REFUSE PROGRAM
refuse=$3 program=$4
set -- "$1" "$2"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
code=0
"$refuse" peek true || code=$?
[ "$code" != 77 ] || { echo "skipped: no filter of system calls can be installed" >&2; exit 77; }
[ "$code" = 0 ] || fail "refuse: ended with $code"

# goes_on RULE MODES LINES COMMAND…: it ends well, and LINES (a pattern of a number) are said.
goes_on() {
    local rule=$1 modes=${2#none} lines=$3 code=0 said
    shift 3
    timeout 100 "$refuse" "$rule" env "LD_PRELOAD=$library" ${modes:+"REPRISE_DEBUG=*=$modes"} "$@" \
        >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 0 ] || fail "$rule, '$modes', $*: ended with $code: $(tail -5 "$work/err")"
    said=$(grep -c '^reprise: ' "$work/err")
    # shellcheck disable=SC2053
    [[ $said = $lines ]] || fail "$rule, '$modes', $*: said $said lines, not $lines: $(head -5 "$work/err")"
}

# No region, as under vm.overcommit_memory=2 where nothing can be committed: the next malloc, and one line.
for rule in reserve reserve-limit commit; do
    for modes in none canary end-of-page; do
        goes_on "$rule" "$modes" 1 "$program" none
        grep -q 'malloc stays as it was' "$work/err" || fail "$rule: $(cat "$work/err")"
    done
done

# Memory that cannot be given back, locks that cannot sleep, memory that cannot be asked for.
# The program translates its messages: what fails within the library must not call malloc.
for rule in madvise madvise-region wait peek limits; do
    for modes in none canary quarantine; do
        goes_on "$rule" "$modes" 0 "$program" none
        goes_on "$rule" "$modes" 0 env LC_ALL=C.UTF-8 sort /dev/null
    done
    goes_on "$rule" none 0 "$python" -c 'import json; json.dumps(list(range(100000)))'
done

# Guards that the system refuses: canaries, and one line.
for rule in madvise madvise-region; do
    goes_on "$rule" end-of-page '[01]' "$program" none
    goes_on "$rule" end-of-page '[0-2]' env LC_ALL=C.UTF-8 sort /dev/null
done

# What is too much at once is the caller's MemoryError, and small blocks go on.
goes_on commit-large none 0 "$python" -c '
try:
    bytes(200 << 20)
    raise SystemExit("200 MiB were had")
except MemoryError:
    [bytes(1000) for _ in range(10000)]'
