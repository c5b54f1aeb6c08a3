"""A recorded drive described in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from mobile_vla.control.modes import MEANING, REASONS, Mode
from mobile_vla.evaluate.drive import RecordedDrive
from mobile_vla.timing import percentile

UNTRAINED = "UNTRAINED policy: random weights, its motion means nothing"
_SHORT_S = 0.15


def is_untrained(drive: RecordedDrive, facts: Mapping[str, Any]) -> bool:
    """As the inference node said, in the bag or to the caller."""
    reported = [values.values.get("untrained", "") for values in drive.node("inference")]
    told = _node_facts(facts, "inference").get("untrained", "")
    return "true" in (*reported, str(told).lower())


def describe_drive(drive: RecordedDrive, facts: Mapping[str, Any]) -> list[str]:
    """Sentences in the order a reader asks for them."""
    sentences = [_summary(drive)]
    if is_untrained(drive, facts):
        sentences.append("The policy is UNTRAINED (random weights): where the robot went says nothing about a policy.")
    sentences += [
        *_simulator(drive, facts),
        *_driving(drive),
        *_limits(drive),
        *_timing(drive),
        *_warnings(drive, facts),
    ]
    return sentences


def _summary(drive: RecordedDrive) -> str:
    texts = [f'"{told.text}"' for told in drive.instructions if told.text]
    task = f"It was told {', then '.join(texts)}." if texts else "It was told nothing."
    if not drive.track.t:
        return f"{drive.duration_s:.1f} s were recorded. {task} There is no odometry, so nothing says where it went."
    return (
        f"In {drive.duration_s:.1f} s the robot drove {drive.path_m:.2f} m and turned "
        f"{math.degrees(drive.turned_rad):.0f} degrees in all. {task}"
    )


def _simulator(drive: RecordedDrive, facts: Mapping[str, Any]) -> list[str]:
    """The simulator knows the truth: what came of every instruction, distance to the goal, contacts."""
    statuses = drive.node("simulator")
    values = {**(statuses[-1].values if statuses else {}), **_node_facts(facts, "simulator")}
    if not values:
        return []
    sentences = [str(task["sentence"]) for task in facts.get("tasks", ())]
    if "goal_distance_m" in values and not sentences:
        reached = "and reached it" if values.get("arrived") == "true" else "and did not arrive"
        distance, goal = float(values["goal_distance_m"]), values.get("goal", "unnamed")
        sentences.append(f"It ended {distance:.2f} m from the goal ({goal}) {reached}.")
    if values.get("collided") == "true":
        sentences.append(f"It touched {values.get('contact') or 'something'}.")
    elif "collided" in values:
        sentences.append("It touched nothing.")
    return sentences


def _driving(drive: RecordedDrive) -> list[str]:
    if not drive.stretches:
        return ["No controller state was recorded, so nothing says who drove."]
    parts = [
        f"{seconds:.1f} s {name or 'unnamed'}" for name, seconds in drive.mode_seconds.items() if seconds >= _SHORT_S
    ]
    sentences = [f"Modes: {', '.join(parts)}."]
    sentences += [
        f"At {stretch.start:.1f} s: {MEANING[Mode(stretch.mode)]} Reason: {_reason(stretch.reason)}."
        for stretch in drive.stretches
        if stretch.mode in ("fault", "estop")
    ][:6]
    return sentences


def _limits(drive: RecordedDrive) -> list[str]:
    sentences = []
    driving = {"autonomy", "teleop"}
    total = sum(stretch.end - stretch.start for stretch in drive.stretches if stretch.mode in driving)
    by_reason: dict[str, float] = {}
    for stretch in drive.stretches:
        if stretch.mode in driving and stretch.reason not in ("ok", ""):
            by_reason[stretch.reason] = by_reason.get(stretch.reason, 0.0) + stretch.end - stretch.start
    for reason, seconds in sorted(by_reason.items(), key=lambda item: -item[1]):
        if seconds >= _SHORT_S:
            sentences.append(f"For {seconds:.1f} s ({100 * seconds / total:.0f} % of driving): {_reason(reason)}.")
    if total and not sentences:
        sentences.append("Nothing limited the policy while it drove.")
    return sentences


def _timing(drive: RecordedDrive) -> list[str]:
    sentences = []
    if drive.camera_to_command_ms:
        ordered = sorted(drive.camera_to_command_ms)
        sentences.append(
            f"From a camera image to the command computed from it: median {percentile(ordered, 50):.0f} ms, "
            f"99th percentile {percentile(ordered, 99):.0f} ms."
        )
    if len(drive.frames) > 1:
        span = drive.frames[-1] - drive.frames[0]
        gaps = [after - before for before, after in pairwise(drive.frames)]
        rate = len(gaps) / span if span else 0.0
        sentences.append(
            f"{len(drive.frames)} images were recorded, {rate:.1f} a second, largest gap {max(gaps):.2f} s."
        )
    else:
        sentences.append("No camera images were recorded.")
    return sentences


def _warnings(drive: RecordedDrive, facts: Mapping[str, Any]) -> list[str]:
    """Warnings and errors of every node, each once, and restarts."""
    sentences = []
    for name, statuses in sorted(drive.nodes.items()):
        seen: dict[str, float] = {}
        for status in statuses:
            if status.level >= 1:
                seen.setdefault(status.message, status.t)
        sentences += [f"{name} said at {t:.1f} s: {message}." for message, t in list(seen.items())[:3]]
    restarts = facts.get("restarts")
    if isinstance(restarts, Mapping):
        sentences += [f"{name} was started again {count} times." for name, count in restarts.items() if count]
    elif restarts:
        sentences.append(f"{restarts} processes were started again.")
    return sentences


def _reason(code: str) -> str:
    return REASONS.get(code, code or "no reason given")


def _node_facts(facts: Mapping[str, Any], node: str) -> Mapping[str, Any]:
    diagnostics = facts.get("diagnostics") or {}
    return next((values for name, values in diagnostics.items() if str(name).rpartition("/")[2] == node), {})
