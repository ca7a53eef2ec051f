#!/usr/bin/env bash
# gcc: the same object file, to the byte, from C and from C++ with the standard library's headers.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need gcc g++
cat >"$work/t.cpp" <<'CPP'
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>
int main()
{
    std::map<std::string, std::vector<std::unique_ptr<std::string>>> all;
    for (int i = 0; i < 100; i++) all[std::to_string(i % 7)].push_back(std::make_unique<std::string>(i, 'x'));
    std::cout << all["3"][2]->append("abc") << all.size() << "\n";
}
CPP
compile() { # NAME COMPILER ARGUMENTS…
    local name=$1
    shift
    "$@" -c -o "$work/out.o" || fail "$name: does not compile without the library"
    mv "$work/out.o" "$work/$name.plain"
    with_us "$name" "$@" -c -o "$work/out.o"
    mv "$work/out.o" "$work/$name.ours"
    same "$name"
}
root=$(cd "$sources/../.." && pwd)
compile c gcc -O2 -g -D_GNU_SOURCE -I"$root/include" -I"$root/src" "$root/src/region/blocks.c"
[ -n "$modes" ] || compile cpp g++ -O2 -g "$work/t.cpp"
