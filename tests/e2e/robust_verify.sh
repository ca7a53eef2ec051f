#!/usr/bin/env bash
# `reprise verify`: takes of honest programs replay as they were, of a dishonest one not, and it is said where;
# another build; many files, shards, reports, exit codes; what is damaged or not known.
. "$(dirname "$0")/robust_lib.sh" "$@"
export XDG_STATE_HOME=$work/state
out=$6
cd "$work" || exit 1

# take_make PROGRAM FILE.take: its first 180 frames
take_make() {
    PROGRAM=$1 FRAMES=180 TAKE=$work/$2 HASHES=$work/hashes "$out/robust_take_maker" >made 2>&1
    [ -s "$2" ] || { cat made >&2; echo "FAILED: no take of $1" >&2; exit 1; }
}

# verified CODE ARGUMENTS…: to $work/out
verified() {
    local wanted=$1 got
    shift
    timeout 120 reprise verify "$@" >out 2>err
    got=$?
    [ "$got" -eq "$wanted" ] || fail "verify $*: ended with $got, not $wanted: $(cat out err)"
}
says() { grep -qE -- "$1" out || fail "it says \"$(cat out)\", not \"$1\""; }

# A module that states what must not differ; its edits make a difference in what it states, or in nothing.
cat >checked.c <<'C'
#include <reprise/reprise.h>
#include <stdlib.h>
struct thing {
#ifdef GROWN
    double more;
#endif
    int age;
    struct thing *next;
};
struct thing *things;
int score, frames;
void rp_module_step(rp_stage *stage)
{
    struct thing *made = calloc(1, sizeof *made);
    (void)stage;
    frames++;
#ifdef EDIT
    score += frames > 50 ? 4 : 3;
#else
    score += 3;
#endif
    made->age = frames;
    made->next = things;
    things = frames % 8 ? made : NULL;
    rp_check("score", score);
}
C
build() { # NAME FLAGS…
    local name=$1
    shift
    # shellcheck disable=SC2046
    cc -g "$@" $(reprise cflags) -shared -fPIC checked.c -o "$name.so" || fail "checked.c was not compiled"
}
build checked
build edited -DEDIT
build grown -DGROWN

take_make counter_module counter.take
take_make lua_module lua.take
take_make "$out/robust_cheat.so" cheat.take
take_make "$out/robust_cheat_heap.so" heap.take
take_make "$work/checked.so" checked.take

# ---- what is not known is not run ----
verified 5 counter.take
says 'UNKNOWN counter.take: .*did not run on this machine yet'
verified 0 --module "$programs/counter_module.so" counter.take # the same bytes are here

# ---- the same build ----
verified 0 --trust counter.take lua.take checked.take
says '^ok +counter.take: 180 frames, 181 hashes as recorded'
says '^3 of 3 as recorded'
verified 3 --trust cheat.take
says 'DIFFERS cheat.take: it differs from frame 150 on'
says ' cheated \((unsigned long|uint64_t|long unsigned int)\): [0-9]+ → [0-9]+$'
grep -q honest out && fail "it names what does not differ"
verified 3 --trust heap.take
says 'from frame 150 on'
says ' block\[2\] '

# ---- another build ----
verified 3 --trust --module edited.so checked.take
says 'the other build differs from frame 51 on'
says 'rp_check score: 153 → 154, from frame 51 on'
says 'state: from frame 51 on 1 fields differ:'
says ' score \(int\): 153 → 154$'
verified 0 --trust --build grown.so checked.take
says 'under the other build the same, 180 checks compared'
verified 1 --trust --module /etc/hostname checked.take

# ---- another build, and the take has what its build checked ----
cat >gone.c <<'C'
#include <reprise/reprise.h>
#include <stdlib.h>
#include <unistd.h>
int score, more, seen;
void rp_module_step(rp_stage *stage)
{
    (void)stage;
#ifndef MENDED
    if (access(GONE, F_OK) == 0) {
        abort(); /* as if this build could not run here */
    }
    seen += access(OTHER, F_OK) == 0; /* past its inputs */
#endif
#ifdef SOONER
    more += score > 500;
#endif
    score += 3;
    if (score > 0 + LATER) {
        rp_check("score", score + more);
    }
}
C
gone() { # NAME FLAGS…
    local name=$1
    shift
    # shellcheck disable=SC2046
    cc -g -DGONE="\"$work/gone\"" -DOTHER="\"$work/other\"" "$@" $(reprise cflags) -shared -fPIC gone.c \
        -o "$name.so" || fail "gone.c was not compiled"
}
gone gone -DLATER=0
gone same -DLATER=0 -DMENDED
gone sooner -DLATER=0 -DMENDED -DSOONER
gone later -DLATER=9
record() { # MODULE TAKE
    reprise run --stage none --frames 300 --take "$2" "./$1" >made 2>&1 || fail "run $1: $(cat made)"
}
record gone.so recorded.take
record later.so gaps.take

