#!/usr/bin/env bash
# What is installed finds what it needs: the library its resolver of symbols.
# As lib.sh, and: BUILD-FOLDER PROGRAM
build=$3 program=$4
set -- "$1" "$2"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
unset REPRISE_SYMBOLS DESTDIR
ulimit -c 0
need cmake

for libdir in lib lib/x86_64-linux-gnu; do
    prefix=$work/$libdir
    # The host's other programs may not be built; the resolver must be.
    for part in preload host; do
        cmake --install "$build/$part" --prefix "$prefix" >"$work/install" 2>&1 || true
    done
    made=$(find "$prefix" -name libreprise-malloc.so)
    [ -n "$made" ] && [ -x "$prefix/libexec/reprise/reprise-symbols" ] || fail "not installed: $(cat "$work/install")"
    # Where a distribution has it.
    [ "$libdir" = lib ] || { mkdir -p "$prefix/$libdir" && mv "$made" "$prefix/$libdir/"; }
    library=$(find "$prefix" -name libreprise-malloc.so)
    code=0
    LD_PRELOAD=$library "$program" double >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 134 ] || fail "$libdir: ended with $code: $(cat "$work/err")"
    grep -q 'do_wrong (wrong\.c:' "$work/err" || fail "$libdir: no names: $(cat "$work/err")"
done
