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

# NUMBER/example.c or .cpp, NUMBER/aborts, NUMBER/text
extract() {
    awk -v work="$work" '
        /^```/ && !open {
            open = 1; out = ""
            if ($1 ~ /^```(c|cpp)$/ && $2 != "part") {
                folder = work "/" ++number; expects = 1
                system("mkdir " folder)
                out = folder "/example." substr($1, 4)
                if ($2 == "aborts") print "" > (folder "/aborts")
            } else if ($1 == "```text" && expects) {
                out = folder "/text"; expects = 0
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
masked() { # of a stack only the names count
    sed -E 's/0x[0-9a-f]+/0x-/g; s/[[:space:]]+/ /g; s/^ //; s/ $//' "$1"
}

check_output() { # NUMBER
    local line folder=$work/$1
    [ -e "$folder/text" ] && [ -z "${RP_DOCS_NO_OUTPUT:-}" ] || return
    masked "$folder/out" >"$work/masked"
    while IFS= read -r line; do
        [[ -z $line || $line = *…* ]] || grep -qxF -- "$line" "$work/masked" ||
            bad "$page: example $1 does not print: $line"
    done < <(masked "$folder/text")
    [ "$status" -eq 0 ] || cat "$folder/out" >&2
}

run() { # NUMBER
    local ended wanted=0 folder=$work/$1
    (cd "$folder" && ulimit -c 0 && ./example) >"$folder/out" 2>&1
    ended=$?
    [ ! -e "$folder/aborts" ] || wanted=134
    if [ "$ended" -ne "$wanted" ]; then
        cat "$folder/out" >&2
        bad "$page: example $1 ended with $ended, not $wanted"
    fi
    check_output "$1"
}

compile() { # NUMBER COMMAND…; in its folder, so that reports say example.c and not where the test works
    cd "$work/$1" || return
    shift
    # shellcheck disable=SC2086 # several words
    "$@" example example.c* ${RP_DOCS_LINK:-}
}

extract
examples=$(find "$work" -name 'example.*' | wc -l)
for number in $(seq "$examples"); do
    add_main "$work/$number"/example.c*
    if (compile "$number" "$@"); then
        run "$number"
    else
        bad "$page: example $number does not compile"
    fi
done
[ "$examples" -gt 0 ] || bad "$page: has no example"
exit "$status"
