#!/usr/bin/env bash
# Errors of a program: how it ends, and what is said of it.
# As lib.sh, and: PROGRAM
program=$3
set -- "$1" "$2"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
ulimit -c 0

# ends CODE MODES WHAT [ARGUMENT]: 134 is abort, 139 a fault. What it says is in $work/err.
ends() {
    local expected=$1 code=0
    modes=${2#none}
    shift 2
    with=(env "LD_PRELOAD=$library" ${modes:+"REPRISE_DEBUG=*=$modes"})
    under "$program" "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$expected" ] || fail "$* under '$modes': ended with $code, not $expected: $(cat "$work/err")"
}
says() {
    for text in "$@"; do
        grep -q -- "$text" "$work/err" || fail "'$text' is not in: $(cat "$work/err")"
    done
}
silent() { [ ! -s "$work/err" ] || fail "$*: $(cat "$work/err")"; }

# A good program: not a word, under every mode.
for mode in none canary fill end-of-page start-of-page quarantine stacks sampled=2 leaks canary,fill,quarantine; do
    ends 0 "$mode" none
    silent "$mode"
    ends 7 "$mode" none 7
    silent "$mode"
done

# Frees that cannot be done, with and without modes: the kind, the function, the end.
for mode in none canary quarantine,end-of-page; do
    ends 134 "$mode" double
    says 'double free' do_wrong 'wrong\.c:'
    ends 134 "$mode" inside
    says 'inside a block' do_wrong
    ends 134 "$mode" foreign
    says 'foreign memory' do_wrong
    ends 134 "$mode" resize
    says 'double resize' do_wrong
done

# Every call that makes a block is told from where: no frame of the library comes before the program's.
ends 23 leaks each
for call in malloc calloc realloc moving reallocarray memalign aligned_alloc posix_memalign pvalloc; do
    grep -A1 'first made' "$work/err" | grep -q "made_by_$call" || fail "$call: $(cat "$work/err")"
done

# Overwrites, found by a mark, a guard, a rest.
ends 23 canary overrun
says 'overrun' '1 bytes behind the block' '100 bytes' 'found at' do_wrong 'made at' make
ends 23 canary underrun
says 'underrun' do_wrong
ends 139 end-of-page far
says 'guard page behind a block was touched' 'a write' '100 bytes'
ends 5 end-of-page far handled
says "the program's own handler"
ends 139 end-of-page,quarantine after
says 'freed block was touched' 'a write'
ends 23 fill after
says 'written after it was freed' make

# Leaks: what nothing points to, and what only that holds; what is reachable is not one.
ends 23 leaks leak
says 'leaks: .* in 2 blocks that nothing points to, 60 B in 1 that only those hold' '70 B' 'wrong\.c:' leak
[ "$(cat "$work/out")" = 'at work' ] || fail "what the program wrote is lost"
ends 4 leaks leak 4
says '70 B'
export REPRISE_LEAKS_EXIT=0
ends 0 leaks leak
says '70 B'
export REPRISE_LEAKS_EXIT=9
ends 9 leaks leak
unset REPRISE_LEAKS_EXIT
ends 0 leaks none
ends 0 canary leak
silent leak

# Settings that are none.
ends 0 no-such-mode none
says 'REPRISE_DEBUG' no-such-mode canary

with=(env "LD_PRELOAD=$library")
# A report at exit, as text and JSON, one a process.
REPRISE_REPORT=$work/report.txt under "$program" none >/dev/null || fail "the report: ended with $?"
for text in 'generic "program"' fragmentation 'resident memory of the process'; do
    grep -q -- "$text" "$work/report.txt" || fail "'$text' is not in: $(cat "$work/report.txt")"
done
for _ in 1 2; do
    REPRISE_REPORT=$work/%p.json under "$program" none >/dev/null || fail "reports: ended with $?"
done
[ "$(find "$work" -name '[0-9]*.json' | wc -l)" = 2 ] || fail "not one report a process: $(ls "$work")"
for json in "$work"/[0-9]*.json; do
    "$python" -c 'import json, sys; json.load(open(sys.argv[1]))["ledger"]' "$json" || fail "$json"
done
REPRISE_REPORT=/nonexistent/file under "$program" none >/dev/null 2>"$work/err" || fail "ended with $?"
says 'REPRISE_REPORT: cannot write /nonexistent/file'
