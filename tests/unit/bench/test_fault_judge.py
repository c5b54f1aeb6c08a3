"""The battery's judge: no missed violation, no false one."""

from __future__ import annotations

import math
import random

import pytest

from mobile_vla.config import with_values
from mobile_vla.config.action_space import Velocity
from mobile_vla.control import ControllerConfig
from mobile_vla.control.envelope import Envelope
from mobile_vla_bench.faults.judge import CommandSample, LimitJudge, braking_s, find_stop, from_rest

PERIOD_NS = 33_333_333
START_NS = 1_000_000_000


def at(sent_ns: int, forward: float, left: float = 0.0, turn: float = 0.0, late_ns: int = 0) -> CommandSample:
    """A command that was sent then and arrived so much later, on a clock of its own."""
    return CommandSample(sent_ns - START_NS // 2 + late_ns, forward, left, turn, (), sent_ns)


def judged(speeds: list[float]) -> LimitJudge:
    """The verdict on a sequence of forward speeds, one per tick."""
    judge = LimitJudge(ControllerConfig())
    for index, speed in enumerate(speeds):
        judge.take(at(START_NS + index * PERIOD_NS, speed))
    return judge


def driven(
    targets: list[Velocity], config: ControllerConfig | None = None, lateness_ns: int = 0
) -> list[CommandSample]:
    """What the gate's own limiters make of targets; its ticks are up to so much late, and keep their phase."""
    rng = random.Random(lateness_ns)
    envelope = Envelope(config or ControllerConfig())
    samples = []
    for index, target in enumerate(targets):
        steady_ns = START_NS + index * PERIOD_NS + rng.randint(0, lateness_ns)
        samples.append(at(steady_ns, *envelope.step(target, steady_ns, handover=False)))
    return samples


def wandering(seed: int) -> list[Velocity]:
    """Targets that change every half second, forth and back and around."""
    rng = random.Random(seed)
    targets = [Velocity(rng.choice((0.5, -0.2, 0.0, 0.3)), 0.0, rng.uniform(-1, 1)) for _ in range(40)]
    return [target for target in targets for _ in range(15)]


@pytest.mark.parametrize("lateness_ms", [0, 2, 8, 30])
def test_what_the_limiters_give_is_within_limits_however_late_the_ticks(lateness_ms: int) -> None:
    judge = LimitJudge(ControllerConfig())
    for sample in driven(wandering(lateness_ms), lateness_ns=lateness_ms * 1_000_000):
        judge.take(sample)
    assert judge.violations == []


def test_when_a_command_arrives_says_nothing_about_its_slope_or_a_silence() -> None:
    """A busy machine delivers a second's worth of commands at once."""
    judge = LimitJudge(ControllerConfig())
    for index, sample in enumerate(driven(wandering(1))):
        judge.take(sample._replace(arrival_ns=START_NS + (index // 30 + 1) * 30 * PERIOD_NS))
    assert judge.violations == []
    assert judge.longest_gap_s < 0.034 < judge.longest_arrival_gap_s


@pytest.mark.parametrize(("name", "value"), [("accel_mps2", 0.53), ("decel_mps2", 1.06), ("jerk_mps3", 10.8)])
def test_a_gate_that_is_some_percent_beyond_its_limits_is_seen(name: str, value: float) -> None:
    """Ticks are late here too: exact stamps leave little room for a wrong gate to hide in."""
    config = with_values(ControllerConfig(), {f"limits.linear.{name}": value})
    judge = LimitJudge(ControllerConfig())
    for sample in driven(wandering(2), config, lateness_ns=5_000_000):
        judge.take(sample)
    assert judge.violations


def test_lost_commands_are_no_violation() -> None:
    judge = LimitJudge(ControllerConfig())
    for index, sample in enumerate(driven(wandering(3), lateness_ns=8_000_000)):
        if index % 7:
            judge.take(sample)
    assert judge.violations == []


def test_arrival_stands_in_for_stamps_of_a_broken_clock() -> None:
    rng = random.Random(4)
    judge = LimitJudge(ControllerConfig())
    for sample in driven(wandering(4)):
        judge.take(sample._replace(arrival_ns=sample.arrival_ns + rng.randint(0, 20_000_000), sent_ns=None))
    assert judge.violations == []
    judge.take(sample._replace(forward=-sample.forward or 0.2, sent_ns=None))
    assert judge.violations


@pytest.mark.parametrize(
    ("speeds", "word"),
    [
        ([0.0, 0.6], "beyond"),
        ([0.0, -0.3], "beyond"),
        ([0.0, math.nan], "not a number"),
        ([0.3, 0.3, 0.0], "allowed 1 per s"),
        ([0.0, 0.05], "allowed 0.5 per s"),
        ([0.1, 0.1 + 0.016, 0.1, 0.1 + 0.016, 0.1], "slope changed"),
    ],
)
def test_violations_are_seen(speeds: list[float], word: str) -> None:
    assert any(word in sentence for sentence in judged(speeds).violations)


def test_components_a_robot_lacks() -> None:
    judge = LimitJudge(ControllerConfig())
    judge.take(at(START_NS, 0.0, 0.1))
    judge.take(at(START_NS + PERIOD_NS, 0.0)._replace(others=(0.0, 0.2, 0.0)))
    assert sum("does not have" in sentence for sentence in judge.violations) == 2


def test_silence_after_motion_is_a_violation_and_after_a_zero_is_not() -> None:
    for speed, seen in ((0.2, True), (0.0, False)):
        judge = LimitJudge(ControllerConfig())
        judge.take(at(START_NS, speed))
        judge.take(at(START_NS + 10 * PERIOD_NS, speed))
        assert any("silent" in sentence for sentence in judge.violations) is seen


def test_only_an_abrupt_stop_that_was_allowed_is_excused() -> None:
    judge = LimitJudge(ControllerConfig())
    judge.abrupt_stop_allowed = True
    for index, speed in enumerate((0.3, 0.3, 0.0, 0.0)):
        judge.take(at(START_NS + index * PERIOD_NS, speed))
    assert judge.violations == []
    judge.take(at(START_NS + 4 * PERIOD_NS, 0.3))
    assert judge.violations


def test_the_first_zero_counts_only_when_it_stays() -> None:
    cruise = CommandSample(START_NS, 0.3, 0.0, 0.0)
    speeds = (0.3, 0.3, 0.2, 0.0, 0.1, 0.0, 0.0)
    samples = [CommandSample(START_NS + index * 100_000_000, speed, 0.0, 0.0) for index, speed in enumerate(speeds)]
    assert find_stop(samples, START_NS, cruise, stays_stopped=True) == pytest.approx((0.2, 0.5))
    assert find_stop(samples, START_NS, cruise, stays_stopped=False) == pytest.approx((0.2, 0.3))
    assert find_stop(samples[:3], START_NS, cruise, stays_stopped=True).zero_s is None
    assert find_stop(samples[:2], START_NS, cruise, stays_stopped=True) == (None, None)


def test_the_beginning_of_a_motion_is_what_was_sent_then_however_late_it_arrives() -> None:
    speeds = (0.0, 0.0, 0.1, 0.2, 0.0, 0.2, 0.2)
    samples = [at(START_NS + index * PERIOD_NS, speed, late_ns=index * PERIOD_NS) for index, speed in enumerate(speeds)]
    assert from_rest(samples, 0.1) == samples[1:6]
    assert from_rest(samples[2:], 0.1) == samples[2:6]
    assert from_rest(samples[:2], 0.1) == []


@pytest.mark.parametrize("speed", [0.05, 0.2, 0.3, 0.5])
def test_the_promised_braking_time_is_what_the_limiters_need(speed: float) -> None:
    samples = driven([Velocity(speed, 0.0, 0.0)] * 150 + [Velocity(0.0, 0.0, 0.0)] * 60)
    braking = [sample for sample in samples[150:] if sample.moving]
    needed_s = len(braking) * PERIOD_NS / 1e9
    promised_s = braking_s(ControllerConfig(), samples[149])
    assert needed_s <= promised_s + 1e-6
    assert promised_s - needed_s <= 0.12
