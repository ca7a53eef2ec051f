#!/usr/bin/env bash
# python3: a workload of the standard library's, each allocation through malloc.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need "$python"
export PYTHONHASHSEED=0 PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1
rounds=2
[ -z "$modes" ] || rounds=1
both python "$python" "$sources/workload.py" "$rounds"
[ "$(wc -l <"$work/python.ours")" -ge 10 ] || fail "the workload wrote too little"
# Its own allocator over our memory.
unset PYTHONMALLOC
[ -n "$modes" ] || both python-own "$python" "$sources/workload.py" 1