verified 0 --trust --module same.so recorded.take
says '^ok +recorded.take: 300 frames under the other build the same, 300 recorded checks compared'
verified 0 --trust --module same.so --json recorded.take
says '"frames":0,.*"other_frames":300,"checks":300,"recorded":300'
verified 0 --trust --module same.so --replay recorded.take
says '300 frames as recorded; under the other build the same, 300 checks compared'
verified 3 --trust --module sooner.so recorded.take
says 'the other build differs from frame 168 on'
says 'rp_check score: 504 → 505, from frame 168 on'
verified 3 --trust --module sooner.so --json recorded.take
says '"frames":300' # before it is blamed the take's own build is run again

verified 0 --trust --module same.so gaps.take # a frame without values: the build is replayed for all
says 'frames as recorded; under the other build the same'

touch other # what the build sees past its inputs: that differs by itself
verified 3 --trust --module sooner.so recorded.take
says 'it differs from frame [0-9]+ on: the same build and input make another state'
rm other
touch gone # it cannot run here any more
verified 1 --trust recorded.take
verified 0 --trust --module same.so recorded.take
verified 3 --trust --module sooner.so recorded.take
says 'rp_check score: 504 → 505, from frame 168 on'
says "the take's own build could not be run again to compare: frame [0-9]+: "
verified 1 --trust --module same.so --replay recorded.take
rm gone

# ---- many files, parts of them, reports ----
ln counter.take a.take
ln lua.take b.take
verified 3 --trust --jobs 3 --junit report.xml --json a.take cheat.take b.take counter.take lua.take
python3 - <<'PYTHON' || fail "the reports"
import json, xml.etree.ElementTree as tree
d = json.load(open("out"))
assert (d["same"], d["differs"], d["failed"], d["unknown"]) == (4, 1, 0, 0), d
bad = [f for f in d["files"] if f["outcome"] == "differs"]
assert [f["file"] for f in d["files"]] == ["a.take", "cheat.take", "b.take", "counter.take", "lua.take"]
assert bad[0]["file"] == "cheat.take" and bad[0]["differs_at"] == 150 and bad[0]["lines"], bad
suite = tree.parse("report.xml").getroot()
assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "0")
failure = suite.find("testcase[@name='cheat.take']/failure")
assert failure.get("type") == "differs" and "cheated" in failure.text
PYTHON
for part in 1 2 3; do
    verified 0 --trust --shard "$part/3" --json a.take counter.take lua.take b.take
    python3 -c 'import json; [print(f["file"]) for f in json.load(open("out"))["files"]]'
done | sort | cmp -s - <(printf '%s\n' a.take b.take counter.take lua.take) || fail "shards leave files out"
verified 0 --trust --shard 3/3 a.take b.take # there is none for it

# ---- what cannot be ----
head -c "$(($(stat -c %s lua.take) * 2 / 3))" lua.take >cut.take
verified 1 --trust cut.take counter.take
says 'FAILED +cut.take: .*frames before that are as recorded'
says '^1 of 2 as recorded'
reprise trim --inputs lua.take inputs.take
verified 0 --trust inputs.take
says '180 hashes as recorded|181 hashes as recorded'
verified 1 nothing.take
verified 2
verified 2 --shard 3/2 a.take
verified 2 --jobs 0 a.take
verified 2 --wings a.take

# ---- at an address ----
if [ -e "$host/reprise-net.so" ]; then
    mkfifo hold
    no_proxy='*' python3 "$sources/tests/e2e/net_hostile.py" counter.take <hold >port 2>served &
    started+=($!)
    exec 9>hold
    until_true '[ -s port ]' || fail "nobody serves the take"
    address=http://127.0.0.1:$(cat port)
    export no_proxy='*'
    verified 0 "$address/good" "$address/cut"
    timeout 60 reprise open --stage none --frame 60 --frames 20 --hashes "$address/good" >out 2>err ||
        fail "open: $(cat err)"
    reprise open --stage none --frame 60 --frames 20 --hashes counter.take 2>err | cmp -s - out ||
        fail "what opens from an address is not what opens from the file"
    exec 9>&-
fi

# ---- nothing is left, also where it is ended in between ----
for i in $(seq 30); do ln counter.take "many-$i.take"; done
reprise verify --trust many-*.take >out 2>err &
sleep 0.3
kill -TERM $!
wait $!
[ $? -eq 1 ] || fail "it was ended and says otherwise"
until_true '! compgen -G "$XDG_RUNTIME_DIR/reprise-*" >/dev/null' || fail "it left $(ls "$XDG_RUNTIME_DIR")"
finish
