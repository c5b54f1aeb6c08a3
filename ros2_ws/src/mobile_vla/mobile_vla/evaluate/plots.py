"""Inline SVG plots that follow the page's colours, light and dark. No script, no outside resource.

Colours come from the page (`html.STYLE`) by class: `s1` to `s4` for series, `m-<mode>` for modes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 860, 240
LEAST_SCALE = 0.7
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 34
_MAX_POINTS = 1200


class Series(NamedTuple):
    """One line. `style` is a class of the page: s1 to s4."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "s1"
    steps: bool = False
    """The value holds until the next one, as a command does."""


class Band(NamedTuple):
    """A translucent stretch between two lines: an interval."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    style: str = "s1"


class Span(NamedTuple):
    """A coloured stretch of a timeline."""

    start: float
    end: float
    text: str
    style: str
    detail: str = ""


class Row(NamedTuple):
    """One line of a timeline."""

    name: str
    spans: Sequence[Span]


class _Frame:
    """Maps data to pixels and draws axes."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        self.x0, self.x1 = _widened(*x)
        self.y0, self.y1 = _widened(*y)
        self.width, self.height = width, height
        self.inner = (width - _LEFT - _RIGHT, height - _TOP - _BOTTOM)

    def px(self, x: float) -> float:
        return _LEFT + (x - self.x0) / (self.x1 - self.x0) * self.inner[0]

    def py(self, y: float) -> float:
        return _TOP + (self.y1 - y) / (self.y1 - self.y0) * self.inner[1]

    def axes(self, x_label: str, y_label: str) -> str:
        parts = []
        for tick in ticks(self.y0, self.y1, 5):
            at = self.py(tick)
            parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at:.1f}" x2="{self.width - _RIGHT}" y2="{at:.1f}"/>')
            parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{number(tick)}</text>')
        base = self.height - _BOTTOM
        for tick in ticks(self.x0, self.x1, 9 if self.width > 600 else 5):
            at = self.px(tick)
            parts.append(f'<line class="axis" x1="{at:.1f}" y1="{base}" x2="{at:.1f}" y2="{base + 4}"/>')
            parts.append(f'<text class="tick" x="{at:.1f}" y="{base + 16}" text-anchor="middle">{number(tick)}</text>')
        parts.append(f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{self.width - _RIGHT}" y2="{base}"/>')
        middle = _LEFT + self.inner[0] / 2
        parts.append(
            f'<text class="label" x="{middle:.0f}" y="{self.height - 3}" text-anchor="middle">{escape(x_label)}</text>'
        )
        middle = _TOP + self.inner[1] / 2
        turned = f'transform="rotate(-90 12 {middle:.0f})"'
        parts.append(
            f'<text class="label" x="12" y="{middle:.0f}" text-anchor="middle" {turned}>{escape(y_label)}</text>'
        )
        return "".join(parts)


def line_plot(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    zero: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    bands: Sequence[Band] = (),
    width: int = WIDTH,
) -> str:
    """Lines over a common x axis, with a legend. NaN breaks a line; `zero` makes the y axis include 0.

    Bands lie under the lines and inside the ranges.
    """
    xs = [x for one in series for x in one.x]
    ys = [y for one in series for y in one.y if math.isfinite(y)]
    if not xs or not ys:
        return '<p class="quiet">No data.</p>'
    low, high = min(ys), max(ys)
    if y_range is None:
        y_range = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    frame = _Frame(x_range or (min(xs), max(xs)), y_range, width, HEIGHT)
    shades = "".join(_shade(frame, band) for band in bands)
    lines = "".join(_polyline(frame, one) for one in series)
    drawing = _svg(frame.axes(x_label, y_label) + shades + lines, width, HEIGHT, f"{y_label} over {x_label}")
    return legend([(one.name, one.style) for one in series]) + drawing if len(series) > 1 else drawing


def path_plot(paths: Sequence[Series], points: Sequence[tuple[float, float, str, str]] = (), height: int = 400) -> str:
    """Paths in the plane with equal scales; `points` are (x, y, name, style)."""
    xs = [x for one in paths for x in one.x] + [point[0] for point in points]
    ys = [y for one in paths for y in one.y] + [point[1] for point in points]
    if not xs:
        return '<p class="quiet">No path: nothing says where the robot was.</p>'
    inner = (WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM)
    metres_per_pixel = 1.12 * max((max(xs) - min(xs)) / inner[0], (max(ys) - min(ys)) / inner[1], 1.0 / inner[1])
    half = (inner[0] * metres_per_pixel / 2, inner[1] * metres_per_pixel / 2)
    centre = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)
    spans = ((centre[0] - half[0], centre[0] + half[0]), (centre[1] - half[1], centre[1] + half[1]))
    frame = _Frame(*spans, WIDTH, height)
    parts = [frame.axes("x in m", "y in m")]
    parts += [_polyline(frame, one) for one in paths]
    for x, y, name, style in points:
        at = (frame.px(x), frame.py(y))
        parts.append(
            f'<circle class="dot {style}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5">'
            f"<title>{escape(name)}</title></circle>"
        )
        parts.append(f'<text class="note" x="{at[0] + 8:.1f}" y="{at[1] - 6:.1f}">{escape(name)}</text>')
    return _svg("".join(parts), WIDTH, height, "path of the robot")


