"""Arcs and turns towards what no valid beam covers."""

from __future__ import annotations

import math

import pytest
from effort import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mobile_vla.config import with_values
from mobile_vla.control import STILL, ControllerConfig, Now, ScanGeometry, Velocity
from mobile_vla.control.range_guard import RangeGuard
from mobile_vla.control.scan_sides import ScanReducer
from mobile_vla.control.swept import Footprint

MS = 1_000_000
ROS = 1_000_000 * MS
NOW = Now(77 * MS, ROS)
DEG = math.radians(1)
CIRCLE = ScanGeometry(-math.pi, DEG, 0.1, 10.0)
BODY = Footprint(0.2, 0.2, 0.2, round=False)
POST_M = 0.05
SPIN, ARC = Velocity(0.0, 0.0, 0.8), Velocity(0.09, 0.0, 0.8)


def guard(**values: object) -> RangeGuard:
    changes = {key.replace("__", "."): value for key, value in values.items()}
    return RangeGuard(with_values(ControllerConfig(), {"range_guard.use_scan": True, **changes}))


def ring(missing: set[int], readings: dict[int, float] | None = None) -> list[float]:
    """A circle of readings, NaN at some whole degrees from straight ahead."""
    seen = readings or {}
    return [math.nan if degrees in missing else seen.get(degrees, math.inf) for degrees in range(-180, 180)]


def limited(unit: RangeGuard, missing: set[int], wanted: Velocity) -> tuple[Velocity, str]:
    unit.offer_scan(ROS, ring(missing), CIRCLE, NOW)
    return unit.limit(wanted)


ONE_SIDE = set(range(30, 181)) | set(range(-180, -150))


@pytest.mark.parametrize("wanted", [SPIN, SPIN._replace(turn=-0.8), ARC, ARC._replace(forward=-0.09)])
def test_half_of_the_beams_lost_stops_arcs_and_turns(wanted: Velocity) -> None:
    assert limited(guard(), ONE_SIDE & set(range(-180, 180)), wanted) == (
        (wanted.forward * 0.0, 0.0, wanted.turn * 0.0),
        "range_unseen",
    )


def test_steering_into_what_is_not_seen_stops() -> None:
    unit = guard(base__kind="ackermann", action__space="ackermann")
    unit.offer_scan(ROS, ring(set(range(28, 100))), CIRCLE, NOW)
    assert unit.limit(Velocity(0.3, 0.0, 0.5), Velocity(0.3, 0.0, 0.5)) == (Velocity(0.0, 0.0, 0.5), "range_unseen")


def test_the_straight_way_has_its_own_rule() -> None:
    """The corridor ends at 26.6 degrees at the stop line; nearer it has been seen before."""
    for turn in (0.0, 0.05):
        velocity = Velocity(0.3, 0.0, turn)
        assert limited(guard(), set(range(28, 90)), velocity) == (velocity, "")
    assert limited(guard(), set(range(28, 90)), Velocity(0.3, 0.0, 0.5))[0].forward < 0.05


def test_a_round_robot_turns_on_the_spot_freely() -> None:
    assert limited(guard(range_guard__round=True), set(range(20, 180)), SPIN) == (SPIN, "")


@pytest.mark.parametrize("every", [2, 3, 10])
@pytest.mark.parametrize("wanted", [SPIN, ARC, Velocity(0.5, 0.0, 0.8)])
def test_isolated_beams_that_drop_out_change_nothing(every: int, wanted: Velocity) -> None:
    assert limited(guard(), set(range(-180, 180, every)), wanted) == (wanted, "")


@pytest.mark.parametrize("wanted", [SPIN, ARC])
def test_a_few_beams_beside_each_other_change_nothing_slow(wanted: Velocity) -> None:
    """Four in a row hide a post from 0.45 m on: beyond the corners, which reach 0.28 m."""
    missing = {degrees + more for degrees in range(-180, 180, 45) for more in range(4)}
    assert limited(guard(), missing, wanted) == (wanted, "")


def test_beams_far_apart_hide_what_nan_hides() -> None:
    """Beams 20 degrees apart hide a post from 0.12 m on: anywhere beside the body."""
    unit = guard()
    unit.offer_scan(ROS, [math.inf] * 18, ScanGeometry(-math.pi, 20 * DEG, 0.1, 10.0), NOW)
    assert unit.limit(SPIN) == (Velocity(0.0, 0.0, 0.0), "range_unseen")


def test_what_the_scan_never_reaches_is_not_a_gap() -> None:
    unit = guard()
    unit.offer_scan(ROS, [math.inf] * 181, CIRCLE._replace(angle_min_rad=-math.pi / 2), NOW)
    assert unit.limit(SPIN) == (SPIN, "")


runs = st.lists(st.tuples(st.integers(-180, 179), st.integers(1, 120)), max_size=4)


@settings(max_examples=examples(50), deadline=None)
@given(runs, st.tuples(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15)))
def test_a_scan_makes_a_bounded_number_of_samples_outside_body_and_margin(
    gaps: list[tuple[int, int]], mount: tuple[float, float]
) -> None:
    config = with_values(
        ControllerConfig(),
        {"range_guard.scan_x_m": mount[0], "range_guard.scan_y_m": mount[1], "range_guard.max_invalid_share": 1.0},
    )
    missing = {(first + index + 180) % 360 - 180 for first, count in gaps for index in range(count)}
    hidden = ScanReducer(config.range_guard, 1.5).reduce(ring(missing), CIRCLE).hidden
    assert len(hidden) <= 600
    assert all(BODY.grown(0.03).gap(*place) > 0.0 for place in hidden)


@settings(max_examples=examples(30), deadline=None)
@given(
    runs,
    st.integers(-180, 179),
    st.integers(3, 60),
    st.floats(0.05, 0.25),
    st.sampled_from([SPIN, SPIN._replace(turn=-0.8), ARC, Velocity(0.3, 0.0, 0.7), Velocity(-0.1, 0.0, 0.5)]),
)
def test_a_hidden_post_is_not_touched_on_arcs_and_turns(
    others: list[tuple[int, int]], bearing: int, around: int, gap_m: float, wanted: Velocity
) -> None:
    """The robot drives by steps of a tick with a scan at each; the post reads NaN wherever beams are lost."""
    unit = guard(range_guard__max_invalid_share=1.0)
    gaps = [*others, (bearing - around, 2 * around)]
    missing = {(first + index + 180) % 360 - 180 for first, count in gaps for index in range(count)}
    x, y = math.cos(bearing * DEG) * (0.2 + gap_m), math.sin(bearing * DEG) * (0.2 + gap_m)
    assume(BODY.gap(x, y) > POST_M / 2 + 0.04)
    present, step_s = STILL, 1 / 30
    for tick in range(45):
        distance, angle = math.hypot(x, y), math.atan2(y, x)
        half = math.asin(POST_M / 2 / distance)
        met = {
            degrees: distance - POST_M / 2
            for degrees in range(-180, 180)
            if abs(math.remainder(degrees * DEG - angle, math.tau)) <= half
        }
        now = Now(NOW.steady_ns + tick * 33 * MS, ROS + tick * 33 * MS)
        unit.offer_scan(now.ros_ns, ring(missing, met), CIRCLE, now)
        present, _ = unit.limit(wanted, present)
        turned = -present.turn * step_s
        x -= present.forward * step_s
        x, y = x * math.cos(turned) - y * math.sin(turned), x * math.sin(turned) + y * math.cos(turned)
        assert BODY.gap(x, y) > POST_M / 2, (tick, x, y)
