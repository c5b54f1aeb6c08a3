"""Report of a recorded drive: report.html, video.mp4, metrics.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles, find_roles
from mobile_vla.control.modes import REASONS
from mobile_vla.evaluate import html, plots
from mobile_vla.evaluate.drive import RecordedDrive, StateInterval, read_drive
from mobile_vla.evaluate.drive_description import UNTRAINED, describe_drive, is_untrained
from mobile_vla.evaluate.drive_video import write_drive_video
from mobile_vla.files import write_text
from mobile_vla.metrics import Metric, MetricReport, executed, rounded
from mobile_vla.timing import percentile

_STAGES = "_p95_ms"
_WANTED, _COMMANDED, _MEASURED = "s1", "s2", "s3"
"""Styles of the lines: the colours that the video has for them."""
BEFORE_ARMING_S = 2.0
"""What is shown of the time before arming; the bag has all of it."""


class DemoSummary(NamedTuple):
    """What was written, and the describe_drive in sentences. `video` is None when the bag has no pictures."""

    report: Path
    video: Path | None
    metrics_file: Path
    metrics: dict[str, Any]
    sentences: list[str]


def write_demo_report(bag: Path, out: Path, facts: Mapping[str, Any]) -> DemoSummary:
    """Read the bag, write the three files into `out` (each complete or not at all).

    `facts` are what only the caller knows; used when present: instruction, robot, policy, device, seconds, ended,
    tasks (each instruction: sentence, arrived, replaced), first_motion_s, restarts (by node), command, diagnostics
    (node -> values), armed_at_ns (log time of arming: the report and the video begin `BEFORE_ARMING_S` earlier).
    """
    with BagReader(bag) as reader:
        roles = find_roles(reader.topics.values())
        drive = read_drive(reader, roles, _begin_ns(reader, facts))
        undecodable = reader.undecodable
        warning = UNTRAINED if is_untrained(drive, facts) else ""
        video: Path | None = out / "video.mp4"
        assert video is not None
        if not write_drive_video(reader, roles, drive, video, warning=warning):
            video = None
        sentences = describe_drive(drive, facts)
        if (left_out_s := (drive.start_ns - reader.start_ns) / 1e9) > 0:
            sentences.append(
                f"The first {left_out_s:.1f} s of the bag, while everything started, are left out of report and video."
            )
        if reader.damage is not None:
            sentences.append(f"The bag is damaged: {reader.damage.message}.")
        if reader.unreadable:
            sentences.append(f"Of the bag {reader.unreadable}.")
        if undecodable.skipped:
            sentences.append(f"Of the bag was skipped: {undecodable.message}.")
        content = _page(reader, roles, drive, facts, told=sentences, warning=warning, video=video)
    metrics = _metrics(drive, facts)
    report, metrics_file = out / "report.html", out / "metrics.json"
    write_text(report, content)
    write_text(metrics_file, json.dumps(metrics, indent=2, default=str) + "\n")
    return DemoSummary(report, video, metrics_file, metrics, sentences)


def _begin_ns(reader: BagReader, facts: Mapping[str, Any]) -> int | None:
    """The log time from which on the bag is shown; None: from its first message, as when it was armed in none of it."""
    armed_ns = facts.get("armed_at_ns")
    if armed_ns is None or not reader.start_ns <= armed_ns <= reader.end_ns:
        return None
    return int(armed_ns) - round(BEFORE_ARMING_S * 1e9)


def _metrics(drive: RecordedDrive, facts: Mapping[str, Any]) -> dict[str, Any]:
    report = MetricReport(
        str(facts.get("command", "vla demo")),
        executed(weights=_weights(drive)),
        [
            Metric("duration_s", drive.duration_s, "s", "equal"),
            Metric("path_m", drive.path_m, "m", "higher"),
            Metric("frames", float(len(drive.frames)), "images", "higher"),
            Metric("actions", float(len(drive.actions.t)), "actions", "higher"),
            Metric("commands", float(len(drive.commands.t)), "messages", "higher"),
            Metric.of_samples("camera_to_action_ms", drive.camera_to_action_ms, "ms"),
            Metric.of_samples("camera_to_command_ms", drive.camera_to_command_ms, "ms"),
            Metric.of_samples("camera_to_recorder_ms", drive.frame_age_ms, "ms"),
        ],
    )
    first_motion = facts.get("first_motion_s")
    if first_motion is not None:
        report.metrics.append(Metric("first_motion_s", float(first_motion), "s", "lower"))
    plain = {key: value for key, value in facts.items() if key not in ("diagnostics", "messages", "armed_at_ns")}
    return {
        **report.to_dict(),
        "facts": rounded(plain),
        "seconds_by_mode": rounded(drive.mode_seconds),
        "seconds_by_reason": rounded(drive.reason_seconds),
        "timings_ms": rounded({node: stages for node in drive.nodes if (stages := _stages(drive, node))}),
        "nodes": {node: statuses[-1].values for node, statuses in drive.nodes.items()},
    }


def _weights(drive: RecordedDrive) -> str:
    """As the inference node describes its policy: random, real or trained."""
    statuses = drive.node("inference")
    return next((status.values["weights"] for status in reversed(statuses) if "weights" in status.values), "unknown")


def _stages(drive: RecordedDrive, node: str) -> dict[str, dict[str, float]]:
    """Timings that a node's last status carries: stage -> mean, p50, p95, p99, worst."""
    values = drive.nodes[node][-1].values
    stages = {}
    for key in values:
        if key.endswith(_STAGES):
            stage = key.removesuffix(_STAGES)
            parts = {part: values.get(f"{stage}_{part}_ms") for part in ("mean", "p50", "p95", "p99", "worst")}
            stages[stage] = {part: float(value) for part, value in parts.items() if value is not None}
    return {stage: parts for stage, parts in stages.items() if parts.get("worst", 0.0) > 0.0}


