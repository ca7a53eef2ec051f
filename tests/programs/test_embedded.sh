#!/usr/bin/env bash
# The embedded example reloads an edited struct, seeks back over the reload, and goes on after a refusal;
# and what docs/embedding.md says of stale accesses and of builds that are refused.
#
#     test_embedded.sh EXAMPLE SOURCES INCLUDE CC
set -euo pipefail
example=$1 sources=$2 include=$3 compiler=$4
work=$(mktemp -d /tmp/reprise-embedded-XXXXXX)
trap 'rm -rf "$work"' EXIT

bad() {
    echo "test_embedded: $*" >&2
    cat "$work"/out "$work"/err >&2 || true
    exit 1
}

# The game with edits made by sed, as NAME.so. A static belongs to its file, so the file keeps its name.
build() {
    local name=$1
    shift
    sed "$@" "$sources/game.c" >"$work/game.c"
    if [ "$name" != first ] && cmp -s "$sources/game.c" "$work/game.c"; then
        bad "$name: nothing was edited"
    fi
    "$compiler" -std=c11 -g -fPIC -shared -I"$sources" -I"$include" "$work/game.c" -o "$work/$name.so"
}

says() {
    grep -qF -- "$1" "$work/out" "$work/err" || bad "it does not say: $1"
}

build first ''
build grown 's/float x, speed;/double mass; float x; char label[64]; float speed;/'
build faster 's/1\.5f/2.5f/; s/float x, speed;/double mass; float x; char label[64]; float speed;/'
build refused 's/float x, speed;/struct { float now, before; } x; float speed;/; s/\.x /.x.now /g'

"$example" "$work/first.so" "$work/grown.so" "$work/faster.so" >"$work/out" 2>"$work/err" || bad "it failed"
says 'played               build 1  frame  60'
says '8 objects converted'
says 'played               build 2  frame 120'
says 'played               build 3  frame 180'
says 'repeated, the same   build 3  frame 180'
says 'sought               build 1  frame  30'
says 'carried              build 3  frame  30'
[ ! -s "$work/err" ] || bad 'it complains'

"$example" "$work/first.so" "$work/refused.so" >"$work/out" 2>"$work/err" || bad "it failed"
says 'embedded: build 1 goes on: '
says 'ball'
says 'played               build 1  frame 120'
