# Nothing of one machine or one person: no path of somebody's work place, no name in a comment.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mapfile -t texts < <(files '*' | xargs -d '\n' grep -lI '' --)
report() { # WHY, lines on standard input
    while IFS= read -r place; do
        bad "$(cut -d: -f1,2 <<<"$place"): $1"
    done
}
report "names a folder of one machine" \
    < <(lines '(^|[^A-Za-z0-9_.}])/(work|home/[a-z]+|Users|root)/|/tmp/b[-]' "${texts[@]}" | grep -v '^tools/lint/paths\.sh:')
report "names a person: the history of changes knows who" \
    < <(lines '(@author|[Aa]uthor:|[Ww]ritten by [A-Z]|TODO\()|[A-Za-z0-9._]+@[A-Za-z0-9-]+\.(com|org|net|io|de)\b' "${texts[@]}" |
        grep -v '^tools/lint/paths\.sh:')
exit "$status"
