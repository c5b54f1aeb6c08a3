"""What the battery counts as a hand-back: softly from rest, judged where nothing interrupted it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mobile_vla.control import STILL, ControllerConfig, Velocity
from mobile_vla.control.envelope import Envelope
from mobile_vla_bench.faults.judge import CommandSample
from mobile_vla_bench.faults.setup import PromiseBroken
from mobile_vla_bench.faults.teleop import MAX_HAND_BACKS, hand_back

PERIOD_NS = 33_333_333
NS = 1_000_000_000
DWELL_NS = 600_000_000
INTERRUPTED = range(10, 16)


class ScriptedRig:
    """A controller that hands over at once when it is told so; time goes on as it is asked to wait."""

    def __init__(self, soft: bool, interruptions: int) -> None:
        self.promised = ControllerConfig()
        self.samples: list[CommandSample] = []
        self.states: list[tuple[int, frozenset[str]]] = []
        self.releases = 0
        self._soft = soft
        self._interruptions = interruptions
        self._now_ns = NS

    @property
    def moving(self) -> bool:
        return self.samples[-1].moving

    def tell(self, role: str, line: str) -> int:
        told_ns = self._now_ns
        if line == "release":
            self._hand_over(self.releases < self._interruptions)
            self.releases += 1
        else:
            self._report("teleop", "joy")
            self._send(STILL)
        return told_ns

    def spin(self, seconds: float) -> None:
        """Everything has been said already."""

    def until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        assert condition(), what

    def reported(self, since_ns: int) -> set[str]:
        return {word for when_ns, words in self.states if when_ns >= since_ns for word in words}

    def state_text(self) -> str:
        return "scripted"

    def _hand_over(self, interrupted: bool) -> None:
        envelope = Envelope(self.promised)
        self._now_ns += DWELL_NS
        for tick in range(33):
            holds = interrupted and tick in INTERRUPTED
            if tick in (0, INTERRUPTED.start, INTERRUPTED.stop):
                self._report(*(("hold", "none") if holds else ("autonomy", "policy")))
            target = STILL if holds else Velocity(0.21, 0.0, 0.0)
            self._send(envelope.step(target, self._now_ns, handover=self._soft and not holds))

    def _send(self, velocity: Velocity) -> None:
        self._now_ns += PERIOD_NS
        self.samples.append(CommandSample(self._now_ns, *velocity, (), self._now_ns))

    def _report(self, mode: str, source: str) -> None:
        self.states.append((self._now_ns, frozenset((mode, source, "ok"))))


def handed_back(soft: bool = True, interruptions: int = 0) -> int:
    """How often the person gave back until one hand-over could be judged."""
    rig: Any = ScriptedRig(soft, interruptions)
    hand_back(rig)
    return int(rig.releases)


def test_a_soft_hand_over_is_kept() -> None:
    assert handed_back() == 1


def test_one_with_the_full_limits_is_broken() -> None:
    with pytest.raises(PromiseBroken, match="beyond the hand-over limits"):
        handed_back(soft=False)


def test_one_that_a_late_action_interrupted_is_repeated() -> None:
    """Braking has the full jerk: judged by the hand-over set it would look like a violation."""
    assert handed_back(interruptions=2) == 3
    with pytest.raises(PromiseBroken, match="beyond the hand-over limits"):
        handed_back(soft=False, interruptions=1)


def test_interruptions_without_end_are_broken() -> None:
    with pytest.raises(PromiseBroken, match="interrupted in each of"):
        handed_back(interruptions=MAX_HAND_BACKS)
