#!/usr/bin/env bash
# A Lua interpreter is the module, and is exchanged under a running script 20 times, for builds of other
# optimisation levels and another compiler. Every frame prints what can be seen of the script; all of it is
# the same as in a run that nobody disturbed.
#
# The interpreter is built from Debian's source: in $RP_LUA_SOURCE (its src folder), or fetched with
# `apt-get source` under RP_LONG=1; else this is skipped. (liblua5.4.a is not position-independent, and a
# shared liblua would stay where it is: neither shows anything.)
# shellcheck disable=SC2034
. "$(dirname "$0")/lib.sh" "$@"
need gcc clang
glue=$sources/tests/e2e/lua_reload.c

fetch() { # prints the folder of Lua's source; nothing where it cannot be had
    [ -n "${RP_LONG:-}" ] && command -v apt-get dpkg-source >/dev/null || return 0
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    echo 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main' >"$work/apt/list"
    local own="-o Dir::Etc::sourcelist=$work/apt/list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists=$work/apt/lists -o Dir::Cache=$work/apt/cache"
    # shellcheck disable=SC2086
    (cd "$work/apt" && timeout 120 apt-get $own -qq update && timeout 120 apt-get $own -qq source lua5.4) >/dev/null 2>&1 || return 0
    dirname "$(find "$work/apt" -name lvm.c | head -1)"
}
lua=${RP_LUA_SOURCE:-$(fetch)}
[ -f "$lua/lvm.c" ] || { echo "skipped: no source of Lua: set RP_LUA_SOURCE, or RP_LONG=1 to fetch it" >&2; exit 77; }

variants=("gcc -O0" "gcc -O2" "clang -O0" "clang -O2" "gcc -O3")
compile() { # NUMBER: the objects of that variant
    local file objects=$work/objects$1
    mkdir "$objects"
    # shellcheck disable=SC2046,SC2086
    (cd "$objects" || exit 1
        for file in "$lua"/l*.c; do
            case $file in */lua.c | */luac.c) ;; *) echo "$file" ;; esac
        done | xargs ${variants[$1]} -g -w -std=gnu11 -fPIC -DLUA_COMPAT_5_3 -DLUA_USE_POSIX -I"$lua" -c || exit 1
        ${variants[$1]} -g -w -fPIC -I"$lua" $(reprise cflags) -c "$glue") || fail "${variants[$1]} does not build"
}
# A link of its own each time, as a build has it.
link() { # NUMBER
    # shellcheck disable=SC2046,SC2086
    ${variants[$1]} -shared $(reprise ldflags) -o "$work/next.so" "$work/objects$1"/*.o -lm &&
        mv "$work/next.so" "$work/game.so" || fail "${variants[$1]} does not link"
}
seen="grep ^frame"

for i in "${!variants[@]}"; do compile "$i"; done
link 0
host_start --stage none --paced --watchdog 0 "$work/game.so"
wait_for 'above frame 20'
for n in $(seq 20); do
    link $((n % ${#variants[@]}))
    wait_for "is build $((n + 1))" "build $((n + 1)) (${variants[n % ${#variants[@]}]}) is not taken: $(field notice)"
    at=$(field frame)
    wait_for "above frame $((at + 5))" "it does not go on under ${variants[n % ${#variants[@]}]}: $(field failure)"
    is failure null || fail "build $((n + 1)) (${variants[n % ${#variants[@]}]}) fails: $(field failure)"
done
quietly quit
host_ended 0
$seen "$work/err" >"$work/disturbed"
frames=$(wc -l <"$work/disturbed")
[ "$frames" -gt 120 ] || fail "only $frames frames were seen"

link 0
reprise run --stage none --frames "$frames" "$work/game.so" 2>&1 | grep '^frame' >"$work/calm"
head -n "$(wc -l <"$work/calm")" "$work/disturbed" | cmp - "$work/calm" ||
    fail "the script saw the exchange: $(diff "$work/disturbed" "$work/calm" | head -4)"
[ "$(wc -l <"$work/calm")" -ge $((frames - 1)) ] || fail "the calm run has $(wc -l <"$work/calm") frames, the other $frames"
echo "$frames frames, 20 exchanges"