def _page(
    reader: BagReader,
    roles: Roles,
    drive: RecordedDrive,
    facts: Mapping[str, Any],
    *,
    told: list[str],
    warning: str,
    video: Path | None,
) -> str:
    chosen = [f"{name} {facts[name]}" for name in ("robot", "policy", "device") if facts.get(name)]
    lead = ", ".join([*chosen, f"recorded in {reader.path.name}"])
    parts = [html.banner(warning)] if warning else []
    parts.append(html.tiles(_tiles(drive, facts)))
    parts.append(html.section("What happened, and why", html.bullets(told)))
    if video is not None:
        caption = (
            "Orange: the command that went to the base. Blue: what the policy wanted. Green: what odometry measured."
        )
        parts.append(html.section("Video", html.video(video, caption)))
    parts += [_timeline(drive), _path_and_speeds(drive), _timings(drive), _contents(reader, roles, drive)]
    task = ", then ".join(told.text for told in drive.instructions) or str(facts.get("instruction", ""))
    return html.page(f"Drive: {task}" if task else "Drive", lead, parts)


def _tiles(drive: RecordedDrive, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = [(f"{drive.duration_s:.1f} s", "shown"), (f"{drive.path_m:.2f} m", "driven")]
    if tasks := [task for task in facts.get("tasks", ()) if not task.get("replaced")]:
        arrived = sum(bool(task["arrived"]) for task in tasks)
        shown.insert(0, (f"{arrived} of {len(tasks)}", "arrived where it was told"))
    if facts.get("first_motion_s") is not None:
        shown.append((f"{float(facts['first_motion_s']):.1f} s", "from starting the demo to the first motion"))
    autonomy = drive.mode_seconds.get("autonomy")
    if autonomy is not None:
        shown.append((f"{autonomy:.1f} s", "driven by the policy"))
    if drive.camera_to_command_ms:
        shown.append((f"{percentile(sorted(drive.camera_to_command_ms), 50):.0f} ms", "camera to command, median"))
    if len(drive.actions.t) > 1:
        rate = (len(drive.actions.t) - 1) / max(drive.actions.t[-1] - drive.actions.t[0], 1e-9)
        shown.append((f"{rate:.1f} Hz", "actions"))
    return shown


def _timeline(drive: RecordedDrive) -> str:
    if not drive.stretches:
        return html.section("Who drove", html.paragraph("The bag has no controller state.", "quiet"))
    modes = {"autonomy", "teleop", "hold", "disarmed", "fault", "estop"}
    rows = [
        plots.Row("mode", _merged(drive, lambda s: s.mode, lambda s: f"m-{s.mode}" if s.mode in modes else "m-other")),
        plots.Row("driven by", _merged(drive, lambda s: s.source, _source_style)),
        plots.Row("because", _merged(drive, lambda s: s.reason, lambda s: _reason_style(s.reason))),
    ]
    if drive.instructions:
        ends = [*(told.t for told in drive.instructions[1:]), drive.duration_s]
        spans = [
            plots.Span(told.t, end, told.text, "m-other") for told, end in zip(drive.instructions, ends, strict=True)
        ]
        rows.insert(0, plots.Row("told", spans))
    note = html.paragraph("Point at a stretch for its times.", "quiet")
    return html.section("Who drove, and what limited it", plots.timeline(rows, drive.duration_s), _reasons(drive), note)


def _reasons(drive: RecordedDrive) -> str:
    """What the codes of the row "because" mean, in its colours."""
    codes = dict.fromkeys(stretch.reason for stretch in drive.stretches if stretch.reason in REASONS)
    return plots.legend([(f"{code}: {REASONS[code]}", _reason_style(code)) for code in codes])


def _reason_style(code: str) -> str:
    return "m-autonomy" if code == "ok" else "m-limit"


def _source_style(stretch: StateInterval) -> str:
    return {"policy": "m-autonomy", "none": "m-disarmed", "": "m-disarmed"}.get(stretch.source, "m-teleop")


def _merged(
    drive: RecordedDrive, key: Callable[[StateInterval], str], style: Callable[[StateInterval], str]
) -> list[plots.Span]:
    """Neighbouring stretches with the same text as one span."""
    spans: list[plots.Span] = []
    for stretch in drive.stretches:
        text = key(stretch)
        if spans and spans[-1].text == text:
            spans[-1] = spans[-1]._replace(end=stretch.end)
        else:
            spans.append(plots.Span(stretch.start, stretch.end, text, style(stretch), stretch.message))
    return spans


def _path_and_speeds(drive: RecordedDrive) -> str:
    commands, actions, track = drive.commands, drive.actions, drive.track
    points = []
    if track.t:
        points = [(track.x[0], track.y[0], "start", "s4"), (track.x[-1], track.y[-1], "end", "s4")]
    path = plots.path_plot([plots.Series("odometry", track.x, track.y, _MEASURED)] if track.t else [], points)
    forward, turn = (
        [
            plots.Series("commanded", commands.t, commanded, _COMMANDED, steps=True),
            plots.Series("measured", track.t, measured, _MEASURED),
        ]
        for commanded, measured in ((commands.linear, track.linear), (commands.second, track.angular))
    )
    wanted = [
        plots.Series("forward", actions.t, actions.linear, _WANTED, steps=True),
        plots.Series("turn", actions.t, actions.second, "s4", steps=True),
    ]
    span = (0.0, drive.duration_s)
    return html.section("Path", path) + html.section(
        "Speeds",
        plots.line_plot(forward, "time in s", "forward in m/s", zero=True, x_range=span),
        plots.line_plot(turn, "time in s", "turn in rad/s", zero=True, x_range=span),
        html.paragraph("What the policy wanted, before the controller's limits (1 is full speed):", "quiet"),
        plots.line_plot(wanted, "time in s", "normalised action", zero=True, x_range=span),
    )


def _timings(drive: RecordedDrive) -> str:
    rows = [
        [
            f"{node.strip('/')}: {stage.replace('_', ' ')}",
            *(f"{parts.get(part, 0.0):.2f}" for part in ("mean", "p95", "worst")),
        ]
        for node in drive.nodes
        for stage, parts in _stages(drive, node).items()
    ]
    parts = []
    if drive.camera_to_command_ms:
        ordered = sorted(drive.camera_to_command_ms)
        marks = [(percentile(ordered, 50), "median"), (percentile(ordered, 95), "95 %")]
        parts += [
            html.paragraph("From the stamp of an image to the first command after the action computed from it:"),
            plots.histogram(ordered, "milliseconds", marks=marks),
        ]
    if rows:
        parts.append(html.table(["stage", "mean ms", "95 % ms", "worst ms"], rows))
    return html.section("Timings", *parts) if parts else ""


def _contents(reader: BagReader, roles: Roles, drive: RecordedDrive) -> str:
    played = {topic: role for role, topic in roles._asdict().items() if topic}
    seconds = max(reader.duration_s, 1e-9)
    rows = [
        [topic.name, topic.type, played.get(topic.name, ""), str(topic.messages), f"{topic.messages / seconds:.1f}"]
        for topic in sorted(reader.topics.values())
        if topic.messages
    ]
    table = html.table(["topic", "type", "used as", "messages", "per second"], rows, text_columns=3)
    return html.section("In the bag", table)
