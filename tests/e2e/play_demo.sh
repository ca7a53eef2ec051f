#!/usr/bin/env bash
# `./dev demo` where there is neither a display nor a terminal: the script plays, a summary tells.
. "$(dirname "$0")/lib.sh" "$@"
need make cc cmake ninja dpkg-query
export REPRISE_DEMO_DIR=$work/demo
demo() { "$sources/dev" demo </dev/null 2>"$work/err" || fail "./dev demo: $(tail -20 "$work/err")"; }

first=$(demo) || exit 1
case $first in
"600 frames, the last one and its hash: 600 "????????????????) ;;
*) fail "another summary: $first" ;;
esac
grep -q 'demo: missed the edge' "$work/err" || fail "the script's jump does not miss the gap"
[ -s "$work/demo/game.c" ] || fail "there is no copy of the source"

# The copy is one's own: it is played as it was edited, and stays.
edit 's/printf("demo: %s at/printf("edited: %s at/'
second=$(demo) || exit 1
grep -q '^edited: missed the edge' "$work/err" || fail "the edited copy is not what plays"
grep -q '"edited: ' "$work/demo/game.c" || fail "the edited copy was written over"
[ "$(demo)" = "$second" ] || fail "the same build plays another game"
nothing_left
