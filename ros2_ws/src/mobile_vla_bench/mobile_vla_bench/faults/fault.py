"""What a fault is, as data: what is done, to whom, and what the command path promises about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import Setup


class Word(str, Enum):
    """The vocabulary of faults, shared by every source."""

    OFF = "off"
    STUCK = "stuck"
    GARBAGE = "garbage"
    WRONG = "wrong"
    SLOW = "slow"
    DELAYED = "delayed"
    INTERMITTENT = "intermittent"


def nothing(rig: Rig) -> None:
    """Nothing to prepare or undo."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the battery.

    `strike` breaks something while the robot moves and returns the steady-clock nanoseconds at which it broke; `heal`
    undoes it. `notice_s` is the promised time until braking begins, less one tick and 10 ms; None: no stop is promised.
    `expect`: the controller's mode, source or reason must be one of these after the strike; `evidence`: a node whose
    diagnostics must contain a text. After `heal` the robot must drive again without a restart of the controller; a
    `latched` fault must keep it standing until then, however long.
    """

    name: str
    word: Word
    what: str
    strike: Callable[[Rig], int]
    heal: Callable[[Rig], object] = nothing
    ready: Callable[[Rig], object] = nothing
    setup: Setup = field(default_factory=Setup)
    notice_s: float | None
    expect: tuple[str, ...] = ()
    evidence: tuple[str, str] | None = None
    latched: bool = False
    stays: bool = True
    abrupt: bool = False
    keeps_driving: bool = False
    silence_allowed: bool = False
    exclusive: bool = False
    quick: bool = False
    most_repeats: int | None = None
