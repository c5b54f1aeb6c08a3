from __future__ import annotations

import math
from itertools import pairwise

import pytest
from effort import examples
from gate_rig import stopping_time_s
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mobile_vla.control.limits import AxisLimiter, AxisLimits, stopping_distance_m

DT = 1 / 30
NOMINAL = AxisLimits(0.5, 0.2, 0.5, 1.0, 10.0)
# forward, reverse, accel, decel, jerk
SETS = [
    NOMINAL,
    AxisLimits(1.0, 1.0, 2.0, 3.0, 40.0),
    AxisLimits(0.5, 0.5, 2.0, 0.5, 5.0),
    AxisLimits(0.5, 0.0, 1.0, 1.0, 1.0),
    AxisLimits(2.0, 1.0, 0.2, 4.0, 2.0),
    AxisLimits(0.3, 0.3, 5.0, 5.0, 10000.0),
]
TOLERANCE = 1e-7


def rate_limit(before: float, after: float, limits: AxisLimits) -> float:
    """The rate allowed for a step: growing, shrinking, or through zero (then the smaller of both)."""
    if before == 0:
        return limits.accel
    if after != 0 and (before > 0) != (after > 0):
        return min(limits.accel, limits.decel)
    return limits.accel if abs(after) > abs(before) else limits.decel  # no products: the tiniest numbers have none


class Judge:
    """Checks a sequence of outputs against limits, knowing nothing of how they were made."""

    def __init__(self, limits: AxisLimits) -> None:
        self.limits = limits
        self.velocity = 0.0
        self.slope = 0.0

    def see(self, velocity: float, dt: float) -> None:
        limits = self.limits
        assert math.isfinite(velocity)
        assert -limits.reverse - TOLERANCE <= velocity <= limits.forward + TOLERANCE
        slope = (velocity - self.velocity) / dt
        assert abs(slope) <= rate_limit(self.velocity, velocity, limits) + TOLERANCE / dt
        assert abs(slope - self.slope) <= limits.jerk * dt + 2 * TOLERANCE / dt
        self.velocity, self.slope = velocity, slope


def settle(limiter: AxisLimiter, target: float, limits: AxisLimits, ticks: int = 1000) -> list[float]:
    return [limiter.step(target, DT, limits) for _ in range(ticks)]


@pytest.mark.parametrize("limits", SETS)
@pytest.mark.parametrize("target", [0.5, 0.1, 0.01, 1e-6, 0.0, -0.1, -0.01, -1e-9])
def test_reaches_any_target_exactly_and_stays(limits: AxisLimits, target: float) -> None:
    limiter = AxisLimiter(limits)
    outputs = settle(limiter, target, limits)
    reachable = min(max(target, -limits.reverse), limits.forward)
    assert outputs[-1] == reachable
    assert outputs[-2] == reachable
    assert limiter.acceleration == 0.0


@pytest.mark.parametrize("limits", SETS)
@pytest.mark.parametrize(("first", "second"), [(9, -9), (-9, 9), (9, 0), (-9, 0), (9, 0.05), (0.2, -0.01), (-0.1, 0.3)])
def test_every_step_of_a_change_is_within_limits_and_never_past_the_target(
    limits: AxisLimits, first: float, second: float
) -> None:
    limiter, judge = AxisLimiter(limits), Judge(limits)
    for output in settle(limiter, first, limits):
        judge.see(output, DT)
    start = limiter.velocity
    end = min(max(second, -limits.reverse), limits.forward)
    for output in settle(limiter, second, limits):
        judge.see(output, DT)
        assert min(start, end) - TOLERANCE <= output <= max(start, end) + TOLERANCE
    assert limiter.velocity == end


# The slope grows by jerk * dt = 1/3 per step up to accel (0.5) or decel (1.0).
@pytest.mark.parametrize(
    ("start", "target", "expected"),
    [
        (0.0, 0.5, [1 / 90, 1 / 90 + 1 / 60, 1 / 90 + 2 / 60, 1 / 90 + 3 / 60]),
        (0.0, -0.2, [-1 / 90, -1 / 90 - 1 / 60, -1 / 90 - 2 / 60]),
        (0.5, 0.0, [0.5 - 1 / 90, 0.5 - 3 / 90, 0.5 - 6 / 90, 0.5 - 9 / 90]),
        (-0.2, 0.0, [-0.2 + 1 / 90, -0.2 + 3 / 90, -0.2 + 6 / 90]),
        (0.0, 0.0, [0.0, 0.0]),
    ],
)
def test_first_steps_by_hand(start: float, target: float, expected: list[float]) -> None:
    limiter = AxisLimiter(NOMINAL)
    settle(limiter, start, NOMINAL)
    assert [limiter.step(target, DT, NOMINAL) for _ in expected] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_target_that_is_no_number_means_zero(bad: float) -> None:
    limiter = AxisLimiter(NOMINAL)
    settle(limiter, 0.5, NOMINAL)
    assert settle(limiter, bad, NOMINAL)[-1] == 0.0


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan])
def test_no_time_no_change(dt: float) -> None:
    limiter = AxisLimiter(NOMINAL)
    settle(limiter, 0.3, NOMINAL)
    assert limiter.step(-0.2, dt, NOMINAL) == 0.3


