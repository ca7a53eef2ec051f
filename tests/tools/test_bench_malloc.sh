#!/usr/bin/env bash
# bench_malloc must not measure what is not there, and its patterns must find an allocator that errs.
set -euo pipefail
driver=$1 patterns=$2
work=$(mktemp -d /tmp/reprise-test-XXXXXX)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work

fail() {
    echo "$*" >&2
    exit 1
}

# The loader only warns of a library that it cannot preload, and runs the program with libc's malloc.
! REPRISE_BENCH_MALLOC=$work/none.so "$driver" --rounds=1 --only=trees > "$work/out" 2> "$work/err" ||
    fail "a library that is missing is no failure"
grep -q 'none.so does not provide malloc: install this build' "$work/err" || fail "the library that is missing is not named"
[ ! -s "$work/out" ] || fail "something was measured"
[ -z "$("$driver" S1)" ] || fail "it measures what was not asked for"

# Each malloc that errs hands out the same block again after a while.
cat > "$work/overlap.c" <<'EOS'
#include <stddef.h>
void *__libc_malloc(size_t size_bytes);
void *malloc(size_t size_bytes)
{
    static void *last;
    static int count;
    if (size_bytes == 64 && last && ++count % 1000 == 0) {
        return last;
    }
    void *block = __libc_malloc(size_bytes);
    last = size_bytes == 64 ? block : last;
    return block;
}
void free(void *block) { (void)block; }
EOS
cc -shared -fPIC -O1 -fno-builtin -o "$work/overlap.so" "$work/overlap.c"
if grep -q libc <<<"$("$patterns" --who)"; then # not with a sanitizer, which has a malloc of its own
    ! LD_PRELOAD=$work/overlap.so "$patterns" churn-64 2> "$work/err" || fail "a block that is handed out twice is not found"
    grep -q "another's content" "$work/err" || fail "the reason is not said"
fi
! "$patterns" none 2>/dev/null || fail "a pattern that there is not is no failure"
[ "$("$patterns" | wc -l)" -ge 12 ] || fail "the patterns are not listed"
for name in threads growth; do
    [ "$("$patterns" "$name")" = "$("$patterns" "$name")" ] || fail "$name: the checksum is another each time"
done
