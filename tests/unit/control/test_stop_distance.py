from __future__ import annotations

import pytest

from mobile_vla.control import ControllerConfig
from mobile_vla.control.envelope import axis_limits
from mobile_vla.control.limits import AxisLimiter, stopping_distance_m
from mobile_vla.control.stop_distance import autonomous_speed_mps, reactions


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
    assert driven_m <= stopping_distance_m(speed, period_s, limits)
