#!/usr/bin/env bash
# pages.sh passes a sound page and fails on each kind of fault that it is there for.
#
#     test_pages.sh COMMAND…          as for pages.sh
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/reprise-docs-XXXXXX)
trap 'rm -rf "$work"' EXIT
compiler=("$@")
unset RP_DOCS_NO_OUTPUT
status=0

page() { # FENCE STATEMENTS [OUTPUT]
    printf '# A page\n```%s\n#include <stdio.h>\n#include <stdlib.h>\n\nvoid example(void)\n{\n%s\n}\n```\n' "$1" "$2"
    [ $# -lt 3 ] || printf 'prints\n```text\n%s\n```\n' "$3"
}

expect() { # passes|fails WHAT; the page is on standard input
    cat >"$work/page.md"
    local ended=passes
    bash "$here/pages.sh" "$work/page.md" "${compiler[@]}" >"$work/said" 2>&1 || ended=fails
    [ "$ended" = "$1" ] && return
    cat "$work/said" >&2
    echo "a page with $2: $ended" >&2
    status=1
}

page c 'puts("yes");' 'yes' | expect passes 'its true output'
page c 'puts("no");' 'yes' | expect fails 'another output'
page c 'puts("at 0x12ab"); puts("a    b");' $'at 0x99\na b' | expect passes 'another address'
page c 'puts("yes")' | expect fails 'a missing semicolon'
page c 'int unused;' | expect fails 'a warning'
page c 'exit(3);' | expect fails 'an exit code'
page 'c aborts' 'puts("bye"); fflush(stdout); abort();' 'bye' | expect passes 'an expected abort'
page 'c aborts' 'puts("yes");' | expect fails 'no abort'
page c 'abort();' | expect fails 'an abort'
{ page c 'puts("yes");'; page c 'exit(1);'; } | expect fails 'a second example that fails'
{ page c 'puts("yes");'; page 'c part' 'no code'; } | expect passes 'a part'
echo 'no code' | expect fails 'no example'
exit "$status"
