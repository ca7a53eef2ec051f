#!/usr/bin/env bash
# The take of a program that embeds the deck: what reads takes reads it, what runs frames refuses it by name.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/robust_lib.sh"
build=$6/../.. # the build folder
cd "$work" || exit 1

says() { # TEXT COMMAND…: it ends with 0 and says so
    local text=$1
    shift
    "$@" >out 2>err || fail "$* failed: $(cat err)"
    grep -qF -- "$text" out || fail "$* does not say: $text: $(cat out)"
}

refuses() { # CODE TEXT COMMAND…: it ends with that and says so
    local code=$1 text=$2 ended
    shift 2
    "$@" >out 2>err
    ended=$?
    [ "$ended" -eq "$code" ] || fail "$* ended with $ended, not $code: $(cat out err)"
    cat out err | grep -qF -- "$text" || fail "$* does not say: $text: $(cat out err)"
}

# ---- a module, edited once ----

compile() { # NAME SED-PROGRAM
    mkdir -p sources
    sed "$2" "$sources/examples/embedded/game.c" >sources/game.c
    "${CC:-cc}" -std=c11 -g -fPIC -shared -I"$sources/examples/embedded" -I"$sources/include" \
        sources/game.c -o "$1.so" || fail "$1 does not compile"
}
compile first ''
compile second 's/float x, speed;/double mass; float x, speed;/; s/1\.5f/2.5f/'
"$build/examples/embedded/example_embedded" --take game.take ./first.so ./second.so >out 2>err ||
    fail "the example failed: $(cat err)"

says '0 to 120' reprise info game.take
says 'embedded  saved by a program that holds the deck itself' reprise info game.take
says 'build 2' reprise info game.take
says 'every frame has its hash' reprise info --check game.take
says '"embedded":true' reprise info --json game.take
refuses 3 'balls[0].x (float): ' reprise diff game.take 10 11
refuses 3 'bounces (unsigned int): 0' reprise diff game.take 1 60
reprise plot --csv game.take bounces 'balls[3].x' >table || fail 'plot failed'
[ "$(grep -c '^[0-9]' table)" -ge 120 ] || fail "plot has too few rows: $(tail -3 table)"
grep -q '^60,[1-9]' table || fail "no bounces by frame 60: $(grep '^60,' table)"
reprise export --build 1 --output again.so game.take && cmp -s first.so again.so ||
    fail 'build 1 is not the file that was loaded'
reprise trim --frames 100-120 game.take part.take || fail 'trim failed'
says '100 to 120' reprise info --check part.take
says 'embedded' reprise info part.take

refuses 1 'embeds the deck' reprise open --stage none --frames 1 --trust game.take
refuses 1 'embeds the deck' reprise verify --trust game.take
refuses 1 'embeds the deck' reprise export --input game.take

# ---- no module: the program's own variables ----

cat >plain.c <<'CODE'
#include <reprise/take.h>
#include <stdint.h>
typedef struct person { int age; struct person *next; } person;
static int score, elsewhere;
int main(void)
{
    rp_deck *deck;
    if (rp_deck_open(0, &deck) || rp_range(deck, &score, sizeof score, RP_ZONE_WORLD, "score")) {
        return 1;
    }
    for (uint8_t input = 0; input < 100; input++) {
        rp_frame_begin(deck, &input, sizeof input);
        score += input;
        elsewhere++;
        rp_frame_end(deck, 0);
    }
    return rp_take_save(deck, "plain.take", 0, UINT64_MAX) != RP_OK;
}
CODE
"${CC:-cc}" -std=c11 -g plain.c -o plain -I"$sources/include" -L"$build/src" -lreprise \
    -Wl,-rpath,"$build/src" || fail 'a program that embeds the deck does not compile'
./plain || fail 'it does not save'
reprise plot --csv plain.take score >table || fail 'plot failed'
grep -q '^100,4950' table || fail "the score is not in the take: $(tail -2 table)"
refuses 1 'elsewhere' reprise plot --csv plain.take elsewhere # no state: it was never declared
refuses 1 'embeds the deck' reprise open --stage none --frames 1 --trust plain.take
finish