def histogram(
    values: Sequence[float],
    x_label: str,
    *,
    bins: int = 40,
    marks: Sequence[tuple[float, str]] = (),
    width: int = WIDTH,
) -> str:
    """How often each value occurred; `marks` are labelled vertical lines. The last bin holds the 1 % that is larger."""
    if not values:
        return '<p class="quiet">No data.</p>'
    ordered = sorted(values)
    high = max(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], *(mark[0] for mark in marks), 1e-9)
    low = min(0.0, ordered[0])
    step = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / step))] += 1
    frame = _Frame((low, high), (0, max(counts)), width)
    parts = [frame.axes(x_label, "count")]
    for index, count in enumerate(counts):
        left, right, top = frame.px(low + index * step), frame.px(low + (index + 1) * step), frame.py(count)
        base = frame.py(0)
        title = f"{number(low + index * step)} to {number(low + (index + 1) * step)}: {count}"
        parts.append(
            f'<rect class="bar s1" x="{left:.1f}" y="{top:.1f}" width="{max(1.0, right - left - 1):.1f}" '
            f'height="{base - top:.1f}"><title>{title}</title></rect>'
        )
    for place, (value, name) in enumerate(marks):
        at = frame.px(value)
        parts.append(f'<line class="mark" x1="{at:.1f}" y1="{_TOP}" x2="{at:.1f}" y2="{frame.py(0):.1f}"/>')
        side = ("end", -4) if at > width * 0.8 else ("start", 4)
        parts.append(
            f'<text class="note" x="{at + side[1]:.1f}" y="{_TOP + 12 + 14 * place}" text-anchor="{side[0]}">'
            f"{escape(name)}</text>"
        )
    return _svg("".join(parts), width, HEIGHT, f"distribution of {x_label}")


def timeline(rows: Sequence[Row], end: float, x_label: str = "time in s") -> str:
    """Rows of labelled stretches over time."""
    left, bar, gap = 96, 26, 8
    height = len(rows) * (bar + gap) + _BOTTOM + 4
    scale = (WIDTH - left - _RIGHT) / max(end, 1e-9)
    parts = []
    for index, row in enumerate(rows):
        top = 2 + index * (bar + gap)
        parts.append(f'<text class="label" x="{left - 8}" y="{top + 17}" text-anchor="end">{escape(row.name)}</text>')
        for span in row.spans:
            x, width = left + span.start * scale, max(1.0, (span.end - span.start) * scale)
            detail = f"{span.text}, {span.start:.2f} to {span.end:.2f} s{f': {span.detail}' if span.detail else ''}"
            parts.append(
                f'<rect class="span {span.style}" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{bar}">'
                f"<title>{escape(detail)}</title></rect>"
            )
            if width > 7.0 * len(span.text) + 8:
                parts.append(f'<text class="inside" x="{x + 6:.1f}" y="{top + 17}">{escape(span.text)}</text>')
    base = len(rows) * (bar + gap) + 2
    for tick in ticks(0.0, end, 9):
        at = left + tick * scale
        parts.append(f'<line class="axis" x1="{at:.1f}" y1="{base}" x2="{at:.1f}" y2="{base + 4}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{base + 16}" text-anchor="middle">{number(tick)}</text>')
    parts.append(
        f'<text class="label" x="{(left + WIDTH) / 2:.0f}" y="{base + 31}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    return _svg("".join(parts), WIDTH, height, "timeline")


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Names with the colour of their line or bar."""
    keys = "".join(f'<span><i class="key {style}"></i>{escape(name)}</span>' for name, style in entries)
    return f'<div class="legend">{keys}</div>'


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round values between low and high, about as many as wanted."""
    raw = (high - low) / max(1, wanted)
    if raw <= 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Short, without noise: 0.25, 12, 1500."""
    return f"{0.0 if abs(value) < 1e-12 else value:.6g}"


def _shade(frame: _Frame, band: Band) -> str:
    there = [f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in zip(band.x, band.high, strict=True)]
    back = [f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in zip(band.x, band.low, strict=True)]
    return f'<polygon class="band {band.style}" points="{" ".join([*there, *reversed(back)])}"/>'


def _polyline(frame: _Frame, one: Series) -> str:
    pieces: list[list[str]] = []
    current: list[str] = []
    last_y: float | None = None
    for x, y in _thinned(one.x, one.y):
        if not math.isfinite(y):
            pieces.append(current)
            current, last_y = [], None
            continue
        if one.steps and last_y is not None:
            current.append(f"{frame.px(x):.1f},{frame.py(last_y):.1f}")
        current.append(f"{frame.px(x):.1f},{frame.py(y):.1f}")
        last_y = y
    pieces.append(current)
    drawn = "".join(f'<polyline class="line {one.style}" points="{" ".join(piece)}"/>' for piece in pieces if piece)
    return f"<g><title>{escape(one.name)}</title>{drawn}</g>"


def _thinned(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """About `_MAX_POINTS` points at most; each bucket keeps its smallest and largest value, so no peak is lost."""
    count = len(x)
    if count <= _MAX_POINTS:
        return list(zip(x, y, strict=True))
    size = math.ceil(count / (_MAX_POINTS / 2))
    kept: list[int] = []
    for start in range(0, count, size):
        bucket = range(start, min(start + size, count))
        kept += sorted({min(bucket, key=lambda i: y[i]), max(bucket, key=lambda i: y[i])})
    return [(x[index], y[index]) for index in kept]


def _widened(low: float, high: float) -> tuple[float, float]:
    if high - low < 1e-9:
        return low - 0.5, high + 0.5
    return low, high


def _svg(content: str, width: int, height: int, title: str) -> str:
    """As wide as the page; on a narrow one it is moved sideways before its words become too small to read."""
    return (
        f'<div class="scroll"><svg viewBox="0 0 {width} {height}" style="min-width:{round(LEAST_SCALE * width)}px" '
        f'role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">{content}</svg></div>'
    )
