# What the checks share. Each check runs in the root of the tree that it looks at, with the build's
# folder as its argument, and sources this file.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export LC_ALL=C

status=0
layers='base os region alloc trace history module deck take'

# Prints one finding, `file:line: why`, and remembers that there was one.
bad() {
    printf '%s\n' "$*"
    status=1
}

# The files of the tree that match the patterns, ignored ones left out.
files() {
    if [ -e .git ]; then
        git ls-files -co --exclude-standard -- "$@"
    else
        local pattern expression=()
        for pattern in "$@"; do
            expression+=(-o -path "./$pattern")
        done
        find . -type f \( "${expression[@]:1}" \) -printf '%P\n'
    fi | sort -u | while read -r file; do
        if [ -f "$file" ]; then
            echo "$file"
        fi
    done
}

# Lines of the files that match an extended regular expression, as `file:line:text`.
lines() {
    local regex=$1
    shift
    [ $# -eq 0 ] || grep -nHE -- "$regex" "$@" || true
}

# The layer that stands at a place of the list, and those below it, between spaces.
layers_up_to() {
    local name those=' '
    for name in $layers; do
        those="$those$name "
        [ "$name" = "$1" ] && break
    done
    echo "$those"
}

# The undefined names of a layer's objects, as `object symbol`, and the names that it defines.
undefined_in() { # BUILD LAYER
    nm -A -u "$1/src/librp_$2.a" 2>/dev/null | awk '{ split($1, at, ":"); sub(/\.o$/, "", at[2]); print at[2], $NF }' |
        sort -u
}
defined_in() { # BUILD LAYER
    nm --defined-only --extern-only "$1/src/librp_$2.a" 2>/dev/null | awk 'NF == 3 { print $3 }'
}
