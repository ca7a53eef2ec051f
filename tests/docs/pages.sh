#!/usr/bin/env bash
# The code in a page of the documentation compiles, runs, and prints what the page says it prints.
#
#     pages.sh PAGE.md COMMAND…       COMMAND compiles a file whose name follows: "cc -Iinclude -o"
#
# A block fenced as ```c (or ```cpp) is a file. Without a main it defines `void example(void)`, which is called
# with the region open. "```c aborts" must end by abort(). Each line of a ```text block that follows the code
# before any other block must be in what the program prints; addresses and numbers of stacks do not count.
# "```c part" shows a piece that cannot stand alone, and is not tested.
set -uo pipefail
page=$1
shift
work=$(mktemp -d /tmp/reprise-docs-XXXXXX)
trap 'rm -rf "$work"' EXIT
status=0

bad() {
    echo "$*" >&2
    status=1
}

# NUMBER.c or .cpp, NUMBER.aborts, NUMBER.text
extract() {
    awk -v work="$work" '
        /^```/ && !open {
            open = 1; out = ""
            if ($1 ~ /^```(c|cpp)$/ && $2 != "part") {
                number++; expects = 1
                out = work "/" number "." substr($1, 4)
                print "#line " FNR + 1 " \"" FILENAME "\"" > out
                if ($2 == "aborts") print "" > (work "/" number ".aborts")
            } else if ($1 == "```text" && expects) {
                out = work "/" number ".text"; expects = 0
            } else {
                expects = 0
            }
            next
        }
        /^```/ { open = 0; if (out) close(out); out = ""; next }
        open && out { print > out }' "$page"
}

add_main() { # FILE
    grep -q 'int main(' "$1" && return
    {
        echo '#include <reprise/memory.h>'
        echo 'int main(void) { if (rp_memory_open(0) != RP_OK) { return 99; } example();'
        echo '    rp_memory_close(); return 0; }'
    } >>"$1"
}

# What differs from run to run, and how wide columns are.
masked() {
    sed -E 's/0x[0-9a-f]+/0x-/g; s/\([^()]*\+0x-\)/(-)/g; s/[[:space:]]+/ /g; s/^ //; s/ $//' "$1"
}

check_output() { # NUMBER
    local line
    [ -e "$work/$1.text" ] && [ -z "${RP_DOCS_NO_OUTPUT:-}" ] || return
    masked "$work/$1.out" >"$work/masked"
    while IFS= read -r line; do
        [[ -z $line || $line = *…* ]] || grep -qxF -- "$line" "$work/masked" ||
            bad "$page: example $1 does not print: $line"
    done < <(masked "$work/$1.text")
    [ "$status" -eq 0 ] || cat "$work/$1.out" >&2
}

run() { # NUMBER FILE
    local ended wanted=0
    (cd "$work" && ulimit -c 0 && "./$1.exe") >"$work/$1.out" 2>&1
    ended=$?
    [ ! -e "$work/$1.aborts" ] || wanted=134
    if [ "$ended" -ne "$wanted" ]; then
        cat "$work/$1.out" >&2
        bad "$page: example $1 ended with $ended, not $wanted"
    fi
    check_output "$1"
}

extract
examples=0
for file in "$work"/*.c "$work"/*.cpp; do
    [ -e "$file" ] || continue
    number=$(basename "${file%.*}")
    examples=$((examples + 1))
    add_main "$file"
    # shellcheck disable=SC2086 # several words
    if "$@" "$work/$number.exe" "$file" ${RP_DOCS_LINK:-}; then
        run "$number"
    else
        bad "$page: example $number does not compile"
    fi
done
[ "$examples" -gt 0 ] || bad "$page: has no example"
exit "$status"
