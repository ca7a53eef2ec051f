#!/usr/bin/env bash
# Where it runs: without randomisation, with the legacy layout, an unlimited stack, little address space; and
# programs that are in the way, do not end, end at once, or are none.
. "$(dirname "$0")/doctor_lib.sh" "$@"
need setarch

# Nobody named: this command itself.
doctor
ends 0
says "modes['as-is']['proved'] == 3 and d['machine']['architecture'] == 'x86_64' and d['tracking'][-1]['present']"
reprise doctor >"$work/out" || fail "the table ended with $?"
for word in kernel wp-async 'randomisation off' 'USED' '^fine'; do
    grep -q "$word" "$work/out" || fail "the table lacks $word: $(cat "$work/out")"
done

program plain cc
for place in 'setarch -R' 'setarch -L'; do
    $place reprise doctor --json --no-record ./plain >"$work/json" || fail "$place: $?"
    says "d['base']['free'] and d['machine']['randomisation_off'] == $([ "$place" = 'setarch -R' ] && echo True || echo False)"
done
(ulimit -s unlimited 2>/dev/null && reprise doctor --json --no-record ./plain >"$work/json") && says "d['base']['free']"

# Little address space: enough, not enough.
(ulimit -v 62914560 && reprise doctor --json --no-record ./plain >"$work/json"); code=$?
ends 4
says "found('address-space')['weight'] == 'less' and modes['as-is']['proved_bytes'] < d['base']['reserve_bytes']"
(ulimit -v 2000000 && reprise doctor --json --no-record ./plain >"$work/json"); code=$?
ends 5
says "found('address-space')['weight'] == 'forbidden'"

# In the way.
program taker cc
doctor ./taker
ends 3
says "not d['base']['free'] and all(m['free'] == 0 for m in modes.values() if m['allowed'])"
says "d['blockers'][0]['from'] == '0x550000100000' and '550000100000' in found('base-taken')['why']"
says "d['windows'] and not any(w['built_in'] for w in d['windows'])"
doctor ./taker file
ends 3
says "'/subject_taker' in found('base-taken')['why'] or '/taker' in found('base-taken')['why']"

# Ends, and does not.
program endless cc
doctor ./endless
ends 0
says "modes['as-is']['ended'] == 0 and modes['as-is']['free'] == 1 and modes['as-is']['proved'] == 1"
doctor ./plain
says "modes['as-is']['ended'] == 1"
pgrep -f "^./endless" >/dev/null && fail "it was left running"
doctor ./plain die
ends 0
says "'signal' in found('program-died')['what']"
# Seen at its end only.
doctor ./taker late
ends 3

# None.
for none in ./missing no-such-program "$work" /etc/passwd; do
    doctor "$none"
    ends 1
    grep -q '^reprise: ' "$work/err" || fail "nothing said about $none"
done
doctor "$modules/counter_module.so"
ends 2
grep -q 'library' "$work/err" || fail "a module is not called one"
for wrong in --nonsense --survey '--survey=0' '--survey=x' '--limit=0'; do
    doctor "$wrong"
    ends 2
done
reprise doctor --help | grep -q 'exit codes' || fail "--help lacks the exit codes"

# Its words are its own, and what it prints is shown when asked for alone.
reprise doctor --no-record ./plain --json print >"$work/out" 2>"$work/err" || fail "words were taken from the program"
grep -q 'printed' "$work/out" "$work/err" && fail "the program's output is shown"
reprise doctor --no-record --verbose ./plain --json print >"$work/out" 2>"$work/err"
[ "$(grep -c '^printed$' "$work/err")" -ge 2 ] || fail "--verbose does not show the output"
exit 0
