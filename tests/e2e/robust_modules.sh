#!/usr/bin/env bash
# Files that are no module, and modules that cannot be used: one clear line each and exit code 1; while a
# program runs, the old build goes on and its frames are untouched.
. "$(dirname "$0")/robust_lib.sh" "$@"
command -v cc >/dev/null || exit 77

make_module() { # NAME SOURCE [FLAGS…]
    local name=$1 source=$2
    shift 2
    printf '%s\n' '#include <reprise/stage.h>' '#include <stdlib.h>' "$source" |
        cc -x c -g -I"$sources/include" -fPIC -shared -o "$work/$name.so" - -x none "$@"
}
step='static int n; void rp_module_step(rp_stage *s) { (void)s; n++; }'
good=$programs/counter_module.so

echo "this is a text" >"$work/text.so"
: >"$work/empty.so"
head -c 100000 /dev/urandom >"$work/noise.so"
size=$(stat -c %s "$good")
for at in 3 40 64 500 $((size / 2)) $((size - 1)); do
    head -c "$at" "$good" >"$work/cut_$at.so"
done
{ head -c 18 "$good"; printf '\267\000'; tail -c +21 "$good"; } >"$work/arm.so"
printf 'int main(void) { return 0; }' | cc -x c -o "$work/program.so" -
printf 'int main(void) { return 0; }' | cc -x c -static -no-pie -o "$work/fixed.so" - 2>/dev/null ||
    cp "$work/program.so" "$work/fixed.so"
make_module no_step 'void rp_module_start(rp_stage *s) { (void)s; }'
make_module unresolved 'extern void nowhere(void); void rp_module_step(rp_stage *s) { (void)s; nowhere(); }'
printf 'int f;' | cc -x c -shared -fPIC -Wl,-soname,libnot.so -o "$work/libnot.so" -
make_module no_library "$step" -Wl,--no-as-needed "$work/libnot.so"
rm "$work/libnot.so"
make_module constructor "$step __attribute__((constructor)) static void c(void) { *(volatile int *)0 = 1; }"
make_module constructor_exits "$step __attribute__((constructor)) static void c(void) { exit(5); }"
make_module start "$step void rp_module_start(rp_stage *s) { (void)s; abort(); }"
make_module start_exits "$step void rp_module_start(rp_stage *s) { (void)s; exit(0); }"
make_module start_hangs "$step void rp_module_start(rp_stage *s) { (void)s; for (;;); }"
mkdir "$work/folder.so"
ln -s nowhere "$work/dangling.so"
mkfifo "$work/pipe.so"

# NAME TEXT: what is refused at the start
table="
text            no ELF
noise           no ELF
arm             x86-64
program         shared
fixed           shared
no_step         export rp_module_step
unresolved      nowhere
no_library      libnot.so
constructor     SIGSEGV
constructor_exits exit(5)
start           SIGABRT
start_exits     exit(0)
start_hangs     did not end
folder          folder.so
dangling        does not exist
missing         does not exist
pipe            pipe.so
"
while read -r name text; do
    [ -n "$name" ] || continue
    refused 1 "$text" reprise run --stage none --frames 5 --watchdog 1 "$work/$name.so"
done <<<"$table"
for name in empty cut_40 cut_$((size / 2)) cut_$((size - 1)); do
    refused 1 "complete\|cut off" reprise run --stage none --frames 5 "$work/$name.so"
done
nothing_left "modules that are refused at the start"

# While a program runs: what is put in its place is refused, said, and nothing changes.
make_module reloaded "extern unsigned counter; unsigned counter; $step
    void rp_module_reloaded(rp_stage *s, const rp_reload *r) { (void)s; (void)r; abort(); }"
make_module reloaded_hangs "$step
    void rp_module_reloaded(rp_stage *s, const rp_reload *r) { (void)s; (void)r; for (;;); }"
make_module became_pointer "char *counter; $step"
cp "$good" "$work/live.so"
start live --paced --watchdog 1 "$work/live.so"
reprise run --stage none --frames 300 --hashes "$good" >"$work/alone" 2>/dev/null

put() { # FILE: in the place of the running module, at once
    rm -rf "$work/new"
    cp -a "$1" "$work/new" && rm -rf "$work/live.so" && mv "$work/new" "$work/live.so"
}

refused_live() { # FILE TEXT
    put "$1"
    until_true "status live notice | grep -q -- '$2'" ||
        fail "$(basename "$1") while it runs: says $(status live notice), not \"$2\""
    local beyond=$(($(status live frame) + 2))
    until_true "[ \"\$(status live frame)\" -gt $beyond ]" || fail "$1: the old build does not go on"
    [ "$(status live build)" = 1 ] && [ "$(status live newest_build)" = 1 ] || fail "$1: it is build $(status live build)"
    [ "$(status live failure)" = null ] || fail "$1: a failure is shown: $(status live failure)"
}

table='
text            no ELF
arm             x86-64
program         shared
no_step         export rp_module_step
unresolved      nowhere
no_library      libnot.so
constructor     SIGSEGV
reloaded        SIGABRT
reloaded_hangs  did not end
became_pointer  variable .counter.
'
while read -r name text; do
    [ -n "$name" ] && refused_live "$work/$name.so" "$text"
done <<<"$table"
refused_live "$work/cut_$((size / 2)).so" "cut off"
rm -f "$work/live.so"
until_true "status live notice | grep -q 'does not exist'" || fail "a module that vanishes is not told"

# The old one back: quiet again; and its frames are those of an undisturbed run.
put "$good"
until_true '[ "$(status live notice)" = "[]" ]' || fail "the notice stays: $(status live notice)"
until_true '[ "$(status live frame)" -ge 300 ]'
reprise ctl --name live quit >/dev/null
wait "$pid" || fail "the host ended with $?: $(tail -3 "$work/live.err")"
nothing_left "modules that are refused while one runs"

# The frames of a run in whose middle builds are refused, against those of a run without.
cp "$good" "$work/hashed.so"
(
    for name in became_pointer reloaded no_step constructor; do
        sleep 0.4
        cp "$work/$name.so" "$work/hashed.new" && mv "$work/hashed.new" "$work/hashed.so"
    done
) &
timeout 60 reprise run --stage none --paced --frames 300 --hashes "$work/hashed.so" >"$work/disturbed" 2>"$work/err" ||
    fail "a run with refused builds ended with $?"
wait
cmp -s "$work/alone" "$work/disturbed" || fail "refused builds changed frames"
grep -q "" "$work/err" || fail "refused builds are not told on standard error"
nothing_left "the end"
finish
