# Code looks as .clang-format says.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mapfile -t sources < <(files '*.c' '*.h' '*.hpp' '*.cpp')
[ ${#sources[@]} -gt 0 ] || exit 0
# The first place of each file is enough: `clang-format -i FILE` mends all of them.
clang-format --dry-run -Werror "${sources[@]}" 2>&1 |
    awk -F: '/: error: / && !seen[$1]++ { print $1 ":" $2 ": is not formatted: clang-format -i " $1; n++ }
             END { exit n > 0 }' || status=1
exit "$status"
