#!/usr/bin/env bash
# `reprise types` on a program that has blocks of every kind: each is told with its count, its way, and the
# answer that settles it; an answer that is given settles it; and a reload then converts what was told.
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need cc python3
mkdir "$work/small"
flags="$(reprise cflags) -g -fPIC -shared $(reprise ldflags)"
cat >"$work/small/small.c" <<'SOURCE'
#include <reprise/reprise.h>
#include <stdlib.h>
struct Node { struct Node *next; int value; FIELD };
struct World { struct Node *first; void *user; };
struct Base { long kind; };
struct Boss { struct Base base; long life; };
struct Left { long a, b, c; };
struct Right { double d, e, f; };
struct Odd { char bytes[1992]; struct Odd *other; };
typedef struct Made { int n; } Made;
static struct World world;
static void *any, *told, *hidden;
static struct Base *base;
static struct Boss boss;
static struct Left *left;
static struct Right *right;
static struct Odd *odd;
static long *middle;
static struct Node *nodes;
static void *dropped;
void rp_module_start(rp_stage *stage) {
    (void)stage;
    for (int i = 0; i < 3; i++) {
        struct Node *node = malloc(sizeof *node);
        node->next = world.first;
        node->value = i;
        world.first = node;
    }
    nodes = malloc(10 * sizeof *nodes);
    for (int i = 0; i < 10; i++) nodes[i] = (struct Node){0, i};
    any = malloc(4000);
    told = malloc(5000);
    world.user = malloc(6000);
    base = malloc(sizeof(struct Boss));
    left = malloc(sizeof *left);
    right = (void *)left;
    odd = malloc(3000);
    middle = (long *)malloc(900) + 10;
    dropped = malloc(7000);
    dropped = 0;
    hidden = rp_new(rp_heap_create(&(rp_heap_desc){.name = "made", .cap_bytes = 1 << 20}), Made, 3);
}
void rp_module_step(rp_stage *stage) { (void)stage; boss.life++; }
SOURCE
small() { # DEFINES…
    # shellcheck disable=SC2086
    cc $flags "$@" -o "$work/small/next.so" "$work/small/small.c" -lm && mv "$work/small/next.so" "$work/small/game.so" ||
        fail "the small module does not build"
}
printf '# reprise.types\ntold = bytes\n' >"$work/small/reprise.types"
small -DFIELD=
host_start --stage none --paced --watchdog 0 --debug made=trace "$work/small/game.so"

# told STATE TEXT…: a line of that part of the table has all of the texts, in their order.
told() {
    local state=$1 pattern
    shift
    pattern=$(printf '.*%s' "$@")
    sed -n "/^$state\$/,/^\$/p" "$work/table" | grep -q -- "$pattern" ||
        fail "not told as $state: $*: $(cat "$work/table")"
}
look() { reprise types game >"$work/table" || fail "types: $(cat "$work/table")"; }

# ---- each kind, in its part of the table ----
look
told known ' 1 ' ' bytes ' 'by an answer'
told known ' 1 ' 'Made ' 'made at ' 'small.c:[0-9]* Made ' 'its allocation says so'
told inferred ' 2 ' 'struct Node ' 'by world → World.first → Node.next$'
told inferred ' 1 ' 'struct Node ' 'by nodes$'
told ambiguous ' 4.0 KiB ' 'only pointers without a type'
told ambiguous "answer: reprise ctl reload 'World.user=TYPE'"
told ambiguous 'struct Base ' 'fit as well: struct Boss'
told ambiguous "answer: reprise ctl reload 'base=struct Base'"
told ambiguous 'struct Left ' 'another pointer says: struct Right, by right'
told ambiguous 'struct Odd ' 'its size does not divide'
told ambiguous 'only pointers into its middle lead to it'
told unknown 'nothing leads to it'

# ---- as JSON: every block is counted once, in its state, and in one group ----
reprise types --json --name game >"$work/json" || fail "types --json"
python3 - "$work/json" <<'CHECK' || fail "the counts do not add up"
import json, sys
types = json.load(open(sys.argv[1]))["types"]
for key in ("blocks", "bytes"):
    for state, total in types["totals"].items():
        of_groups = sum(g[key] for g in types["groups"] if g["state"] == state)
        assert of_groups == total[key], (state, key, of_groups, total[key])
        assert total["blocks"] > 0, state
    assert types[key] == sum(total[key] for total in types["totals"].values()), key
assert types["left_out"] == 0 and types["variables"] == types["variables_typed"] >= 12
CHECK

# ---- looking changes nothing of the world ----
quietly pause
at=$(field frame)
quietly back 1
quietly step 1
wait_for "is frame $at" "it does not come back to frame $at"
is failure null || fail "it fails after a look"

# ---- an answer is kept before any build asks, and settles it ----
quietly reload "base=struct Boss"
look
told known 'struct Boss ' 'by an answer'
quietly reload "any=bytes" "World.user=bytes" "hidden=bytes" "left=struct Left" "middle=bytes" "odd=struct Odd"
look
told known 'struct Left ' 'by an answer'
small '-DFIELD=double more;'
wait_for 'is build 2' "nothing is left to ask, and it is refused: $(field notice)"
look
told inferred ' 2 ' 'struct Node ' 'by world → World.first → Node.next$'

# ---- a build without debug information, nobody there, wrong usage ----
quietly quit
host_ended 0
small -DFIELD= -g0
host_start --stage none --paced --watchdog 0 "$work/small/game.so"
code=0
reprise types game >"$work/table" 2>"$work/why" || code=$?
[ "$code" = 1 ] && grep -q 'compile it with -g' "$work/why" || fail "without -g: $code: $(cat "$work/why")"
quietly quit
host_ended 0
code=0
reprise types nobody >/dev/null 2>&1 || code=$?
[ "$code" = 3 ] || fail "nobody there: $code"
code=0
reprise types --sideways >/dev/null 2>&1 || code=$?
[ "$code" = 2 ] || fail "wrong usage: $code"
