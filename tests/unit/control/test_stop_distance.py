from __future__ import annotations

import pytest

from mobile_vla.control import ControllerConfig
from mobile_vla.control.envelope import axis_limits
from mobile_vla.control.limits import AxisLimiter
from mobile_vla.control.stop_distance import autonomous_speed_mps, reactions, stop_distance_m


def test_the_documented_example() -> None:
    """0.3 m/s, 0.7 s, 1.0 m/s^2: 0.26 m."""
    assert stop_distance_m(0.3, 0.7, 1.0) == pytest.approx(0.255)


@pytest.mark.parametrize(
    ("speed", "reaction", "decel", "expected"),
    [(0.0, 1.0, 1.0, 0.0), (1.0, 0.0, 0.5, 1.0), (0.5, 0.2, 1e9, 0.1), (0.2, 1.0, 2.0, 0.21)],
)
def test_formula(speed: float, reaction: float, decel: float, expected: float) -> None:
    assert stop_distance_m(speed, reaction, decel) == pytest.approx(expected, abs=1e-6)


def test_reactions_are_bounded_by_the_staleness_limits() -> None:
    config = ControllerConfig()
    fast, slow = reactions(config, image_max_age_s=0.3, base_s=0.1)
    assert fast.image_s + fast.inference_s == pytest.approx(config.staleness.action_min_s)
    assert slow.image_s + slow.inference_s == pytest.approx(config.staleness.action_max_s)
    assert fast.total_s == pytest.approx(0.3 + 1 / 30 + 0.1)
    assert autonomous_speed_mps(config) == 0.3


@pytest.mark.parametrize("speed", [0.05, 0.3, 0.5])
def test_the_limiter_really_brakes_within_it(speed: float) -> None:
    config = ControllerConfig()
    limits, period_s = axis_limits(config)[0], config.period_s
    limiter = AxisLimiter(limits)
    for _ in range(300):
        limiter.step(speed, period_s, limits)
    driven_m = 0.0
    while limiter.velocity:
        driven_m += limiter.step(0.0, period_s, limits) * period_s
    # The last ticks creep below 1 mm/s; one tick of reaction covers the sampling.
    assert driven_m <= stop_distance_m(speed, period_s, limits.decel, limits.jerk)


@pytest.mark.parametrize(
    ("speed", "reaction", "decel", "jerk", "expected"),
    [
        (1.0, 0.5, 2.0, 10.0, 0.5 + 0.25 + 0.1),
        (0.5, 0.0, 2.0, 1e9, 0.0625),
        (0.02, 0.0, 2.0, 10.0, 0.0004 / (2 * 0.2**0.5) + 0.02 * 0.2**0.5 / 20),  # never reaches 2 m/s^2
    ],
)
def test_formula_with_a_jerk_limit(speed: float, reaction: float, decel: float, jerk: float, expected: float) -> None:
    assert stop_distance_m(speed, reaction, decel, jerk) == pytest.approx(expected)
