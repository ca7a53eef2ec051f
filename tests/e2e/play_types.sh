#!/usr/bin/env bash
# Structs are edited while the program runs: the demo's enemies get a field, and keep all else. What
# nothing tells is asked once, what cannot be carried is refused by name; each has its ways on.
# Conditions are words that lib.sh looks at again: what they use looks unused.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need make cc
demo_copy
$build || fail "the demo does not build"
host_start --stage none --paced --watchdog 0 --build "$build" --source "$work/demo" "$work/demo/game.so"
wait_for 'above frame 60'

# ---- a field in the middle of Enemy, at the demo's own source ----
edit 's/^    float home_x, home_y;$/    float home_x; float coyote_s; float home_y;/'
wait_for 'is build 2' "the edit of Enemy is not taken: $(field notice)"
[ "$(field objects)" -ge 5 ] || fail "objects converted: $(field objects)"
is values_lost 0 || fail "values are lost: $(field first_lost)"
grep -q 'objects converted' "$work/err" || fail "the report does not say how many objects"
at=$(field frame)
wait_for "above frame $((at + 30))" "it does not go on after the edit"
is failure null || fail "it fails after the edit: $(field failure)"

# Back again, which takes fields away.
cp "$sources/examples/demo/game.c" "$work/edited.c" && mv "$work/edited.c" "$work/demo/game.c"
wait_for 'is build 3' "the edit is not taken back: $(field notice)"
at=$(field frame)
wait_for "above frame $((at + 30))"
is failure null || fail "it fails when the edit is taken back: $(field failure)"
quietly quit
host_ended 0

# ---- what nothing tells, what cannot be, and a variable's initial value ----
mkdir "$work/small"
flags="$(reprise cflags) -g -fPIC -shared $(reprise ldflags)"
cat >"$work/small/small.c" <<'SOURCE'
#include <reprise/reprise.h>
#include <stdio.h>
#include <stdlib.h>
struct Item { int count; FIELD };
RP_TWEAK(int, tweak, TWEAK);
static void *any;
static OTHER other;
int plain = PLAIN;
struct Item *unused;
void rp_module_start(rp_stage *stage) {
    (void)stage;
    struct Item *item = any = malloc(sizeof *item);
    item->count = 41;
    plain = 7;
}
void rp_module_step(rp_stage *stage) {
    struct Item *item = any;
    printf("frame %d: count %d tweak %d plain %d\n", (int)stage->frame, item->count, tweak, plain);
    fflush(stdout);
}
SOURCE
small() { # DEFINES…
    # shellcheck disable=SC2086
    cc $flags "$@" -o "$work/small/next.so" "$work/small/small.c" -lm && mv "$work/small/next.so" "$work/small/game.so" ||
        fail "the small module does not build"
}
small -DFIELD= -DTWEAK=1 -DPLAIN=1 -DOTHER=int
host_start --stage none --paced --watchdog 0 "$work/small/game.so"
says() { grep '^frame' "$work/err" | tail -1 | grep -q "$1"; }
wait_for 'says "count 41 tweak 1 plain 7"'

small '-DFIELD=double mass;' -DTWEAK=2 -DPLAIN=2 -DOTHER=int
wait_for 'field notice | grep -q "any leads to"' "the doubt is not told: $(field notice)"
is kind doubt || fail "the kind of refusal is $(field kind)"
is what any || fail "the pointer is $(field what)"
is build 1 || fail "the old build does not go on"
code=0
ctl reload any=Nothing >/dev/null 2>&1 || code=$?
[ "$code" = 1 ] || fail "an answer that is no type ended with $code"
quietly reload any=Item
wait_for 'is build 2'
wait_for 'says "count 41 tweak 2 plain 7"' "not carried: $(tail -1 "$work/err")"
grep -q '^any = Item$' "$work/small/reprise.types" || fail "the answer is not kept: $(cat "$work/small/reprise.types")"
quietly reset plain
wait_for 'says "tweak 2 plain 2"' "not reset: $(tail -1 "$work/err")"
ctl reset nothing >/dev/null 2>&1 && fail "a variable that is not there is reset"

# Asked once: the next edit of the same struct goes through.
small '-DFIELD=double mass; int more;' -DTWEAK=2 -DPLAIN=2 -DOTHER=int
wait_for 'is build 3' "it is asked again: $(field notice)"
wait_for 'says "count 41 tweak 2 plain 2"'

# A variable that cannot be carried; and regardless of it.
small '-DFIELD=double mass; int more;' -DTWEAK=2 -DPLAIN=2 '-DOTHER=char *'
wait_for 'is kind variable' "the variable is not refused: $(field notice)"
is build 3 || fail "the old build does not go on"
quietly reload --regardless
wait_for 'is build 4'
wait_for 'says "count 41 tweak 2 plain 2"'

# What is not ours is not written to.
echo "my own notes" >"$work/small/reprise.types"
small '-DFIELD=double mass; char more[3];' -DTWEAK=2 -DPLAIN=2 '-DOTHER=char *'
wait_for 'field notice | grep -q "no answer"' "a file of another kind is not told: $(field notice)"
grep -q '^my own notes$' "$work/small/reprise.types" || fail "another's file was changed"
quietly quit
host_ended 0