def test_full_braking_uses_the_deceleration_limit() -> None:
    limits = AxisLimits(2.0, 2.0, 0.5, 2.0, 100.0)
    limiter = AxisLimiter(limits)
    settle(limiter, 2.0, limits)
    outputs = settle(limiter, 0.0, limits)
    steepest = max(before - after for before, after in pairwise([2.0, *outputs]))
    assert steepest == pytest.approx(2.0 * DT)
    assert outputs.index(0.0) * DT <= stopping_time_s(2.0, limits, DT)
    assert outputs.index(0.0) * DT == pytest.approx(1.0, abs=5 * DT)


def test_stop_is_immediate_and_leaves_no_slope() -> None:
    limiter = AxisLimiter(NOMINAL)
    settle(limiter, 0.5, NOMINAL)
    limiter.stop()
    assert limiter.at_rest
    assert limiter.step(0.0, DT, NOMINAL) == 0.0


def test_tighter_limits_are_approached_within_the_old_ones_and_then_hold() -> None:
    tight = NOMINAL.scaled(0.4, 0.3, 0.5, 0.2)
    limiter, judge = AxisLimiter(NOMINAL), Judge(NOMINAL)
    for _ in range(10):
        judge.see(limiter.step(0.5, DT, NOMINAL), DT)
    for output in settle(limiter, 0.5, tight, 200):
        judge.see(output, DT)
    assert limiter.active is tight
    assert limiter.velocity == pytest.approx(0.2)


def test_tighter_limits_from_rest_hold_from_the_first_step() -> None:
    tight = NOMINAL.scaled(0.6, 0.5, 0.5, 0.5)
    limiter, judge = AxisLimiter(NOMINAL), Judge(tight)
    for target in (9.0, -9.0, 0.0):
        for output in settle(limiter, target, tight, 100):
            judge.see(output, DT)


@pytest.mark.parametrize(
    ("velocity", "slope", "admitted"),
    [
        (0.0, 0.0, True),
        (0.5, 0.0, True),
        (0.5001, 0.0, False),
        (-0.2, 0.0, True),
        (-0.2001, 0.0, False),
        (0.4875, 0.5, True),
        (0.4876, 0.5, False),
        (0.0, 0.5, True),
        (0.0, 0.51, False),
        (0.3, -1.0, True),
        (0.3, -1.01, False),
        (0.0376, -1.0, True),
        (0.0374, -1.0, False),
        (0.0, -0.5, True),
        (-0.1, -0.51, False),
        (-0.1, 1.0, True),
        (-0.0374, 1.0, False),
    ],
)
def test_which_states_fit(velocity: float, slope: float, admitted: bool) -> None:
    assert NOMINAL.admits(velocity, slope) is admitted


@pytest.mark.parametrize(("slope", "admitted"), [(0.5, True), (0.51, False), (1.0, False)])
def test_where_braking_is_the_gentler_rate_it_is_the_one_below_zero(slope: float, admitted: bool) -> None:
    limits = AxisLimits(0.5, 0.5, 2.0, 0.5, 5.0)
    assert limits.admits(-0.3, slope) is admitted
    assert limits.admits(0.3, -slope) is admitted


def test_the_slope_near_a_target_leaves_room_to_flatten() -> None:
    # 2 s / (t + sqrt(t^2 + 2 s / j)) = 0.125 / (0.1 + sqrt(0.01 + 0.0125)) = 0.5, for 0.1 s
    limits = AxisLimits(1.0, 1.0, 9.0, 9.0, 10.0)
    assert AxisLimiter(limits).step(0.0625, 0.1, limits) == pytest.approx(0.05)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("decel", "steepest"), [(0.5, 0.5), (2.0, 1.0)])
def test_on_the_way_to_tighter_limits_the_gentler_braking_of_both_holds(
    side: int, decel: float, steepest: float
) -> None:
    limits, wanted = AxisLimits(1.0, 1.0, 1.0, 1.0, 100.0), AxisLimits(0.4, 0.4, 1.0, decel, 100.0)
    limiter = AxisLimiter(limits)
    settle(limiter, side, limits)
    outputs = [float(side), *settle(limiter, side, wanted, 100)]
    assert max(abs(before - after) / DT for before, after in pairwise(outputs)) == pytest.approx(steepest)
    assert outputs[-1] == side * 0.4


anything = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(
    [0.0, 1e300, -1e300, 0.5, -0.2, 0.01, -0.01]
)
positive = st.floats(0.05, 50.0)
limit_sets = st.builds(AxisLimits, positive, st.just(0.0) | positive, positive, positive, st.floats(0.1, 5000.0))


