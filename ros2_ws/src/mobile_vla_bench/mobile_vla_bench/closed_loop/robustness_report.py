"""What the robustness curves say, as figures and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mobile_vla.evaluate import html, plots
from mobile_vla.metrics import Metric, MetricReport
from mobile_vla_bench.closed_loop.report import what_was_executed
from mobile_vla_bench.closed_loop.robustness import AXES, PRECISION, Point

# Success this far below nominal still counts as bearing it.
TOLERATED = 0.10
PRECISION_TARGET = 0.02


def report_of(points: Sequence[Point], command: str, executed: dict[str, Any]) -> MetricReport:
    """Success and its change at every point, and how far each axis may go."""
    metrics: list[Metric] = []
    for name, group in _by_axis(points).items():
        for point in group:
            success, change = point.summary.success, point.change
            interval = (success.low, success.high)
            at = f"{name}.{_shown(point.value)}"
            metrics.append(Metric(f"success.{at}", success.value, "share", "higher", n=success.n, spread=interval))
            if name == PRECISION and point.value != "fp32":
                metrics.append(
                    Metric(
                        f"lost.{at}",
                        0.0 - change.value,
                        "share",
                        baseline="the same rooms in fp32",
                        target=PRECISION_TARGET,
                        n=change.n,
                        spread=(0.0 - change.high, 0.0 - change.low),
                    )
                )
        if name != PRECISION:
            metrics += _reach(name, group)
    return MetricReport(command, executed, metrics)


def page_of(points: Sequence[Point], report: MetricReport) -> str:
    """The curves as one self-contained page."""
    axes = _by_axis(points)
    n = points[0].summary.success.n
    note = (
        f"Each point: the same {n} rooms. The band is the 95 % interval of the share (Wilson); the table gives the "
        "change from the usual settings, room by room, with its own interval. Collisions count as failures."
    )
    parts = [html.section("How far it may go", _reach_table(axes), html.paragraph(note, "quiet"))]
    for name, group in axes.items():
        drawing = [] if name == PRECISION else [_curve(name, group)]
        parts.append(html.section(_heading(name), *drawing, _table(group)))
    parts.append(what_was_executed(report))
    return html.page("Success while one thing gets worse", report.command, parts)


def reach(group: Sequence[Point]) -> tuple[float | None, float | None]:
    """The lowest and highest value to which success stays near nominal without a gap; None where nothing changes there.

    "Near" means less than `TOLERATED` below.
    """
    ordered = sorted(group, key=lambda point: float(point.value))
    usual = [index for index, point in enumerate(ordered) if point.usual]
    if not usual:
        return None, None
    first = last = usual[0]
    while last + 1 < len(ordered) and _borne(ordered[last + 1]):
        last += 1
    while first > 0 and _borne(ordered[first - 1]):
        first -= 1
    lowest = float(ordered[first].value) if usual[0] > 0 else None
    highest = float(ordered[last].value) if usual[0] + 1 < len(ordered) else None
    return lowest, highest


def _borne(point: Point) -> bool:
    return point.change.value >= -TOLERATED


def _reach(name: str, group: Sequence[Point]) -> list[Metric]:
    lowest, highest = reach(group)
    metrics = []
    unit = AXES[name].unit
    if lowest is not None:
        metrics.append(Metric(f"borne_from.{name}", lowest, unit, "lower", n=len(group)))
    if highest is not None:
        metrics.append(Metric(f"borne_to.{name}", highest, unit, "higher", n=len(group)))
    return metrics


def _reach_table(axes: dict[str, list[Point]]) -> str:
    rows = []
    for name, group in axes.items():
        if name == PRECISION:
            continue
        lowest, highest = (("" if value is None else f"{value:g}") for value in reach(group))
        tried = f"{_shown(group[0].value)} to {_shown(group[-1].value)}"
        rows.append((_heading(name), tried, lowest, highest))
    heads = ("", "tried", f"success within {100 * TOLERATED:.0f} points of usual: from", "to")
    return html.table(heads, rows)


def _curve(name: str, group: Sequence[Point]) -> str:
    x = [float(point.value) for point in group]
    summaries = [point.summary for point in group]
    band = plots.Band(x, [one.success.low for one in summaries], [one.success.high for one in summaries], "s3")
    series = [
        plots.Series("success", x, [one.success.value for one in summaries], "s3"),
        plots.Series("collisions", x, [one.collisions.value for one in summaries], "s2"),
    ]
    return plots.line_plot(series, AXES[name].label, "share of episodes", y_range=(0.0, 1.0), bands=[band])


def _table(group: Sequence[Point]) -> str:
    rows = []
    for point in group:
        summary, change = point.summary, point.change
        rows.append(
            (
                _shown(point.value),
                f"{summary.success.value:.2f} ({summary.success.low:.2f} to {summary.success.high:.2f})",
                "" if point.usual else f"{change.value:+.2f} ({change.low:+.2f} to {change.high:+.2f})",
                f"{summary.collisions.value:.2f}",
                f"{summary.timed_out.value:.2f}",
                f"{summary.time_s.value:.1f}",
            )
        )
    return html.table(("value", "success", "change", "collisions", "timed out", "time to goal, s"), rows)


def _by_axis(points: Sequence[Point]) -> dict[str, list[Point]]:
    axes: dict[str, list[Point]] = {}
    for point in points:
        axes.setdefault(point.axis, []).append(point)
    return axes


def _heading(name: str) -> str:
    label = AXES[name].label
    return label[0].upper() + label[1:]


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
