#!/usr/bin/env bash
# What a compiler does not check. Each check is a script in tools/lint/ that prints `file:line: why`
# for what fails and ends with 1; tests/tools/test_lint.sh proves that each can fail.
#
#     tools/lint.sh [--build DIR] [CHECK...]      without names: all of them
#
# --build DIR: a finished build of the preset dev; without it build/dev is brought up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

all='paths size shell format layers docs purity compilers'
build=''
if [ "${1:-}" = --build ]; then
    build=${2:?--build takes a folder}
    shift 2
fi
checks=${*:-$all}

for check in $checks; do
    [ -f "tools/lint/$check.sh" ] || { echo "lint: $check: no such check: choose from: $all" >&2; exit 2; }
done
if [ -z "$build" ] && [[ " $checks " =~ \ (layers|docs|purity)\  ]]; then
    ./dev build dev >/dev/null 2>&1 || { echo "lint: the build failed: see ./dev build dev" >&2; exit 1; }
fi

failed=''
for check in $checks; do
    echo "lint: $check" >&2
    bash "tools/lint/$check.sh" "${build:-build/dev}" || failed="$failed $check"
done
if [ -n "$failed" ]; then
    echo "lint: failed:$failed" >&2
    exit 1
fi
