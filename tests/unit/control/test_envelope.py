from __future__ import annotations

import itertools
import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import STILL, ControllerConfig, Velocity
from mobile_vla.control.decode import output_turn
from mobile_vla.control.envelope import Envelope, axis_limits, handover_limits, output_limits

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


# the yaw rate of a steering angle


def run(unit: Envelope, target: Velocity, ticks: int, start: int = 0) -> list[float]:
    """angular.z of each tick."""
    outputs = []
    for tick in range(start, start + ticks):
        unit.step(target, START_NS + tick * PERIOD_NS, handover=False)
        outputs.append(unit.angular_z)
    return outputs


def test_limits_of_what_is_published() -> None:
    assert output_limits(car())[2] == (1.0, 1.0, 2.0, 3.0, 40.0)
    assert output_limits(config(base__kind="ackermann", action__space="ackermann", base__ackermann_output="angle"))[
        2
    ] == (0.5, 0.5, 1.0, 1.0, 20.0)
    assert output_limits(ControllerConfig()) == axis_limits(ControllerConfig())


def test_a_yaw_rate_within_its_limits_is_that_of_steering_angle_and_speed() -> None:
    settings = config(
        base__kind="ackermann", action__space="ackermann", limits__steering__rate_radps=0.5, base__wheelbase_m=0.5
    )
    unit = Envelope(settings)
    for tick in range(90):
        output = unit.step(Velocity(0.4, 0.0, 0.4), START_NS + tick * PERIOD_NS, handover=False)
        # rounding of one multiplication and one tangent
        assert unit.angular_z == pytest.approx(output_turn(output.forward, output.turn, settings.base), abs=1e-12)
    assert not unit.angular_z_limited
    assert unit.angular_z == pytest.approx(0.4 * math.tan(0.4) / 0.5)


@pytest.mark.parametrize("wheelbase_m", [0.05, 0.3])
def test_the_yaw_rate_of_a_steering_angle_keeps_to_the_limits_of_turning(wheelbase_m: float) -> None:
    settings = config(base__kind="ackermann", action__space="ackermann", base__wheelbase_m=wheelbase_m)
    unit, limits = Envelope(settings), output_limits(settings)[2]
    outputs = [0.0]
    for target in (Velocity(0.5, 0.0, 0.5), Velocity(0.5, 0.0, -0.5), Velocity(-0.2, 0.0, 0.5), STILL):
        outputs += run(unit, target, 60, len(outputs) - 1)
    slopes = [(after - before) * 1e9 / PERIOD_NS for before, after in itertools.pairwise(outputs)]
    bends = [(after - before) * 1e9 / PERIOD_NS for before, after in itertools.pairwise(slopes)]
    # 1e-6: rounding, divided twice by the period
    assert max(map(abs, outputs)) <= limits.forward + 1e-9
    assert max(map(abs, slopes)) <= limits.decel + 1e-6
    assert max(map(abs, bends)) <= limits.jerk + 1e-5
    assert outputs[-1] == 0.0
    assert unit.at_rest


def test_a_base_that_takes_the_angle_gets_the_angle() -> None:
    unit = Envelope(config(base__kind="ackermann", action__space="ackermann", base__ackermann_output="angle"))
    assert run(unit, Velocity(0.5, 0.0, 0.5), 90)[-1] == 0.5


def test_a_stop_ends_the_yaw_rate_at_once() -> None:
    unit = Envelope(car())
    assert run(unit, Velocity(0.5, 0.0, 0.5), 60)[-1] > 0.5
    unit.stop()
    assert (unit.angular_z, unit.at_rest) == (0.0, True)
