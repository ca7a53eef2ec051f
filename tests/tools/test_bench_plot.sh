#!/usr/bin/env bash
# tools/bench_plot.py: what it draws is well-formed and holds every point; what lacks results is refused.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*"; exit 1; }

row() { printf '{"id":"plot","case":"%s","value":1,"median_us":%s,"peer_us":%s,"note":""}\n' "$1" "$2" "$3"; }
{
    echo 'bench_scale: a line that is no result'
    for at in 4 64 1024; do row "commit world $at" 500.5 80 && row "seek world $at" 300 80; done
    for at in 1 256; do row "commit pages $at" $((at * 30)) $((at)) && row "seek pages $at" $((at * 20)) $((at)); done
} >"$work/results"
"$root/tools/bench_plot.py" <"$work/results" >"$work/plot.svg" || fail "ended with $?"
python3 - "$work/plot.svg" <<'PYTHON' || fail "the picture"
import sys
import xml.etree.ElementTree as tree

root = tree.parse(sys.argv[1]).getroot()
name = "{http://www.w3.org/2000/svg}"
circles = root.findall(name + "circle")
texts = [text.text for text in root.findall(name + "text")]
assert len(circles) == 3 * (3 + 2) + 3, len(circles)  # three lines, and the legend
for wanted in ("world, MiB", "1024", "256", "1 ms", "limit: memcpy of the same pages"):
    assert wanted in texts, (wanted, texts)
width, height = float(root.get("width")), float(root.get("height"))
for circle in circles:
    assert 0 < float(circle.get("cx")) < width and 0 < float(circle.get("cy")) < height
PYTHON
grep -v '"seek world' "$work/results" >"$work/less"
"$root/tools/bench_plot.py" <"$work/less" >"$work/none.svg" 2>"$work/err" && fail "drew without all results"
grep -q 'results are missing' "$work/err" || fail "says: $(cat "$work/err")"
[ -s "$work/none.svg" ] && fail "wrote a part of a picture"
exit 0