@settings(max_examples=examples(150))
@given(limit_sets, st.lists(st.tuples(anything, st.floats(1e-4, 0.1), st.integers(1, 12)), min_size=1, max_size=25))
def test_no_sequence_of_targets_and_tick_times_breaks_a_limit(
    limits: AxisLimits, moves: list[tuple[float, float, int]]
) -> None:
    limiter = AxisLimiter(limits)
    before, slope_before = 0.0, 0.0
    for target, dt, repeats in moves:
        for _ in range(repeats):
            velocity = limiter.step(target, dt, limits)
            assert -limits.reverse <= velocity <= limits.forward
            slope = limiter.acceleration
            assert velocity == pytest.approx(before + slope * dt, rel=1e-9, abs=1e-9)
            assert abs(slope) <= rate_limit(before, velocity, limits) * (1 + 1e-9) + 1e-9
            assert abs(slope - slope_before) <= limits.jerk * dt * (1 + 1e-9) + 1e-9
            reachable = min(max(target, -limits.reverse), limits.forward) if math.isfinite(target) else 0.0
            assert limits.admits(velocity, slope) or velocity == reachable
            before, slope_before = velocity, slope


@settings(max_examples=examples(100))
@given(limit_sets, st.lists(st.tuples(anything, st.integers(1, 40)), max_size=12))
def test_stops_in_the_stated_time_from_wherever_it_is(limits: AxisLimits, moves: list[tuple[float, int]]) -> None:
    limiter = AxisLimiter(limits)
    for target, repeats in moves:
        for _ in range(repeats):
            limiter.step(target, DT, limits)
    bound = stopping_time_s(abs(limiter.velocity), limits, DT)
    ticks = 0
    while not limiter.at_rest:
        limiter.step(0.0, DT, limits)
        ticks += 1
        assert ticks * DT <= bound + DT


@settings(max_examples=examples(100))
@example(AxisLimits(1.0, 0.0, 1.0, 0.0625, 2.0), [(0, 5e-324, 1), (0, 1.0, 1)])
@given(
    limit_sets, st.lists(st.tuples(st.sampled_from([0, 1, 2]), anything, st.integers(1, 15)), min_size=1, max_size=20)
)
def test_switching_limits_keeps_to_those_in_force(limits: AxisLimits, moves: list[tuple[int, float, int]]) -> None:
    sets = (limits, limits.scaled(0.6, 0.5, 1.0, 0.5), limits.scaled(0.3, 0.9, 0.4, 0.2))
    limiter = AxisLimiter(limits)
    before, slope_before = 0.0, 0.0
    for index, target, repeats in moves:
        for _ in range(repeats):
            velocity = limiter.step(target, DT, sets[index])
            active = limiter.active
            assert -active.reverse - 1e-9 <= velocity <= active.forward + 1e-9
            assert abs(limiter.acceleration) <= rate_limit(before, velocity, active) * (1 + 1e-9) + 1e-9
            assert abs(limiter.acceleration - slope_before) <= active.jerk * DT * (1 + 1e-9) + 1e-9
            before, slope_before = velocity, limiter.acceleration


@pytest.mark.parametrize(
    ("speed", "reaction", "expected"),
    [(0.0, 1.0, 0.0), (0.3, 0.7, 0.21 + 0.045 + 0.3 / 20), (0.5, 0.0, 0.125 + 0.5 / 20)],
)
def test_stopping_distance(speed: float, reaction: float, expected: float) -> None:
    assert stopping_distance_m(speed, reaction, NOMINAL) == pytest.approx(expected)


def test_stopping_distance_with_a_deceleration_that_is_not_one() -> None:
    limits = AxisLimits(2.0, 2.0, 0.5, 2.0, 8.0)
    # at 1 m/s: 0.5 + 1 / (2 * 2) + 1 * 2 / (2 * 8); at 0.125 m/s the jerk lets it reach sqrt(0.125 * 8) = 1 only
    assert stopping_distance_m(1.0, 0.5, limits) == pytest.approx(0.5 + 0.25 + 0.125)
    assert stopping_distance_m(0.125, 0.0, limits) == pytest.approx(1 / 128 + 1 / 128)
    assert stopping_distance_m(1.0, 0.0, limits._replace(decel=0.5, jerk=1e12)) == pytest.approx(1.0)


def test_stopping_distance_matches_the_limiter() -> None:
    limiter = AxisLimiter(NOMINAL)
    settle(limiter, 0.5, NOMINAL)
    way = sum(settle(limiter, 0.0, NOMINAL)) * DT
    assert way == pytest.approx(stopping_distance_m(0.5, 0.0, NOMINAL), abs=0.5 * DT)
    assert way <= stopping_distance_m(0.5, DT, NOMINAL)
