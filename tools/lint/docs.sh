# What the documents name exists: paths, links, `./dev` commands, `reprise` commands and their options;
# and the paths that comments in the code name.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
reprise=$1/host/reprise

mapfile -t documents < <(files README.md CHANGELOG.md 'docs/*.md')
mapfile -t sources < <(files '*.c' '*.h' '*.hpp')
tree=$(files '*')

# Does `token` name a file, a folder or a pattern of some: from the root, from beside the document, or
# by the end of its path?
exists() {
    local token=$1 beside=$2 pattern
    token=${token%/}
    compgen -G "$token" >/dev/null || compgen -G "$beside/$token" >/dev/null && return 0
    pattern=$(sed 's/[.+]/\\&/g; s/\*/[^\/]*/g' <<<"$token")
    grep -qE "(^|/)$pattern(/|\$)" <<<"$tree"
}

# Words between backticks that look like paths of this tree, as `file:line:word`.
quoted_paths() {
    grep -noHE "\`[^\` ]+\`" "$@" | tr -d '`' |
        grep -E ':([A-Za-z0-9_.*-]+/)+[A-Za-z0-9_.*-]*$|:[A-Za-z0-9_*-]+\.(c|h|hpp|sh|md|cmake|input)$' || true
}

check_paths() {
    local file number token top
    while IFS=: read -r file number token; do
        top=${token%%/*}
        # build/ is made; of the rest with folders only what begins as the tree does is meant.
        if [[ $token = */* && ! -d $top && $token != reprise/* ]] || [ "$top" = build ]; then
            continue
        fi
        exists "$token" "$(dirname "$file")" || bad "$file:$number: $token does not exist"
    done < <(quoted_paths "${documents[@]}")
}

check_links() {
    local file number link target
    while IFS=: read -r file number link; do
        target=${link#*\(}
        target=${target%%[#)]*}
        if [[ $target = *://* || -z $target ]]; then
            continue
        fi
        [ -e "$(dirname "$file")/$target" ] || bad "$file:$number: the link to $target leads nowhere"
    done < <(grep -noHE '\]\([^) ]+\)' "${documents[@]}" || true)
}

# The spans and blocks of a document that hold code, as `file:line:text`.
code() {
    awk '/^```/ { fence = !fence; next }
         fence { print FILENAME ":" FNR ":" $0; next }
         { n = split($0, part, "`"); for (i = 2; i <= n; i += 2) print FILENAME ":" FNR ":" part[i] }' "$@"
}

# Checks the words that follow `reprise` or `./dev`: the command, its options, for ctl its own command.
check_words() {
    local place=$1 program=$2 subcommand=$3 help=$4 word
    shift 4
    if [ -z "$help" ]; then
        bad "$place: $program has no command $subcommand"
        return
    fi
    for word in "$@"; do
        case $word in
        --[a-z]*)
            word=${word%%[=,.:;|\])]*}
            grep -qE -- "(^|[^a-z-])$word([^a-z-]|\$)" <<<"$help" || bad "$place: $program $subcommand has no $word"
            ;;
        [a-z]*)
            if [ "$program $subcommand" = 'reprise ctl' ] && [ "${previous:-}" != --name ]; then
                grep -qE "^  ${word%%[^a-z-]*}( |\$)" <<<"$help" || bad "$place: reprise ctl has no command $word"
                return
            fi
            ;;
        esac
        previous=$word
    done
}

# Not `--help | grep -q`: grep ends at the first match, and the program may then fail at its next line.
reprise_help() { # SUBCOMMAND
    if grep -qE "^  $1 " <<<"$("$reprise" --help)"; then
        "$reprise" "$1" --help 2>&1
    else # or one inside gdb
        "$reprise" gdb --help 2>/dev/null | grep -E "^  reprise $1( |\$)" || true
    fi
}

declare -A help_of
help_for() { # PROGRAM SUBCOMMAND; sets $help, empty where there is no such command
    local key="$1 $2"
    if [ -z "${help_of[$key]+set}" ]; then
        case $1 in
        ./dev) help_of[$key]=$(printf '%s\n  help\n' "$(./dev help)" | grep -E "^  $2( |\$)" -A 1 || true) ;;
        reprise) help_of[$key]=$(reprise_help "$2") ;;
        esac
    fi
    help=${help_of[$key]}
}

check_commands() {
    local file number text program subcommand rest previous help
    while IFS=: read -r file number text; do
        while [[ $text =~ (^|[[:space:]\(\'])(reprise|\./dev)[[:space:]]+([a-z][a-z-]*)(.*) ]]; do
            program=${BASH_REMATCH[2]} subcommand=${BASH_REMATCH[3]} text=${BASH_REMATCH[4]}
            rest=${text%%[|;&#)]*}
            previous=''
            help_for "$program" "$subcommand"
            # shellcheck disable=SC2086
            check_words "$file:$number" "$program" "$subcommand" "$help" $rest
        done
    done < <(code "${documents[@]}")
}

check_comments() {
    local file number token
    while IFS=: read -r file number token; do
        token=$(sed -E 's/[.,:]+$//' <<<"$token")
        exists "$token" "$(dirname "$file")" || bad "$file:$number: $token does not exist"
    done < <(grep -noHE '(^|[ (])(docs|tests|src|host|include/reprise|bench|tools|examples)/[A-Za-z0-9_./*-]+' "${sources[@]}" |
        grep -E ':[0-9]+:[ (]?[a-z]+/[A-Za-z0-9_/.*-]*(/|\*|\.[a-z]+)$' | sed -E 's/:[ (]/:/' || true)
}

set -f # options and patterns in documents are words, not file names
[ -x "$reprise" ] || bad "$reprise:1: is not there: build it first"
[ ${#documents[@]} -eq 0 ] || { check_paths; check_links; }
[ ${#documents[@]} -eq 0 ] || [ ! -x "$reprise" ] || check_commands
[ ${#sources[@]} -eq 0 ] || check_comments
exit "$status"
