#!/usr/bin/env bash
# Each check of tools/lint/ passes on a sound tree and fails on each kind of fault that it is there for,
# and names the file.
#
#     test_lint.sh [CHECK]
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
only=${1:-}
work=$(mktemp -d /tmp/reprise-lint-XXXXXX)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

# A small sound tree in $work/tree, with what the checks read.
fresh() {
    rm -rf "$work/tree"
    mkdir -p "$work/tree"/{tools,src/base,src/os,src/region,host,include/reprise,docs,build/src,build/host}
    cd "$work/tree"
    cp -r "$source/tools/lint" tools/
    cp "$source/.clang-format" "$source/.shellcheckrc" .
    echo '# nothing is allowed' > tools/purity.allow
    echo 'int rp_base_value(void);' > src/base/base.h
    printf '#include "base/base.h"\n\nint rp_base_value(void)\n{\n    return 1;\n}\n' > src/base/base.c
    printf '#include "base/base.h"\n\nint rp_os_value(void);\n\nint rp_os_value(void)\n{\n' > src/os/os.c
    printf '    return rp_base_value();\n}\n' >> src/os/os.c
    printf '#!/bin/sh\necho "  build [PRESET]    builds"\n' > dev
    printf '#!/bin/sh\ncase $1 in\n--help) echo "  run      runs" && echo "  ctl      drives" ;;\n' > build/host/reprise
    printf 'run) echo "  --name NAME" ;;\nctl) echo "  --json" && echo "  seek FRAME" ;;\ngdb) echo "  reprise back [N]" ;;\nesac\n' >> build/host/reprise
    chmod +x dev build/host/reprise
    echo 'Type `./dev build` and `reprise run --name x game.so`; see `src/base/base.h`.' > README.md
}

