"""What a fault is, as data: what is done, to whom, and what the command path promises about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import Setup


class FaultType(str, Enum):
    """The vocabulary of faults, shared by every source."""

    OFF = "off"
    STUCK = "stuck"
    GARBAGE = "garbage"
    WRONG = "wrong"
    SLOW = "slow"
    DELAYED = "delayed"
    INTERMITTENT = "intermittent"


def do_nothing(rig: Rig) -> None:
    """Nothing to prepare or undo."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the battery.

    `inject` breaks something while the robot moves and returns the steady-clock nanoseconds at which it broke;
    `recover` undoes it, `prepare` runs once before. `detection_s` is the promised time until braking begins, less one
    tick and 10 ms; None: no stop is promised. `expect`: the controller's mode, source or reason must be one of these
    after the injection; `evidence`: a node whose diagnostics must contain a text. After `recover` the robot must drive
    again without a restart of the controller; a `latched` fault must keep it standing until then, however long.
    `abrupt_stop`: the stop may exceed the limits of deceleration and jerk. `exclusive`: it needs the machine alone.
    """

    name: str
    type: FaultType
    title: str
    inject: Callable[[Rig], int]
    recover: Callable[[Rig], object] = do_nothing
    prepare: Callable[[Rig], object] = do_nothing
    setup: Setup = field(default_factory=Setup)
    detection_s: float | None
    expect: tuple[str, ...] = ()
    evidence: tuple[str, str] | None = None
    latched: bool = False
    stays_stopped: bool = True
    abrupt_stop: bool = False
    keeps_driving: bool = False
    silence_allowed: bool = False
    exclusive: bool = False
    quick: bool = False
    max_repeats: int | None = None
