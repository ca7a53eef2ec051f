#!/usr/bin/env bash
# The base is free, and is used, in each kind of program; a mode that the program itself cannot run in is a
# note, and no failure.
. "$(dirname "$0")/doctor_lib.sh" "$@"
runs=${RP_LONG:+20}
runs=${runs:-1}

# kind NAME KIND SANITIZERS COMPILER FLAGS…
kind() {
    local name=$1 is=$2 sanitizers=$3
    shift 3
    program "$name" "$@"
    doctor --survey "$runs" "./$name"
    ends 0
    # One question: each starts a Python.
    says "(d['program']['kind'] == '$is' and d['program']['sanitizers'] == [$sanitizers]
        and d['base']['free'] and d['base']['randomisation_bits'] == 32 and len(d['base']['sanitizers']) == 3
        and all(m['free'] == m['runs'] == $runs for m in modes.values() if m['allowed'])
        and all(m['proved'] == m['proofs'] for m in modes.values())
        and modes['as-is']['proved'] == modes['no-randomisation']['proved'] == $runs
        and d['windows'][0]['built_in'])"
}

kind pie pie '' cc -fPIE -pie
kind not_pie non-pie '' cc -fno-pie -no-pie
says "all(m['proved'] == $runs for m in modes.values() if m['allowed'])"
if [ -e "$bin/reprise-prove-static" ]; then
    kind static static '' cc -static -no-pie
    says "all(m['proved'] == $runs for m in modes.values() if m['allowed'])"
    kind static_pie static-pie '' cc -fPIE -static-pie
fi
kind ubsan pie '' cc -fsanitize=undefined
kind asan pie "'address'" cc -fsanitize=address
kind tsan pie "'thread'" cc -fsanitize=thread
if command -v clang >/dev/null; then
    kind msan pie "'memory'" clang -fsanitize=memory
    kind clang_asan pie "'address'" clang -fsanitize=address
fi
exit 0
