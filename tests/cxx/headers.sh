#!/usr/bin/env bash
# Each public header stands alone as C++17 and C++20 under every compiler that is here, without a warning;
# reprise.hpp also without exceptions and RTTI, and included twice.
#
#     headers.sh INCLUDE-FOLDER
set -uo pipefail
include=$1
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror'
status=0

compiles() { # COMPILER STANDARD HEADER OPTION…
    local compiler=$1 standard=$2 header=$3
    shift 3
    # shellcheck disable=SC2086
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        "$compiler" -x c++ -std="$standard" -fsyntax-only -I"$include" $warnings "$@" - && return
    echo "$header: does not compile alone: $compiler -std=$standard $*" >&2
    status=1
}

tried=0
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    for standard in c++17 c++20; do
        for header in "$include"/reprise/*.h "$include"/reprise/*.hpp; do
            compiles "$compiler" "$standard" "reprise/${header##*/}"
            tried=$((tried + 1))
        done
        compiles "$compiler" "$standard" reprise/operator_new.hpp -fno-exceptions -fno-rtti
    done
done
[ "$tried" -gt 0 ] || { echo "no C++ compiler found" >&2; exit 1; }
exit "$status"
