# shellcheck shell=bash disable=SC2034
# For doctor_*.sh, which are called as: SCRIPT FOLDER-OF-REPRISE SOURCES FOLDER-OF-MODULES
# A folder of its own for each; what `reprise doctor` says is in $work/json, its exit code in $code.
set -u
bin=$1 sources=$2 modules=$3
export PATH=$bin:$PATH
work=$(mktemp -d /tmp/rp-doctor-XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
cd "$work" || exit 1
code=0

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    head -c 6000 "$work/json" >&2 2>/dev/null
    tail -n 20 "$work/err" >&2 2>/dev/null
    exit 1
}
need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "skipped: there is no $tool" >&2; exit 77; }
    done
}
need cc python3

# program NAME COMPILER FLAGS…: compiles subject_NAME's source, or the plain one.
program() {
    local name=$1 source=$sources/tests/programs/subject_$1.c
    shift
    [ -e "$source" ] || source=$sources/tests/programs/subject_plain.c
    "$@" "$source" -o "$work/$name" 2>"$work/err" || fail "$name was not compiled"
}

# doctor ARGUMENTS…
doctor() {
    reprise doctor --json --no-record "$@" >"$work/json" 2>"$work/err"
    code=$?
    [ "$code" -le 2 ] || python3 -m json.tool <"$work/json" >/dev/null || fail "no JSON of: $*"
}
ends() { [ "$code" = "$1" ] || fail "ended with $code, not $1"; }

# says EXPRESSION: of Python, true of d, the result; with found("id"), a finding or None, and modes.
says() {
    python3 - "$work/json" "$1" <<'PYTHON' || fail "not so: $1"
import json, sys
d = json.load(open(sys.argv[1]))
def found(id):
    return next((f for f in d["findings"] if f["id"] == id), None)
modes = d["modes"]
sys.exit(0 if eval(sys.argv[2]) else 1)
PYTHON
}
