# shellcheck shell=bash
# For real_*.sh, which are called as: SCRIPT LIBRARY SOURCES [MODES]
# MODES is what REPRISE_DEBUG says of every allocator: canary, fill, … ; without it none.
# A folder of its own for each test; whatever it started ends with it.
set -u
# shellcheck disable=SC2034
library=$1 sources=$2 modes=${3:-}
work=$(mktemp -d /tmp/rp-preload-XXXXXX)
server=''
unset LD_PRELOAD REPRISE_DEBUG REPRISE_REPORT REPRISE_QUIET
export HOME=$work TMPDIR=$work LC_ALL=C

clean() {
    local code=$?
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    rm -rf "$work"
    exit "$code"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "skipped: there is no $tool" >&2; exit 77; }
    done
}

# A system's Python, not one of a version manager in front of it.
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# under COMMAND…: with the library, and with the modes where there are some.
with=(env "LD_PRELOAD=$library" ${modes:+"REPRISE_DEBUG=*=$modes"})
under() { "${with[@]}" "$@"; }
# plainly NAME COMMAND… and with_us NAME COMMAND…: what it writes to $work/NAME.plain or .ours
plainly() {
    local name=$1
    shift
    "$@" >"$work/$name.plain" 2>"$work/$name.plain.err" || fail "$name: fails without the library: $(tail -3 "$work/$name.plain.err")"
}
with_us() {
    local name=$1
    shift
    under "$@" >"$work/$name.ours" 2>"$work/$name.err" || fail "$name: ended with $?: $(head -c 3000 "$work/$name.err")"
    ! grep -q '^reprise' "$work/$name.err" || fail "$name: $(head -c 3000 "$work/$name.err")"
}
# The two must be the same, to the byte.
same() { cmp "$work/$1.plain" "$work/$1.ours" >&2 || fail "$1: the output differs"; }
both() {
    plainly "$@"
    with_us "$@"
    same "$1"
}

# Without this every test would pass with a library that does nothing.
has_region() { grep -q '^55[0-4]' "/proc/$1/maps"; }
[ -f "$library" ] || fail "there is no $library"
# shellcheck disable=SC2016
under sh -c 'grep -q "^550000000000-" /proc/$$/maps' || fail "the library does not open the region"
# And without this they would pass where the modes do nothing: what they track is counted.
if [ -n "$modes" ]; then
    REPRISE_REPORT=$work/modes.json under sort /dev/null
    grep -q '"total_count": *[1-9]' "$work/modes.json" || fail "the modes '$modes' track nothing"
fi
