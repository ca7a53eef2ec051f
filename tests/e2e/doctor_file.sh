#!/usr/bin/env bash
# The project file: written by a survey, checked by `reprise run` and the doctor, never put in the place of what
# is not ours.
. "$(dirname "$0")/doctor_lib.sh" "$@"
file=.reprise-address
module=$modules/counter_module.so
play() { reprise run --stage none --frames 3 "$module" >"$work/out" 2>"$work/err"; }

reprise doctor >/dev/null || fail "a quick look ended with $?"
[ ! -e $file ] || fail "a quick look wrote the file"
play || fail "it does not run"
[ ! -s "$work/err" ] || fail "without a file something is said"

reprise doctor --survey 2 >"$work/out" || fail "the survey ended with $?"
grep -q "^written: $file" "$work/out" || fail "it is not said that it was written"
for line in 'reprise-address 1' 'base 0x550000000000' 'architecture x86_64' 'mode as-is 2 2 2' 'kind pie'; do
    grep -qx "$line" $file || fail "no line $line in: $(cat $file)"
done
play || fail "it does not run beside the file"
[ ! -s "$work/err" ] || fail "a file that fits is complained of: $(cat "$work/err")"

# Made elsewhere: told by run, which goes on, and by the doctor; replaced by a survey.
sed -i 's/^base .*/base 0x20000000000/' $file
play || fail "a file that does not fit keeps it from running"
grep -q '0x20000000000' "$work/err" || fail "run does not say what does not fit: $(cat "$work/err")"
reprise doctor --json >"$work/json"; code=$?
ends 6
says "'0x20000000000' in found('project-file')['why']"
reprise doctor --survey 1 >/dev/null || fail "the survey does not replace it: $?"
grep -qx 'base 0x550000000000' $file || fail "it was not replaced"

# Damaged: told with its line.
echo 'page none' >>$file
play
grep -q "$file:[0-9]*:" "$work/err" || fail "the damaged line is not named: $(cat "$work/err")"

# Somebody else's stays.
echo precious >$file
reprise doctor --survey 1 >/dev/null 2>"$work/err"; code=$?
ends 1
[ "$(cat $file)" = precious ] || fail "a file that is not ours was written over"
grep -q "not written over" "$work/err" || fail "it is not said why"
rm $file

# Elsewhere, and not at all.
reprise doctor --record --file there >/dev/null || fail "--record --file: $?"
[ -s there ] && [ ! -e $file ] || fail "--file was not heeded"
reprise doctor --survey 1 --no-record >/dev/null || fail "--no-record: $?"
[ ! -e $file ] || fail "--no-record was not heeded"
reprise doctor --record --file no/such/folder >/dev/null 2>"$work/err"; code=$?
ends 1
# A survey that finds the base taken writes nothing.
program taker cc
reprise doctor --survey 1 ./taker >/dev/null; code=$?
ends 3
[ ! -e $file ] || fail "a base that is taken was recorded"
exit 0
