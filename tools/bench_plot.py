#!/usr/bin/env python3
"""Draws what `bench_scale --json plot` prints: cost against the world's size and written pages.

    bench_scale --json plot | tools/bench_plot.py > docs/images/history-cost.svg

One SVG with two panels, both axes logarithmic. Only Python's own library.
"""
import json
import math
import sys

WIDTH, HEIGHT = 960, 430
PANEL_WIDTH, PANEL_HEIGHT, TOP = 370, 290, 62
LEFTS = {"world": 72, "pages": 558}
TITLES = {"world": "256 written pages, by the size of the world",
          "pages": "A world of 256 MiB, by written pages"}
X_NAMES = {"world": "world, MiB", "pages": "written pages a frame, of 4 KiB"}
SERIES = [("commit", "a frame: faults and commit", "#2f6db5", ""),
          ("seek", "seek by one frame", "#c8553d", ""),
          ("memcpy", "limit: memcpy of the same pages", "#5f6670", "5 3")]
FRAME_US = 1e6 / 60


def read(stream):
    """{axis: {series: [(x, us)]}}"""
    points = {axis: {name: [] for name, *_ in SERIES} for axis in LEFTS}
    for line in stream:
        if not line.startswith("{"):
            continue
        result = json.loads(line)
        if result["id"] != "plot":
            continue
        series, axis, at = result["case"].split()
        points[axis][series].append((float(at), result["median_us"]))
        if series == "commit":
            points[axis]["memcpy"].append((float(at), result["peer_us"]))
    return points


def decades(low, high):
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def time_text(us):
    return f"{us / 1000:g} ms" if us >= 1000 else f"{us:g} µs"


class Panel:
    def __init__(self, axis, points, y_range):
        self.axis, self.points, self.left = axis, points, LEFTS[axis]
        xs = [x for series in points.values() for x, _ in series]
        self.ticks = sorted(set(xs))
        self.x_low, self.x_high = math.log2(min(xs)) - 0.3, math.log2(max(xs)) + 0.3
        self.y_low, self.y_high = y_range

    def x(self, value):
        part = (math.log2(value) - self.x_low) / (self.x_high - self.x_low)
        return self.left + part * PANEL_WIDTH

    def y(self, us):
        part = (math.log10(us) - self.y_low) / (self.y_high - self.y_low)
        return TOP + (1 - part) * PANEL_HEIGHT

    def axes(self):
        right, bottom = self.left + PANEL_WIDTH, TOP + PANEL_HEIGHT
        yield f'<text x="{self.left}" y="{TOP - 14}" class="title">{TITLES[self.axis]}</text>'
        for power in range(self.y_low, self.y_high + 1):
            y = self.y(10 ** power)
            yield f'<path d="M{self.left} {y:.1f}H{right}" class="grid"/>'
            yield f'<text x="{self.left - 8}" y="{y + 4:.1f}" class="end">{time_text(10 ** power)}</text>'
        for value in self.ticks:
            x = self.x(value)
            yield f'<path d="M{x:.1f} {bottom}v5" class="axis"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 19}" class="mid">{value:g}</text>'
        yield f'<path d="M{self.left} {TOP}V{bottom}H{right}" class="axis"/>'
        yield f'<text x="{(self.left + right) / 2}" y="{bottom + 40}" class="mid">{X_NAMES[self.axis]}</text>'
        if self.y_low < math.log10(FRAME_US) < self.y_high:
            y = self.y(FRAME_US)
            yield f'<path d="M{self.left} {y:.1f}H{right}" class="turn"/>'
            yield f'<text x="{self.left + 8}" y="{y - 5:.1f}" class="small">all of a frame at 60 Hz</text>'

    def lines(self):
        for name, _, colour, dash in SERIES:
            at = [(self.x(x), self.y(us)) for x, us in self.points[name]]
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
            dashed = f' stroke-dasharray="{dash}"' if dash else ""
            yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashed}/>'
            for x, y in at:
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def legend():
    x = LEFTS["world"]
    for _, text, colour, dash in SERIES:
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        yield f'<path d="M{x} 414h29" stroke="{colour}" stroke-width="2"{dashed}/>'
        yield f'<circle cx="{x + 14}" cy="414" r="3" fill="{colour}"/>'
        yield f'<text x="{x + 36}" y="418">{text}</text>'
        x += 60 + 7 * len(text)


def draw(points):
    times = [us for panel in points.values() for series in panel.values() for _, us in series]
    y_range = (decades(min(times), max(times))[0], decades(min(times), max(times))[-1])
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
           f'height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="#2b2f36">')
    yield ("<style>.title{font-weight:bold;font-size:13px}.mid{text-anchor:middle}"
           ".end{text-anchor:end}.small{font-size:11px;fill:#8a6d1c}.grid{stroke:#e3e6ea;fill:none}"
           ".axis{stroke:#2b2f36;fill:none}.turn{stroke:#c9a227;stroke-dasharray:2 3;fill:none}</style>")
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield f'<text x="{LEFTS["world"]}" y="24" class="title" font-size="15">What a frame and a seek cost</text>'
    for axis in LEFTS:
        panel = Panel(axis, points[axis], y_range)
        yield from panel.axes()
        yield from panel.lines()
    yield from legend()
    yield "</svg>"


def main():
    points = read(sys.stdin)
    if not all(series for panel in points.values() for series in panel.values()):
        sys.exit("bench_plot: results are missing: give it the output of `bench_scale --json plot`")
    print("\n".join(draw(points)))


if __name__ == "__main__":
    main()
