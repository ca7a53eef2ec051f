# The whole tree compiles without a warning under clang as well, and the public headers as C++.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

check_clang() {
    local folder=build/lint-clang log
    log=$(mktemp)
    if ! [ -f $folder/build.ninja ] &&
        ! cmake --preset dev -B $folder -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >"$log" 2>&1; then
        cat "$log"
        bad "CMakeLists.txt:1: does not configure with clang"
    elif ! ninja -C $folder -k 0 >"$log" 2>&1; then
        grep -E ': (fatal )?error: |undefined |FAILED' "$log" | sed "s|^$PWD/||; s|^\(\.\./\)*||" | sort -u
        status=1
    fi
    rm -f "$log"
}

check_headers() {
    local header compiler said
    while read -r header; do
        for compiler in 'g++ -x c++ -std=c++17' 'clang++ -x c++ -std=c++17' 'gcc -x c -std=c11'; do
            # shellcheck disable=SC2086
            said=$($compiler -fsyntax-only -Iinclude -Wall -Wextra -Wpedantic -Wconversion -Werror \
                -include "${header#include/}" - <<<'typedef int nothing;' 2>&1) ||
                bad "$(grep 'error:' <<<"$said")"
        done
    done < <(files 'include/*.h')
}

check_clang
check_headers
exit "$status"
