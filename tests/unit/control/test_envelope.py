from __future__ import annotations

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import STILL, ControllerConfig, Velocity
from mobile_vla.control.envelope import Envelope, axis_limits, handover_limits

START_NS = 7_000_000_000
PERIOD_NS = 33_333_333
AHEAD = Velocity(9.0, 0.0, 0.0)
FIRST_STEP = 10 / 900
"""From rest with jerk 10 m/s^3, in one period of 1/30 s."""


def config(**values: object) -> ControllerConfig:
    return with_values(ControllerConfig(), {key.replace("__", "."): value for key, value in values.items()})


def car() -> ControllerConfig:
    return config(base__kind="ackermann", action__space="ackermann")


def test_the_limits_of_every_axis_are_its_own() -> None:
    assert axis_limits(ControllerConfig()) == (
        (0.5, 0.2, 0.5, 1.0, 10.0),
        (0.3, 0.3, 0.5, 1.0, 10.0),
        (1.0, 1.0, 2.0, 3.0, 40.0),
    )
    assert axis_limits(car())[2] == (0.5, 0.5, 1.0, 1.0, 20.0)


def test_handing_over_is_tighter_on_every_axis_and_leaves_the_steering_angle() -> None:
    expected = ((0.3, 0.12, 0.25, 1.0, 5.0), (0.18, 0.18, 0.25, 1.0, 5.0), (0.6, 0.6, 1.0, 3.0, 20.0))
    for limits, values in zip(handover_limits(ControllerConfig()), expected, strict=True):
        assert limits == pytest.approx(values)
    assert handover_limits(car())[2] == pytest.approx((0.5, 0.5, 0.5, 1.0, 10.0))
    braking = handover_limits(config(limits__handover__decel_share=0.7))
    assert [limits.decel for limits in braking] == pytest.approx([0.7, 0.7, 2.1])


@pytest.mark.parametrize(
    ("after_ns", "gain"),
    [
        (PERIOD_NS // 2, 0.5 / 60),  # the slope, 1/3 so far, grows by 10/60
        (0, 0.0),
        (-PERIOD_NS, 0.0),
    ],
)
def test_a_step_lasts_as_long_as_the_clock_says(after_ns: int, gain: float) -> None:
    unit = Envelope(ControllerConfig())
    first = unit.step(AHEAD, START_NS, handover=False)
    assert first == pytest.approx((FIRST_STEP, 0.0, 0.0)), "the first tick counts as one period"
    second = unit.step(AHEAD, START_NS + after_ns, handover=False)
    assert second.forward == pytest.approx(FIRST_STEP + gain)
    assert unit.velocity == second


def test_a_step_is_counted_from_the_one_before_it_and_never_longer_than_a_period() -> None:
    late, on_time = Envelope(ControllerConfig()), Envelope(ControllerConfig())
    for unit, pause_ns in ((late, 10 * PERIOD_NS), (on_time, PERIOD_NS)):
        for tick in range(3):
            unit.step(AHEAD, START_NS + tick * pause_ns, handover=False)
    assert late.velocity == on_time.velocity
    # slopes 1/3, then the 0.5 of the limit
    assert late.velocity.forward == pytest.approx(FIRST_STEP + 2 * 0.5 / 30)


def test_axes_move_apart_from_each_other() -> None:
    unit = Envelope(config(base__kind="omni"))
    # one step of 1/30 s: jerk / 900
    assert unit.step(Velocity(9.0, -9.0, 9.0), START_NS, handover=False) == pytest.approx((1 / 90, -1 / 90, 4 / 90))
    unit = Envelope(config(base__kind="omni"))
    assert unit.step(Velocity(9.0, -9.0, 9.0), START_NS, handover=True) == pytest.approx((1 / 180, -1 / 180, 2 / 90))


def test_at_rest_means_every_axis() -> None:
    for target in (AHEAD, Velocity(0.0, 9.0, 0.0), Velocity(0.0, 0.0, 9.0)):
        unit = Envelope(ControllerConfig())
        assert unit.at_rest
        unit.step(target, START_NS, handover=False)
        assert not unit.at_rest
        unit.stop()
        assert unit.at_rest
        assert unit.velocity == STILL


def test_new_limits_and_a_new_rate_apply_from_the_next_step() -> None:
    unit = Envelope(ControllerConfig())
    unit.configure(config(rate_hz=60.0, limits__linear__jerk_mps3=5.0))
    assert unit.step(AHEAD, START_NS, handover=False).forward == pytest.approx(5 / 3600)
