"""The pictures of the page as inline SVG; their colours are the page's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from parity.compare.policy import UNIT
from parity.compare.rows import Row

if TYPE_CHECKING:
    from parity.result import Distance

WIDTH = 440
HEIGHT = 200
LEFT = 40
RIGHT = 16
BOTTOM = 34
TOP = 12
CURVES = {"torch32": "one", "flax32": "two", "between": "three"}


def histogram(tier: str, rows: Sequence[Row]) -> str:
    """Counts tensors by gap, in units of the tier's unit roundoff: half a decade a bar; "" without rows."""
    ulps = np.array([row.gap for row in rows if math.isfinite(row.gap)]) / UNIT[tier]
    if not ulps.size:
        return ""
    counts = Counter(np.floor(2 * np.log10(ulps[ulps > 0])).astype(int).tolist())
    zero = int(np.sum(ulps == 0))
    first = min(counts, default=0)
    last = max(counts, default=0)
    bins = [(f"{10 ** (b / 2):.2g} to {10 ** ((b + 1) / 2):.2g}", counts[b]) for b in range(first, last + 1)]
    slots = [("0", zero), ("", 0), *bins]
    step = (WIDTH - LEFT - RIGHT) / len(slots)
    highest = max(count for _, count in slots)
    bars = []
    for number, (title, count) in enumerate(slots):
        size = (HEIGHT - BOTTOM - TOP) * count / highest
        x = LEFT + number * step
        y = HEIGHT - BOTTOM - size
        bars.append(
            f'<rect class="bar" x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{size:.1f}">'
            f"<title>{title} ulp: {count} tensors</title></rect>"
        )
    ticks = [_text(LEFT + step / 2, HEIGHT - BOTTOM + 14, "0")]
    for decade in _thinned([b for b in range(first, last + 2) if b % 2 == 0], 8):
        ticks.append(_text(LEFT + (decade - first + 2) * step, HEIGHT - BOTTOM + 14, _power(decade // 2)))
    ticks.append(_text((LEFT + WIDTH) / 2, HEIGHT - 4, f"gap in ulp of {tier} ({UNIT[tier]:.1e})"))
    ticks += [_text(LEFT - 4, TOP + 8, str(highest), "end"), _text(LEFT - 4, HEIGHT - BOTTOM, "0", "end")]
    median = f"{np.median(ulps):.2g}"
    label = f"{tier}: {ulps.size} tensors, {zero} equal, median {median} ulp, largest {ulps.max():.2g} ulp"
    return _svg(label, [*bars, _base(), *ticks])


def trajectory(distances: Sequence[Distance]) -> str:
    """The three float32 distances of a free run over its steps, on a logarithmic axis; "" where there are none."""
    measured = {name: [(d.step, getattr(d, name)) for d in distances] for name in CURVES}
    curves = {name: [(s, v) for s, v in points if math.isfinite(v) and v > 0] for name, points in measured.items()}
    values = [v for points in curves.values() for _, v in points]
    if not values:
        return ""
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    steps = [d.step for d in distances]
    width = max(steps[-1] - steps[0], 1)

    def at(step: int, value: float) -> tuple[float, float]:
        y = (high - math.log10(value)) / (high - low)
        return LEFT + 12 + (WIDTH - LEFT - 24) * (step - steps[0]) / width, TOP + (HEIGHT - BOTTOM - TOP) * y

    marks = []
    for exponent in range(low, high + 1):
        _, y = at(steps[0], 10.0**exponent)
        marks.append(f'<line class="axis" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}"/>')
        marks.append(_text(LEFT - 4, y + 4, _power(exponent), "end"))
    marks += [_text(at(step, 10.0**low)[0], HEIGHT - BOTTOM + 14, str(step)) for step in _thinned(steps, 10)]
    marks.append(_text((LEFT + WIDTH) / 2, HEIGHT - 4, "step"))
    for name, points in curves.items():
        line = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points)
        marks.append(f'<polyline class="curve {CURVES[name]}" points="{line}"/>')
        marks += [_point(CURVES[name], *at(step, value), f"step {step}: {value:.2e}") for step, value in points]
    last = distances[-1]
    label = (
        f"after {last.step} steps: PyTorch {last.torch32:.1e} and Flax {last.flax32:.1e} from the float64 run,"
        f" {last.between:.1e} from each other"
    )
    return _svg(label, marks)


def key(name: str) -> str:
    """The piece of a curve that stands before its explanation."""
    line = f'<path class="curve {CURVES[name]}" d="M0 6H32"/>'
    return f'<svg class="key" viewBox="0 0 32 12" aria-hidden="true">{line}</svg>'


def _svg(label: str, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{"".join(parts)}</svg>'


def _base() -> str:
    y = HEIGHT - BOTTOM
    return f'<line class="axis" x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _point(curve: str, x: float, y: float, title: str) -> str:
    return f'<circle class="curve point {curve}" r="2.5" cx="{x:.1f}" cy="{y:.1f}"><title>{title}</title></circle>'


def _power(exponent: int) -> str:
    return f"1e{exponent}" if exponent else "1"


def _thinned(values: list[int], most: int) -> list[int]:
    return values[:: max(1, math.ceil(len(values) / most))]
