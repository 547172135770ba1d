"""Draws curves as one SVG element that stands in a page: no script, no font, no reference to anything outside.

Every point is drawn where it was reported; colours are classes, for the page to choose in light and dark. A curve is
told from others by its sign at its end and by its kind of line as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tui_tuner.evaluation.blocks import Chart, Curve, plain

SIGNS = "●▲■◆★○△□◇☆"
"""The sign of each slot, as the screens have them."""
COLOURS = 8
DASHES = ("", "9 4", "3 4", "9 4 2 4")
"""Kinds of lines: whole, dashed, dotted, dash and dot."""
WIDTH, HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 14, 42


def chart_svg(chart: Chart) -> str:
    """The chart as an SVG element; a curve without finite points is left out."""
    curves = [(curve, points) for curve in chart.curves if (points := finite(curve.points))]
    title = escape(plain(f"{chart.title}, {chart.y_label} over {chart.x_label}"))
    head = f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{title}"><title>{title}</title>'
    if not curves:
        return f'{head}<text class="tick" x="{WIDTH / 2:g}" y="{HEIGHT / 2:g}">no points</text></svg>'
    scale = Scale.around([point for _, points in curves for point in points])
    parts = [head, *_axes(scale, chart)]
    for curve, points in curves:
        colour, dash = f"c{curve.slot % COLOURS + 1}", DASHES[curve.slot % len(DASHES)]
        broken = f' stroke-dasharray="{dash}"' if dash else ""
        told = escape(plain(curve.name))
        placed = " ".join(f"{x:.2f},{y:.2f}" for x, y in map(scale.place, points))
        parts.append(f'<polyline class="line {colour}" points="{placed}"{broken}><title>{told}</title></polyline>')
        x, y = scale.place(points[-1])
        parts.append(f'<text class="sign {colour}" x="{x + 5:.2f}" y="{y + 4:.2f}">{sign(curve.slot)}</text>')
    return "".join([*parts, "</svg>"])


def sign(slot: int) -> str:
    """The sign of a curve."""
    return SIGNS[slot % len(SIGNS)]


def finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of the points that can be placed."""
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


class Scale:
    """Where values stand in the picture: from the lowest to the highest, widened to whole ticks upwards.

    Args:
        x, y: the lowest and the highest value of either axis.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x_ticks, self.y_ticks = ticks(*x, 8), ticks(*y, 6)
        self.x = _wide(x)
        self.y = _wide((min(y[0], self.y_ticks[0]), max(y[1], self.y_ticks[-1])))

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]]) -> Scale:
        """The scale that all the points are in."""
        x, y = zip(*points, strict=True)
        return cls((min(x), max(x)), (min(y), max(y)))

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point in the picture's own units, y from the top."""
        across = (point[0] - self.x[0]) / (self.x[1] - self.x[0])
        up = (point[1] - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from below `low` or at it up to `high` or beyond, 1, 2 or 5 times a power of ten apart."""
    low, high = _wide((low, high))
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _wide(ends: tuple[float, float]) -> tuple[float, float]:
    """The same with some extent, so that a single value stands in the middle."""
    low, high = ends
    if high - low > max(1e-9 * max(abs(low), abs(high)), 1e-290):  # else rounding would draw the picture
        return ends
    room = abs(low) / 2 or 0.5
    return low - room, high + room


def _axes(scale: Scale, chart: Chart) -> list[str]:
    parts = []
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for value in scale.y_ticks:
        _, y = scale.place((scale.x[0], value))
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.2f}" x2="{right}" y2="{y:.2f}"/>')
        parts.append(f'<text class="tick y" x="{_LEFT - 8}" y="{y + 4:.2f}">{value:.4g}</text>')
    for value in scale.x_ticks:
        if not scale.x[0] <= value <= scale.x[1]:
            continue
        x, _ = scale.place((value, scale.y[0]))
        parts.append(f'<line class="axis" x1="{x:.2f}" y1="{bottom}" x2="{x:.2f}" y2="{bottom + 5}"/>')
        parts.append(f'<text class="tick" x="{x:.2f}" y="{bottom + 18}">{value:.6g}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
    label = escape(plain(chart.x_label))
    parts.append(f'<text class="tick" x="{(_LEFT + right) / 2:g}" y="{HEIGHT - 6}">{label}</text>')
    return parts


def legend(curves: Sequence[Curve]) -> list[tuple[str, str, str]]:
    """For each curve its class, its sign and its name, none of them escaped."""
    return [(f"c{curve.slot % COLOURS + 1}", sign(curve.slot), plain(curve.name)) for curve in curves]