# Makes the libraries of the layers that have sources.
compile() {
    local layer
    for layer in base os region; do
        rm -f "build/src/librp_$layer.a"
        (cd "src/$layer" && for file in *.c; do
            [ ! -f "$file" ] || gcc -fPIC -I.. -c "$file" -o "$file.o"
        done && { ! ls ./*.o || ar rc "../../build/src/librp_$layer.a" ./*.o; } >/dev/null 2>&1)
        rm -f "src/$layer"/*.o
    done
}

passes() { # CHECK
    bash "tools/lint/$1.sh" build >"$work/out" 2>&1 || { cat "$work/out" >&2; fail "$1 fails on a sound tree"; }
}

catches() { # CHECK FILE WHAT
    if bash "tools/lint/$1.sh" build >"$work/out" 2>&1; then
        fail "$1 lets through: $3"
    fi
    grep -q "^$2" "$work/out" || { cat "$work/out" >&2; fail "$1 does not name $2: $3"; }
    fresh
}

test_format() {
    fresh
    passes format
    echo 'int  x ;' > src/base/base.h
    catches format src/base/base.h: 'spaces where none belong'
}

test_layers() {
    fresh
    compile
    passes layers
    echo '#include "os/os.h"' >> src/base/base.h
    catches layers src/base/base.h:2 'an include of a layer above'
    touch host/run.h && echo '#include "run.h"' >> src/os/os.c
    catches layers src/os/os.c:9 'an include of the host'
    printf '#include "base.h"\n' > src/base/more.c
    catches layers src/base/more.c:1 'an include that does not name the layer'
    printf 'int rp_os_value(void);\nint more(void);\nint more(void)\n{\n    return rp_os_value();\n}\n' > src/base/more.c
    compile && catches layers src/base/more.c:1 'a call of a layer above, without its header'
    printf 'int rp_no_value(void);\nint more(void);\nint more(void)\n{\n    return rp_no_value();\n}\n' > src/os/more.c
    compile && catches layers src/os/more.c:1 'a call of what no layer has'
    catches layers build/src: 'no libraries'
}

# One function of the region layer with this body, ahead of it these lines.
region_with() {
    printf '%b\nint rp_region_value(void);\nint rp_region_value(void)\n{\n    %b\n}\n' "$1" "$2" > src/region/region.c
    compile
}

test_purity() {
    fresh
    compile
    passes purity
    region_with '#include <stdlib.h>' 'return malloc(1) != 0;'
    catches purity src/region/region.c: 'a call of malloc'
    region_with '#include <time.h>' 'return (int)time(0);'
    catches purity src/region/region.c: 'a call of time'
    region_with '#include <stdlib.h>' 'return malloc(1) != 0;'
    echo 'call region/region.c malloc' >> tools/purity.allow
    catches purity tools/purity.allow:2 'an exception without a reason'
    region_with '#include <stdlib.h>' 'return malloc(1) != 0;'
    printf 'call region/region.c m*c a reason\ncall region/region.c _GLOBAL* code\n' >> tools/purity.allow
    passes purity
    fresh && region_with 'static int count;' 'return ++count;'
    catches purity src/region/region.c: 'a variable in .bss'
    region_with 'int count = 7;' 'return ++count;'
    catches purity src/region/region.c: 'a variable in .data'
    region_with '' 'static _Thread_local int count; return ++count;'
    catches purity src/region/region.c: 'a variable of a thread'
    region_with 'static const char *const texts[] = {"a", "b"};\nconst char *const *rp_texts(void);\nconst char *const *rp_texts(void) { return texts; }' 'return 1;'
    passes purity
    printf 'global region/gone.c count was needed\n' >> tools/purity.allow
    catches purity tools/purity.allow:2 'an exception for a file that is gone'
    printf '#define HERE __FILE__\n' > src/region/region.h && compile
    catches purity src/region/region.h:1 'a use of __FILE__'
}

test_docs() {
    fresh
    passes docs
    echo 'See `src/base/gone.c`.' >> README.md
    catches docs README.md:2 'a path that does not exist'
    echo 'See `gone.c`.' >> README.md
    catches docs README.md:2 'a file name that does not exist'
    echo '[how](docs/gone.md)' >> README.md
    catches docs README.md:2 'a link that leads nowhere'
    echo 'Type `./dev swim`.' > docs/start.md
    catches docs docs/start.md:1 'a command of ./dev that does not exist'
    printf '```\nreprise fly game.so\n```\n' > docs/start.md
    catches docs docs/start.md:2 'a command of reprise that does not exist'
    echo 'Inside gdb: `reprise back 2`.' > docs/start.md
    passes docs
    echo 'Inside gdb: `reprise forth 2`.' > docs/start.md
    catches docs docs/start.md:1 'a command inside gdb that does not exist'
    printf '```\nreprise run --wings 2 game.so\n```\n' > docs/start.md
    catches docs docs/start.md:2 'an option that does not exist'
    printf '```\nreprise ctl --json jump 7\n```\n' > docs/start.md
    catches docs docs/start.md:2 'a command of ctl that does not exist'
    echo '/* Tests: tests/base/test_gone.c */' > src/base/base.h
    catches docs src/base/base.h:1 'a comment that names a file that does not exist'
}

test_shell() {
    fresh
    passes shell
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nrm $1\n' > tools/bad.sh
    catches shell tools/bad.sh:2 'a variable without quotes'
}

repeat() { # COUNT LINE
    local i
    for ((i = 0; i < $1; i++)); do echo "$2"; done
}

test_size() {
    fresh
    passes size
    repeat 1201 'int x;' > src/base/long.c
    catches size src/base/long.c: 'a file of 1201 lines'
    repeat 900 'extern int x;' > src/base/long.c
    passes size
    grep -q 'src/base/long.c:1: notice' "$work/out" || fail "size does not notice a file of 900 lines"
    { echo 'int f(int x)'; echo '{'; repeat 70 '    x++;'; echo '    return x;'; echo '}'; } > src/base/long.c
    passes size
    if grep -q ^Universal <<<"$(ctags --version 2>/dev/null)"; then
        grep -q 'src/base/long.c:1: notice: f has 74' "$work/out" || fail "size does not notice a long function"
    fi
}

test_paths() {
    fresh
    passes paths
    printf 'See %s/x.\n' '/wor''k/main' > docs/start.md
    catches paths docs/start.md:1 'a folder of one machine'
    printf 'In %s-me.\n' '/tmp/''b' > docs/start.md
    catches paths docs/start.md:1 'a build folder of one person'
    printf '/* %s: somebody */\n' 'Aut''hor' > src/base/base.h
    catches paths src/base/base.h:1 'the name of a person'
    printf 'Ask me%ssomewhere.org\n' @ > docs/start.md
    catches paths docs/start.md:1 'an address'
}

project_for_compilers() {
    fresh
    cp "$source/CMakePresets.json" .
    cp -r "$source/cmake" .
    # shellcheck disable=SC2016
    printf '%s\n' 'cmake_minimum_required(VERSION 3.25)' 'project(small LANGUAGES C CXX)' \
        'option(RP_WERROR "" ON)' 'include(cmake/flags.cmake)' 'file(GLOB sources CONFIGURE_DEPENDS src/base/*.c)' \
        'add_library(small ${sources})' 'target_include_directories(small PRIVATE src)' \
        'target_link_libraries(small PRIVATE rp_flags)' > CMakeLists.txt
    echo 'static inline int rp_sound(void) { return 1; }' > include/reprise/sound.h
}

test_compilers() {
    project_for_compilers
    passes compilers
    # gcc says nothing of a variable that is only written to itself.
    printf 'int rp_more(void);\nint rp_more(void)\n{\n    int x = 1;\n    x = x;\n    return x;\n}\n' > src/base/more.c
    catches compilers src/base/more.c:5 'a warning of clang'
    project_for_compilers
    echo 'int *rp_block(void) { return (void *)0; }' > include/reprise/more.h
    catches compilers '.*reprise/more.h:1' 'a header that is no C++'
    project_for_compilers
    echo 'no such command' >> CMakeLists.txt
    catches compilers CMakeLists.txt: 'a tree that does not configure'
}

for check in $(basename -s .sh -a "$source"/tools/lint/*.sh); do
    [ "$check" != lib ] || continue
    declare -F "test_$check" >/dev/null || fail "no test for tools/lint/$check.sh"
    if [ -z "$only" ] || [ "$only" = "$check" ]; then
        "test_$check"
    fi
done
