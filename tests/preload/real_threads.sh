#!/usr/bin/env bash
# Programs with threads: sort, xz; and a shell with what it starts.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need sort xz awk
lines=300000
[ -z "$modes" ] || lines=40000
awk -v n="$lines" 'BEGIN { srand(7); for (i = 0; i < n; i++) printf "%d %x %s\n", int(rand() * 1e9), i, substr("abcdefghijklmnopqrstuvwxyz", 1 + i % 20) }' >"$work/lines"
both sort sort --parallel=4 -S 20M -k1,1n -k3 "$work/lines"
both xz xz -T3 -2 --block-size=500KiB -c "$work/lines"
both unxz xz -T3 -dc "$work/xz.ours"
cmp -s "$work/unxz.ours" "$work/lines" || fail "xz: what was packed is not what is unpacked"
# shellcheck disable=SC2016
both shell bash -c 'for i in $(seq 40); do x=$(echo "$i" | sed "s/$/ $((i * i))/" | tr " " "-"); a[i]=$x; done; printf "%s\n" "${a[@]}" | sort -r | awk "{ s = s \$0 } END { print s, length(s) }"'
