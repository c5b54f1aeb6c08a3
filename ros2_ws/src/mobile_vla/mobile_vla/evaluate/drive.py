"""One recorded drive as columns over time. Images are not decoded."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles
from mobile_vla.bags.types import (
    BagAction,
    BagCommand,
    BagDiagnostic,
    BagFrame,
    BagInstruction,
    BagMode,
    BagOdometry,
    Event,
)
from mobile_vla.config.action_space import ACTION_SPACES, Velocity


class Track(NamedTuple):
    """Odometry."""

    t: list[float]
    x: list[float]
    y: list[float]
    linear: list[float]
    angular: list[float]


class Speeds(NamedTuple):
    """Commands in m/s and rad/s, or actions without unit. `second` is the turn; sideways for omni actions."""

    t: list[float]
    linear: list[float]
    second: list[float]


class StateInterval(NamedTuple):
    """A time during which the controller said the same."""

    start: float
    end: float
    mode: str
    source: str
    reason: str
    message: str


class InstructionStart(NamedTuple):
    """An instruction, from when on."""

    t: float
    text: str


class NodeStatus(NamedTuple):
    """One status of one node."""

    t: float
    level: int
    message: str
    values: dict[str, str]


@dataclass
class RecordedDrive:
    """Times are seconds since `start_ns`, the first message or a later one; latencies are milliseconds."""

    start_ns: int
    duration_s: float
    frames: list[float] = field(default_factory=list)
    frame_age_ms: list[float] = field(default_factory=list)
    track: Track = field(default_factory=lambda: Track([], [], [], [], []))
    commands: Speeds = field(default_factory=lambda: Speeds([], [], []))
    actions: Speeds = field(default_factory=lambda: Speeds([], [], []))
    stretches: list[StateInterval] = field(default_factory=list)
    instructions: list[InstructionStart] = field(default_factory=list)
    nodes: dict[str, list[NodeStatus]] = field(default_factory=dict)
    camera_to_action_ms: list[float] = field(default_factory=list)
    camera_to_command_ms: list[float] = field(default_factory=list)

    @property
    def path_m(self) -> float:
        return sum(math.dist(*step) for step in pairwise(zip(self.track.x, self.track.y, strict=True)))

    @property
    def turned_rad(self) -> float:
        """All turning added up, both ways, from the measured rates."""
        measured = pairwise(zip(self.track.t, self.track.angular, strict=True))
        return sum(abs(rate) * (after - before) for (before, rate), (after, _) in measured)

    @property
    def mode_seconds(self) -> dict[str, float]:
        return _seconds((stretch.mode, stretch) for stretch in self.stretches)

    @property
    def reason_seconds(self) -> dict[str, float]:
        return _seconds((stretch.reason, stretch) for stretch in self.stretches)

    def node(self, name: str) -> list[NodeStatus]:
        """What the node with this name said, in any namespace."""
        return next((statuses for full, statuses in self.nodes.items() if full.rpartition("/")[2] == name), [])


def read_drive(reader: BagReader, roles: Roles, from_ns: int | None = None) -> RecordedDrive:
    """Collect a bag from a log time on; memory grows by some hundred bytes a second of driving.

    Of what came before `from_ns`, what still holds then is kept: the instruction, the mode, what nodes said last.
    """
    start_ns = reader.start_ns if from_ns is None else min(max(from_ns, reader.start_ns), reader.end_ns)
    drive = RecordedDrive(start_ns, (reader.end_ns - start_ns) / 1e9)
    waiting: list[int] = []
    for event in reader.events(roles):
        if event.log_ns < start_ns:
            _take_before(drive, event)
        else:
            _take(drive, event, waiting)
    if drive.stretches:
        drive.stretches[-1] = drive.stretches[-1]._replace(end=drive.duration_s)
    return drive


def _take_before(drive: RecordedDrive, event: Event) -> None:
    if isinstance(event, BagInstruction):
        drive.instructions = [InstructionStart(0.0, event.text)]
    elif isinstance(event, BagMode):
        drive.stretches.clear()
        _take_mode(drive, event, 0.0)
    elif isinstance(event, BagDiagnostic):
        drive.nodes[event.name] = [NodeStatus(0.0, event.level, event.message, event.values)]


def _take(drive: RecordedDrive, event: Event, waiting: list[int]) -> None:
    t = (event.log_ns - drive.start_ns) / 1e9
    if isinstance(event, BagFrame):
        drive.frames.append(t)
        drive.frame_age_ms.append((event.log_ns - event.stamp_ns) / 1e6)
    elif isinstance(event, BagOdometry):
        for column, value in zip(
            drive.track, (t, event.x_m, event.y_m, event.linear_mps, event.angular_radps), strict=True
        ):
            column.append(value)
    elif isinstance(event, BagCommand):
        for column, value in zip(drive.commands, (t, event.linear_mps, event.angular_radps), strict=True):
            column.append(value)
        drive.camera_to_command_ms += [(event.log_ns - stamp_ns) / 1e6 for stamp_ns in waiting]
        waiting.clear()
    elif isinstance(event, BagAction):
        space = ACTION_SPACES.get(event.space, ACTION_SPACES["diff"])  # a bag may hold the actions of anybody
        action = space.from_twist(Velocity(event.linear, event.lateral, event.angular))
        for column, value in zip(drive.actions, (t, *action), strict=True):
            column.append(value)
        drive.camera_to_action_ms.append((event.log_ns - event.stamp_ns) / 1e6)
        waiting.append(event.stamp_ns)
    elif isinstance(event, BagInstruction):
        drive.instructions.append(InstructionStart(t, event.text))
    elif isinstance(event, BagMode):
        _take_mode(drive, event, t)
    elif isinstance(event, BagDiagnostic):
        drive.nodes.setdefault(event.name, []).append(NodeStatus(t, event.level, event.message, event.values))


def _take_mode(drive: RecordedDrive, event: BagMode, t: float) -> None:
    mode, source, reason = (event.values.get(key, "") for key in ("mode", "source", "reason"))
    if drive.stretches:
        last = drive.stretches[-1]
        drive.stretches[-1] = last._replace(end=t)
        if (last.mode, last.source, last.reason) == (mode, source, reason):
            return
    drive.stretches.append(StateInterval(t, t, mode, source, reason, event.message))


def at(times: list[float], t: float) -> int | None:
    """Index of the newest entry at or before `t`."""
    index = bisect_right(times, t) - 1
    return None if index < 0 else index


def _seconds(parts: Iterable[tuple[str, StateInterval]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for key, stretch in parts:
        total[key] = total.get(key, 0.0) + stretch.end - stretch.start
    return dict(sorted(total.items(), key=lambda item: -item[1]))
