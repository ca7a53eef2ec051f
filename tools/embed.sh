#!/bin/sh
# Turns files into a C table, so that a command carries them inside itself.
#
#     tools/embed.sh NAME FILE... > NAME.c
#
# The table is `const embed_file NAME[]`, its length `const int NAME_count`. A leading "dot-" in a
# file's name stands for "."; the same files give the same text, on every machine.
set -eu
[ $# -ge 2 ] || { echo "usage: embed.sh NAME FILE..." >&2; exit 2; }
LC_ALL=C
export LC_ALL
name=$1
shift

echo '/* Made by tools/embed.sh. */'
echo '#include "embed.h"'
count=0
table=
for file in "$@"; do
    shown=$(basename "$file" | sed 's/^dot-/./')
    size=$(wc -c < "$file" | tr -d ' ')
    echo "static const unsigned char bytes_${count}[] = {"
    od -An -v -tu1 "$file" | sed 's/^ *//; s/  */,/g; s/$/,/'
    echo '0};'
    table="$table    {\"$shown\", bytes_$count, $size},
"
    count=$((count + 1))
done
echo "const embed_file ${name}[] = {"
printf '%s};\n' "$table"
echo "const int ${name}_count = $count;"
