#!/usr/bin/env bash
# Runs every benchmark of a build, one after the other so that none disturbs another.
#
#     tools/bench.sh BUILD_DIR [--json] [ID...]
#
# --json passes their objects through, one a line; else they become a table. A target that was missed
# is no failure; a benchmark that could not run is.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: bench.sh BUILD_DIR [--json] [ID...]" >&2; exit 2; }
build=$1
shift
json=0
ids=()
for argument in "$@"; do
    case $argument in
    --json) json=1 ;;
    -*) echo "bench: $argument: no such option: there is --json" >&2; exit 2 ;;
    *) ids+=("$argument") ;;
    esac
done

programs=()
for program in "$build"/bench/bench_* "$build"/host/bench_*; do
    if [ -f "$program" ] && [ -x "$program" ]; then
        programs+=("$program")
    fi
done
[ ${#programs[@]} -gt 0 ] || { echo "bench: $build/bench: no benchmarks: build them first" >&2; exit 1; }

run() {
    local program failed=0
    for program in "${programs[@]}"; do
        "$program" --json ${ids[@]+"${ids[@]}"} ||
            { echo "bench: $(basename "$program"): ended with $?" >&2; failed=1; }
    done
    return $failed
}

# Objects as bench/bench.h prints them: flat, in a known order, so that no JSON reader is needed.
table() {
    awk '
        function field(name,    at, rest) {
            at = index($0, "\"" name "\":")
            if (!at) return ""
            rest = substr($0, at + length(name) + 3)
            if (substr(rest, 1, 1) == "\"") { rest = substr(rest, 2); return substr(rest, 1, index(rest, "\"") - 1) }
            sub(/[,}].*/, "", rest)
            return rest
        }
        # A wide spread is said; a target of 0 is none.
        BEGIN { printf "%-5s %-28s %10s %10s  %-6s %s\n", "id", "case", "value", "target", "unit", "ok" }
        /^\{/ { good = field("ok") == "true"
                target = field("target") + 0; spread = field("spread") + 0
                printf "%-5s %-28s %10s %10s  %-6s %s", field("id"), field("case"), field("value"),
                       target == 0 ? "-" : target, field("unit"), target == 0 ? "-" : good ? "yes" : "MISSED"
                if (spread > 0.10) printf "  spread %.0f %%", spread * 100
                printf "\n"
                fflush(); count++; missed += !good; next }
        { print > "/dev/stderr" }
        END { printf "%d results, %d missed\n", count, missed }'
}

if [ "$json" = 1 ]; then
    run
else
    run | table
fi
