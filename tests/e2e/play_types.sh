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

# ---- from the last point before the type mattered ----
# From frame 60 on a block is there of which nothing tells the type. Frames before it can be brought over.
rm "$work/small/reprise.types"
cat >"$work/small/small.c" <<'SOURCE'
#include <reprise/reprise.h>
#include <stdio.h>
#include <stdlib.h>
struct Item { int count; FIELD };
static void *any;
static int sum;
struct Item *unused;
void rp_module_step(rp_stage *stage) {
    struct Item *item = any;
    if (stage->frame == 60) {
        item = any = calloc(1, sizeof *item);
    }
    sum += (int)stage->frame;
    if (item) {
        item->count += 2;
    }
    printf("frame %d: count %d sum %d size %d\n", (int)stage->frame, item ? item->count : -1, sum, (int)sizeof *item);
    fflush(stdout);
}
SOURCE
small -DFIELD=
host_start --stage none --paced --watchdog 0 "$work/small/game.so"
wait_for 'above frame 150'
small '-DFIELD=double mass;'
wait_for 'is kind doubt' "the doubt is not told: $(field notice)"
quietly pause
at=$(field frame)
quietly reload --since
is build 2 && is frame "$at" || fail "build $(field build) at frame $(field frame), not build 2 at $at"
is refused null && is failure null || fail "it is refused still: $(field notice)"
grep -q 'the input was run again: [0-9]* frames' "$work/err" || fail "nothing was run again"
again=$(sed -n 's/.*the input was run again: \([0-9]*\) frames.*/\1/p' "$work/err" | tail -1)
[ "$again" -ge $((at - 59)) ] && [ "$again" -le $((2 * (at - 59))) ] || fail "$again frames were run again, up to $at"
quietly step 1
wait_for "is frame $((at + 1))"
wait_for "says 'frame $((at + 1)): count $((2 * (at + 1 - 59))) sum $(((at + 1) * (at + 2) / 2)) size 16'" "$(tail -1 "$work/err")"
# The frames before are still there, under the build that made them.
is oldest 0 || fail "the history before is gone: $(field oldest)"
quietly seek 10
is frame 10 || fail "frame 10 is not there: $(field frame)"
# A build that came late on a slow machine may have been taken from further back than that.
[ "$again" -ge $((at - 10)) ] || is build 1 || fail "frame 10 is of build $(field build), $again frames ran again up to $at"
quietly play
wait_for 'above frame 20'
is build 2 || fail "the new build does not take over from frame 10"

# A variable stands in the way at every frame: nothing is changed by trying.
sed -i 's/^static int sum;/static int *sum;/; s/sum += (int)stage->frame;/sum = sum;/; s/, sum, / , 0, /' "$work/small/small.c"
small '-DFIELD=double mass;'
wait_for 'is kind variable' "it is not refused: $(field notice)"
code=0
ctl reload --since >/dev/null 2>"$work/said" || code=$?
[ "$code" = 1 ] && is build 2 && is kind variable || fail "code $code, build $(field build), $(field kind): $(cat "$work/said")"
at=$(field frame)
wait_for "above frame $((at + 5))" "the old build does not go on"
quietly quit
host_ended 0
