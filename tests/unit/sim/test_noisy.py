"""Expert corrections of a policy: when they start, and their labels."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from mobile_vla_sim import noisy
from mobile_vla_sim.drivers import ActionScale
from mobile_vla_sim.noisy import CorrectedPolicy

FORWARD, RIGHT = (0.8, 0.0), (0.0, -1.0)


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Actions and takeovers of a policy that always wants forward, at a given speed of the robot, for some seconds."""
    expert = SimpleNamespace(begin=lambda world: None, act=lambda world: RIGHT)
    monkeypatch.setattr(noisy, "Expert", lambda scale, remembers_s: expert)

    def run(
        speed_mps: float, seconds: float, action: tuple[float, float] = FORWARD, remembers_s: float = 2.0
    ) -> list[tuple[Any, bool]]:
        policy: Any = SimpleNamespace(begin=lambda world: None, act=lambda world: action)
        driver = CorrectedPolicy(policy, ActionScale(), expert_share=0.0, remembers_s=remembers_s)
        world: Any = SimpleNamespace(seed=1, time_s=0.0, velocity=SimpleNamespace(linear_mps=speed_mps))
        driver.begin(world)
        happened = []
        for tick in range(round(seconds * 10)):
            world.time_s = tick / 10
            happened.append((driver.act(world), driver.by_expert))
            assert driver.label == RIGHT
        return happened

    return run


def test_the_expert_takes_over_a_stuck_policy_for_four_seconds(drive: Any) -> None:
    helped = [by_expert for _, by_expert in drive(0.0, 20.0)]
    starts = [tick for tick in range(1, len(helped)) if helped[tick] and not helped[tick - 1]]
    assert 5 <= starts[0] <= 41
    assert all(helped[starts[0] : starts[0] + 40])
    assert not helped[starts[0] + 41]
    waits = [second - first - 40 for first, second in pairwise(starts)]
    assert waits
    assert all(5 <= wait <= 42 for wait in waits)


def test_the_time_before_a_correction_varies(drive: Any) -> None:
    helped = [by_expert for _, by_expert in drive(0.0, 40.0)]
    starts = [tick for tick in range(1, len(helped)) if helped[tick] and not helped[tick - 1]]
    assert len({second - first for first, second in pairwise(starts)}) > 1


def test_the_time_before_a_correction_is_bounded(drive: Any) -> None:
    def longest(remembers_s: float) -> int:
        helped = [by_expert for _, by_expert in drive(0.0, 600.0, remembers_s=remembers_s)]
        starts = [tick for tick in range(1, len(helped)) if helped[tick] and not helped[tick - 1]]
        return max(second - first - 40 for first, second in pairwise(starts))

    assert 55 < longest(3.0) <= 62
    assert 75 < longest(math.inf) < 100


def test_a_policy_that_moves_or_stops_on_purpose_is_not_corrected(drive: Any) -> None:
    assert set(drive(0.2, 5.0)) == {(FORWARD, False)}
    assert set(drive(0.0, 5.0, action=(0.0, 0.0))) == {((0.0, 0.0), False)}
