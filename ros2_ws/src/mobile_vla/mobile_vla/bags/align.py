"""Commands to frames, by stamp: which command answered which image. Streams; memory holds only the waiting frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mobile_vla.bags.types import (
    BagCommand,
    BagFrame,
    BagInstruction,
    BagMode,
    BagOdometry,
    BagRange,
    BagScan,
    Event,
    SensorReading,
)

_SLACK_NS = 500_000_000
"""How much later than its stamp a command may have been logged."""


class AlignedFrame(NamedTuple):
    """One frame with what belonged to it. `command` is None when none lies within the tolerance."""

    frame: BagFrame
    command: BagCommand | None
    instruction: str | None
    mode: BagMode | None
    odometry: BagOdometry | None
    readings: tuple[SensorReading, ...] = ()
    """What was logged between the frame before and this one, oldest first."""


class _Waiting(NamedTuple):
    frame: BagFrame
    instruction: str | None
    mode: BagMode | None
    odometry: BagOdometry | None
    readings: tuple[SensorReading, ...]


def align(events: Iterable[Event], delay_ns: int = 0, tolerance_ns: int = 100_000_000) -> Iterator[AlignedFrame]:
    """Give each frame the command whose stamp is nearest to frame stamp + `delay_ns`, at most `tolerance_ns` away.

    `delay_ns` is how much later a command answers its image (compute and transport time). Events come in log order;
    a command may be used for several frames. A clock that jumps backwards flushes what waits.
    """
    commands: deque[BagCommand] = deque()
    waiting: deque[_Waiting] = deque()
    instruction: str | None = None
    mode: BagMode | None = None
    odometry: BagOdometry | None = None
    readings: list[SensorReading] = []
    log_ns: int | None = None
    for event in events:
        if log_ns is not None and event.log_ns < log_ns - _SLACK_NS:
            yield from (_resolve(item, commands, delay_ns, tolerance_ns) for item in waiting)
            waiting.clear()
            commands.clear()
        log_ns = event.log_ns
        if isinstance(event, BagFrame):
            waiting.append(_Waiting(event, instruction, mode, odometry, tuple(readings)))
            readings.clear()
        elif isinstance(event, BagCommand):
            commands.append(event)
        elif isinstance(event, BagInstruction):
            instruction = event.text
        elif isinstance(event, BagMode):
            mode = event
        elif isinstance(event, BagOdometry):
            odometry = event
            readings.append(event)
        elif isinstance(event, BagScan | BagRange):
            readings.append(event)
        while waiting and _decided(waiting[0], commands, log_ns, delay_ns, tolerance_ns):
            item = waiting.popleft()
            _forget(commands, item.frame.stamp_ns + delay_ns - tolerance_ns)
            yield _resolve(item, commands, delay_ns, tolerance_ns)
    yield from (_resolve(item, commands, delay_ns, tolerance_ns) for item in waiting)


def _decided(item: _Waiting, commands: deque[BagCommand], log_ns: int, delay_ns: int, tolerance_ns: int) -> bool:
    """A command at or after the wanted time is here, or none can come any more."""
    wanted = item.frame.stamp_ns + delay_ns
    newest = commands[-1].stamp_ns if commands else None
    return (newest is not None and newest >= wanted) or log_ns > max(
        wanted, item.frame.log_ns
    ) + tolerance_ns + _SLACK_NS


def _forget(commands: deque[BagCommand], before_ns: int) -> None:
    while len(commands) > 1 and commands[0].stamp_ns < before_ns and commands[1].stamp_ns < before_ns:
        commands.popleft()


def _resolve(item: _Waiting, commands: Iterable[BagCommand], delay_ns: int, tolerance_ns: int) -> AlignedFrame:
    wanted = item.frame.stamp_ns + delay_ns
    best = min(commands, key=lambda command: abs(command.stamp_ns - wanted), default=None)
    if best is None or abs(best.stamp_ns - wanted) > tolerance_ns:
        return AlignedFrame(item.frame, None, *item[1:])
    return AlignedFrame(item.frame, best, *item[1:])
