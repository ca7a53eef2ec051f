# For robust_*.sh, which are called as: SCRIPT HOST-FOLDER PROGRAMS-FOLDER DEMO.so SOURCES
# shellcheck shell=bash disable=SC2034
set -u
host=$1 programs=$2 demo=$3 sources=$4
PATH=$host:$PATH
ulimit -c 0

work=$(mktemp -d /tmp/rp-robust-XXXXXX)
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
started=() # processes of this test

clean() {
    local status=$?
    for pid in "${started[@]:-}"; do
        [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$work"
    exit $status
}
trap clean EXIT
trap 'exit 1' INT TERM

failures=0
fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

finish() {
    [ "$failures" -eq 0 ] || { echo "$failures checks failed" >&2; exit 1; }
    exit 0
}

# Looks again until it is so: machines differ in speed.
until_true() {
    for _ in $(seq 400); do
        eval "$1" && return 0
        sleep 0.05
    done
    return 1
}

# start NAME ARGUMENTS…: a host that runs behind; $pid is its process, its words are in $work/NAME.err
start() {
    local name=$1
    shift
    reprise run --stage none --name "$name" "$@" >"$work/$name.out" 2>"$work/$name.err" &
    pid=$!
    started+=("$pid")
    until_true "reprise ctl --name $name status >/dev/null 2>&1 || ! kill -0 $pid 2>/dev/null"
}

# status NAME KEY: one value of the status, as JSON, to the first comma or to the end of a list
status() {
    reprise ctl --name "$1" --json status 2>/dev/null |
        grep -o "\"$2\":\(\[[^]]*\]\|[^],}]*\)" | head -1 | cut -d: -f2-
}

# refused WANTED-CODE WANTED-TEXT COMMAND…: it ends with that code, and one line on standard error
# holds the text. Every line must read "reprise: what: …".
refused() {
    local code=$1 text=$2 got
    shift 2
    timeout 30 "$@" >"$work/out" 2>"$work/err"
    got=$?
    sed -i '/^reprise: building/d' "$work/err"
    [ "$got" -eq "$code" ] || fail "$*: ended with $got, not $code: $(cat "$work/err")"
    grep -q -- "$text" "$work/err" || fail "$*: says \"$(cat "$work/err")\", not \"$text\""
    head -1 "$work/err" | grep -q '^reprise: ..*: ' || fail "$*: says \"$(head -1 "$work/err")\""
}

# nothing_left WHAT: no copy of a build, nor a folder of copies, is left.
nothing_left() {
    local left
    left=$(find "$XDG_RUNTIME_DIR" -mindepth 1 ! -path "$XDG_RUNTIME_DIR/reprise" ! -path "$XDG_RUNTIME_DIR/reprise/*" | head -3)
    [ -z "$left" ] || fail "$1: left behind: $left"
}
