"""Traced drives as a page: a map of each room with the way that was taken, and what happened when."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from mobile_vla.evaluate import html, plots
from mobile_vla_bench.closed_loop.trace import Moment, Trace
from mobile_vla_sim.scene import Block, Scene

_HEADS = (
    "room",
    "told",
    "outcome",
    "where",
    "time, s",
    "goal in view, s",
    "nearest, m",
    "turned on the spot, s",
    "stood, s",
    "gate stopped, s",
)
_STOPPING = ("range_stop", "range_unseen")


def facts_of(trace: Trace) -> tuple[str, ...]:
    """One drive as a row of the table."""
    result, moments = trace.result, trace.moments
    return (
        str(result.seed),
        result.instruction,
        result.outcome,
        result.stopped_at or result.contact,
        f"{result.time_s:.1f}",
        f"{trace.seconds(one.goal_in_view for one in moments):.1f}",
        f"{min((one.goal_distance_m for one in moments), default=math.nan):.2f}",
        f"{trace.seconds(one.doing == 'turns' for one in moments):.1f}",
        f"{trace.seconds(one.doing == 'stands' for one in moments):.1f}",
        f"{trace.seconds(one.gate in _STOPPING for one in moments):.1f}",
    )


def in_words(trace: Trace) -> str:
    """One drive as a line."""
    room, told, outcome, where, time_s, seen_s, nearest_m, turned_s, stood_s, stopped_s = facts_of(trace)
    return (
        f"{room}, {told}: {outcome}{' ' if where else ''}{where} after {time_s} s; goal in view {seen_s} s, nearest "
        f"{nearest_m} m; turned on the spot {turned_s} s, stood {stood_s} s, stopped by the gate {stopped_s} s"
    )


def page_of(traces: Sequence[Trace], command: str) -> str:
    """Every drive on one self-contained page."""
    table = html.table(_HEADS, [facts_of(trace) for trace in traces], text_columns=4)
    return html.page("Drives, moment by moment", command, [html.section("Drives", table), *map(_drive, traces)])


def _drive(trace: Trace) -> str:
    result, moments = trace.result, trace.moments
    end = result.time_s
    times = [one.time_s for one in moments]
    rows = [
        plots.Row("goal", _spans(moments, end, lambda one: "in view" if one.goal_in_view else "", "m-autonomy")),
        plots.Row("robot", _spans(moments, end, lambda one: one.doing, "m-teleop")),
        plots.Row("gate", _spans(moments, end, lambda one: "" if one.gate == "ok" else one.gate, "m-limit")),
    ]
    curves = [
        plots.line_plot(
            [
                plots.Series("driver", times, [getattr(one, f"action_{part}") for one in moments], "s1", steps=True),
                plots.Series("expert", times, [getattr(one, f"expert_{part}") for one in moments], "s2", steps=True),
            ],
            "time in s",
            label,
            zero=True,
        )
        for part, label in (("first", "forward, -1 to 1"), ("second", "second action, -1 to 1"))
    ]
    return html.section(
        f"{result.seed}: {result.instruction}: {result.outcome}",
        _map(trace),
        plots.timeline(rows, end),
        *curves,
    )


def _map(trace: Trace) -> str:
    scene, moments = trace.scene, trace.moments
    x = [one.x for one in moments]
    seen = [one.y if one.goal_in_view else math.nan for one in moments]
    hidden = [math.nan if one.goal_in_view else one.y for one in moments]
    ways = [plots.Series("goal in view", x, seen, "s3"), plots.Series("goal not in view", x, hidden, "s2")]
    walls = [plots.Series("wall", *_outline(scene)), *(plots.Series("crate", *_corners(one)) for one in scene.blocks)]
    points = [
        (thing.x, thing.y, thing.name, "s3" if index == scene.goal else "s4")
        for index, thing in enumerate(scene.things)
    ]
    points.append((scene.start.x, scene.start.y, "start", "s1"))
    lines = [one._replace(style="axis") for one in walls]
    return plots.legend([(way.name, way.style) for way in ways]) + plots.path_plot([*lines, *ways], points, 480)


def _outline(scene: Scene) -> tuple[list[float], list[float]]:
    return _corners(Block(0.0, 0.0, 0.0, scene.size_x_m / 2.0, scene.size_y_m / 2.0, 0.0))


def _corners(block: Block) -> tuple[list[float], list[float]]:
    """The sides of a block, from a corner all around."""
    cos, sin = math.cos(block.yaw), math.sin(block.yaw)
    corners = [(a * block.half_x, b * block.half_y) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1), (1, 1))]
    return (
        [block.x + along * cos - across * sin for along, across in corners],
        [block.y + along * sin + across * cos for along, across in corners],
    )


def _spans(moments: Sequence[Moment], end: float, text: Callable[[Moment], str], style: str) -> list[plots.Span]:
    """Stretches of equal text; no text, no stretch."""
    starts = [next(group).time_s for _, group in itertools.groupby(moments, text)]
    names = [name for name, _ in itertools.groupby(moments, text)]
    return [
        plots.Span(start, after, name, style)
        for name, start, after in zip(names, starts, [*starts[1:], end], strict=True)
        if name
    ]
