"""The battery's judge must see what is wrong, and must not see what is not."""

from __future__ import annotations

import math
import random

import pytest

from mobile_vla.control import ControllerConfig
from mobile_vla.control.decode import Velocity
from mobile_vla.control.envelope import Envelope
from mobile_vla_bringup.faults.judge import LimitJudge, Sample, braking_s, find_stop

PERIOD_NS = 33_333_333
START_NS = 1_000_000_000


def judged(speeds: list[float], jitter_ns: int = 0, seed: int = 0) -> LimitJudge:
    """The verdict on a sequence of forward speeds, one per tick."""
    chance = random.Random(seed)
    judge = LimitJudge(ControllerConfig())
    for index, speed in enumerate(speeds):
        judge.take(Sample(START_NS + index * PERIOD_NS + chance.randint(-jitter_ns, jitter_ns), speed, 0.0, 0.0))
    return judge


def driven(targets: list[Velocity], period_ns: int = PERIOD_NS) -> list[Sample]:
    """What the gate's own limiters make of targets."""
    envelope = Envelope(ControllerConfig())
    samples = []
    for index, target in enumerate(targets):
        steady_ns = START_NS + index * period_ns
        samples.append(Sample(steady_ns, *envelope.step(target, steady_ns, handover=False)))
    return samples


@pytest.mark.parametrize("jitter_ns", [0, 2_000_000, 8_000_000])
def test_what_the_limiters_give_is_within_limits(jitter_ns: int) -> None:
    chance = random.Random(jitter_ns)
    targets = [Velocity(chance.choice((0.5, -0.2, 0.0, 0.3)), 0.0, chance.uniform(-1, 1)) for _ in range(40)]
    judge = LimitJudge(ControllerConfig())
    for sample in driven([target for target in targets for _ in range(15)]):
        late = sample._replace(arrival_ns=sample.arrival_ns + chance.randint(0, jitter_ns))
        judge.take(late)
    assert judge.violations == []


def test_a_lost_message_is_no_violation() -> None:
    judge = LimitJudge(ControllerConfig())
    for index, sample in enumerate(driven([Velocity(0.5, 0.0, 0.5)] * 60)):
        if index % 7:
            judge.take(sample)
    assert judge.violations == []


@pytest.mark.parametrize(
    ("speeds", "word"),
    [
        ([0.0, 0.6], "beyond"),
        ([0.0, -0.3], "beyond"),
        ([0.0, math.nan], "not a number"),
        ([0.3, 0.3, 0.0], "per s, allowed 1"),
        ([0.0, 0.05], "per s, allowed 0.5"),
        ([0.1, 0.1 + 0.016, 0.1, 0.1 + 0.016, 0.1], "slope changed"),
    ],
)
def test_violations_are_seen(speeds: list[float], word: str) -> None:
    assert any(word in sentence for sentence in judged(speeds).violations)


def test_components_a_robot_lacks() -> None:
    judge = LimitJudge(ControllerConfig())
    judge.take(Sample(START_NS, 0.0, 0.1, 0.0))
    judge.take(Sample(START_NS + PERIOD_NS, 0.0, 0.0, 0.0, (0.0, 0.2, 0.0)))
    assert sum("does not have" in sentence for sentence in judge.violations) == 2


def test_silence_after_motion_is_a_violation_and_after_a_zero_is_not() -> None:
    for speed, seen in ((0.2, True), (0.0, False)):
        judge = LimitJudge(ControllerConfig())
        judge.take(Sample(START_NS, speed, 0.0, 0.0))
        judge.take(Sample(START_NS + 10 * PERIOD_NS, speed, 0.0, 0.0))
        assert any("silent" in sentence for sentence in judge.violations) is seen


def test_only_an_abrupt_stop_that_was_allowed_is_excused() -> None:
    judge = LimitJudge(ControllerConfig())
    judge.abrupt_stop_allowed = True
    for index, speed in enumerate((0.3, 0.3, 0.0, 0.0)):
        judge.take(Sample(START_NS + index * PERIOD_NS, speed, 0.0, 0.0))
    assert judge.violations == []
    judge.take(Sample(START_NS + 4 * PERIOD_NS, 0.3, 0.0, 0.0))
    assert judge.violations


def test_the_first_zero_counts_only_when_it_stays() -> None:
    cruise = Sample(START_NS, 0.3, 0.0, 0.0)
    speeds = (0.3, 0.3, 0.2, 0.0, 0.1, 0.0, 0.0)
    samples = [Sample(START_NS + index * 100_000_000, speed, 0.0, 0.0) for index, speed in enumerate(speeds)]
    assert find_stop(samples, START_NS, cruise, stays=True) == pytest.approx((0.2, 0.5))
    assert find_stop(samples, START_NS, cruise, stays=False) == pytest.approx((0.2, 0.3))
    assert find_stop(samples[:3], START_NS, cruise, stays=True).zero_s is None
    assert find_stop(samples[:2], START_NS, cruise, stays=True) == (None, None)


@pytest.mark.parametrize("speed", [0.05, 0.2, 0.3, 0.5])
def test_the_promised_braking_time_is_what_the_limiters_need(speed: float) -> None:
    samples = driven([Velocity(speed, 0.0, 0.0)] * 150 + [Velocity(0.0, 0.0, 0.0)] * 60)
    braking = [sample for sample in samples[150:] if sample.moving]
    needed_s = len(braking) * PERIOD_NS / 1e9
    promised_s = braking_s(ControllerConfig(), samples[149])
    assert needed_s <= promised_s + 1e-6
    assert promised_s - needed_s <= 0.12
