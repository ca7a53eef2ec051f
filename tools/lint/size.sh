# No file over 1200 lines. Files over 800 lines and functions over 70 are named, and do not fail.
# shellcheck shell=bash source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

mapfile -t sources < <(files '*.c' '*.h' '*.hpp' '*.cpp' '*.sh' dev)
for file in "${sources[@]}"; do
    count=$(wc -l < "$file")
    if [ "$count" -gt 1200 ]; then
        bad "$file:1: has $count lines; 1200 are the most: divide it"
    elif [ "$count" -gt 800 ]; then
        echo "$file:1: notice: has $count lines: think again"
    fi
done
if ctags --version 2>/dev/null | grep -q '^Universal'; then
    printf '%s\n' "${sources[@]}" | grep '\.[ch]$' |
        ctags -L - --languages=C,C++ --langmap=C:.c.h --kinds-C=f --fields=ne -f - 2>/dev/null |
        awk -F'\t' '{ line = end = 0
                      for (i = 4; i <= NF; i++) {
                          if ($i ~ /^line:/) line = substr($i, 6)
                          if ($i ~ /^end:/) end = substr($i, 5)
                      }
                      if (end - line >= 70) {
                          print $2 ":" line ": notice: " $1 " has " end - line + 1 " lines: think again"
                      } }'
fi
exit "$status"
