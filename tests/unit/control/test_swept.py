"""The swept footprint: the closed form beside small steps along the same arc, and what the guard makes of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobile_vla.config import ConfigError, with_values
from mobile_vla.control import STILL, ControllerConfig, Now, ScanGeometry, Velocity
from mobile_vla.control.range_guard import RangeGuard
from mobile_vla.control.swept import Footprint, Twist, nearest_first, share

MS = 1_000_000
ROS = 1_000_000 * MS
NOW = Now(77 * MS, ROS)
TTC_S = 1.2
MARGIN_M = 0.03
BOX = Footprint(0.25, 0.15, 0.2, round=False)
DISC = Footprint(0.2, 0.16, 0.18, round=True)


def allowed(twist: Twist, x: float, y: float, body: Footprint = BOX, margin_m: float = MARGIN_M) -> float:
    return share(twist, nearest_first([(x, y)], body), body, margin_m, TTC_S)


def first_contact_s(twist: Twist, point: tuple[float, float], body: Footprint, margin_m: float) -> float:
    """Small steps of the robot's pose; the gap is measured at each."""
    x, y = point
    step_s, until_s = 0.002, TTC_S + 0.01
    px = py = yaw = 0.0
    for index in range(round(until_s / step_s)):
        dx, dy = x - px, y - py
        cosine, sine = math.cos(yaw), math.sin(yaw)
        here_x, here_y = dx * cosine + dy * sine, dy * cosine - dx * sine
        grown = body.grown(margin_m)
        if grown.gap(here_x, here_y) == 0.0:
            return index * step_s
        middle = yaw + twist.turn * step_s / 2
        px += (twist.forward * math.cos(middle) - twist.left * math.sin(middle)) * step_s
        py += (twist.forward * math.sin(middle) + twist.left * math.cos(middle)) * step_s
        yaw += twist.turn * step_s
    return math.inf


@settings(max_examples=150)
@given(
    st.builds(Twist, st.floats(-0.5, 0.5), st.sampled_from([0.0, 0.0, 0.3, -0.2]), st.floats(-1.5, 1.5)),
    st.floats(-1.0, 1.0),
    st.floats(-1.0, 1.0),
    st.sampled_from([BOX, DISC]),
)
def test_the_closed_form_is_what_small_steps_find(twist: Twist, x: float, y: float, body: Footprint) -> None:
    gap = body.gap(x, y)
    if gap < 0.01 or math.hypot(*twist[:2]) + abs(twist.turn) < 0.02:
        return
    found = allowed(twist, x, y, body)
    stepped = min(first_contact_s(twist, (x, y), body, min(MARGIN_M, gap / 2)) / TTC_S, 1.0)
    # Steps are 2 ms long, and one that grazes a corner or a disc may be seen by one of the two only.
    grazes = min(first_contact_s(twist, (x, y), body, min(MARGIN_M, gap / 2) + change) for change in (0.002, -0.002))
    assert found == pytest.approx(stepped, abs=0.01) or found == pytest.approx(min(grazes / TTC_S, 1.0), abs=0.05)


@pytest.mark.parametrize(
    ("twist", "point", "expected"),
    [
        (Twist(0.5, 0, 0), (0.25 + 0.03 + 0.3, 0.0), 0.3 / 0.6),
        (Twist(0.5, 0, 0), (0.25 + 0.03 + 0.7, 0.0), 1.0),
        (Twist(0.5, 0, 0), (0.5, 0.24), 1.0),
        (Twist(0.5, 0, 0), (0.25 + 0.03 + 0.3, 0.229), 0.3 / 0.6),
        (Twist(-0.5, 0, 0), (0.4, 0.0), 1.0),
        (Twist(-0.5, 0, 0), (-0.15 - 0.03 - 0.12, 0.0), 0.12 / 0.6),
        (Twist(0, 0.25, 0), (0.0, 0.2 + 0.03 + 0.15), 0.15 / 0.3),
        (Twist(0, 0, 0), (0.26, 0.0), 1.0),
    ],
)
def test_straight_ways(twist: Twist, point: tuple[float, float], expected: float) -> None:
    assert allowed(twist, *point) == pytest.approx(expected)


def test_a_box_turning_on_the_spot_beside_a_wall_is_stopped_and_a_disc_is_not() -> None:
    """The case that was found: 0.8 rad/s, 0.02 m beside a wall. The corners of the box reach 0.12 m beyond its side."""
    wall = [(index * 0.02, -0.22) for index in range(-30, 31)]
    turning = Twist(0.0, 0.0, 0.8)
    for sense in (1.0, -1.0):
        assert share(turning.scaled(sense), nearest_first(wall, BOX), BOX, MARGIN_M, TTC_S) < 0.1
    disc = Footprint(0.2, 0.2, 0.2, round=True)
    assert share(turning, nearest_first(wall, disc), disc, MARGIN_M, TTC_S) == 1.0
    assert share(Twist(0.3, 0.0, 0.0), nearest_first(wall[:30], BOX), BOX, MARGIN_M, TTC_S) == 1.0, "along it, past it"


def test_a_post_beside_the_body_is_met_on_an_arc_although_the_way_ahead_is_free() -> None:
    post = (0.2, 0.26)
    assert allowed(Twist(0.1, 0.0, 0.0), *post) == 1.0
    assert allowed(Twist(0.1, 0.0, 0.9), *post) < 0.5
    assert allowed(Twist(0.1, 0.0, -0.9), *post) == 1.0, "turned away from, the front clears it"
    assert allowed(Twist(-0.1, 0.0, 0.9), -0.12, -0.24) < 0.5, "backwards, on the other side"


def test_a_point_within_the_footprint_blocks_what_goes_towards_it_only() -> None:
    assert allowed(Twist(0.2, 0.0, 0.0), 0.2, 0.0) == 0.0
    assert allowed(Twist(-0.2, 0.0, 0.0), 0.2, 0.0) == 1.0
    assert allowed(Twist(0.0, 0.0, 0.5), 0.2, 0.0) == 1.0


def guard(**values: object) -> RangeGuard:
    changes = {"range_guard.use_scan": True, **{key.replace("__", "."): value for key, value in values.items()}}
    return RangeGuard(with_values(ControllerConfig(), changes))


def look(unit: RangeGuard, obstacles: dict[int, float]) -> None:
    ranges = [math.inf] * 360
    for degrees, distance in obstacles.items():
        ranges[(degrees + 180) % 360] = distance
    unit.offer_scan(ROS, ranges, ScanGeometry(-math.pi, math.radians(1), 0.1, 10.0), NOW)


def test_forward_and_turn_are_reduced_together_on_an_arc_that_is_not_free() -> None:
    unit = guard()
    look(unit, {60: 0.33})  # at (0.165, 0.286): beside the front left corner of the 0.4 m box, not ahead of it
    wanted = Velocity(0.2, 0.0, 0.9)
    limited, reason = unit.limit(wanted, wanted)
    assert reason == "range_slow"
    assert 0.0 < limited.forward < 0.2
    assert limited.turn / limited.forward == pytest.approx(wanted.turn / wanted.forward)
    assert unit.limit(Velocity(0.2, 0.0, -0.2)) == (Velocity(0.2, 0.0, -0.2), "")


def test_it_turns_away_on_the_spot_from_what_it_stands_before() -> None:
    unit = guard(range_guard__round=True)
    look(unit, dict.fromkeys(range(-25, 26), 0.42))
    limited, reason = unit.limit(Velocity(0.3, 0.0, 0.8), STILL)
    assert limited == (0.0, 0.0, 0.8)
    assert reason == "range_stop"


def test_it_first_brakes_and_then_turns() -> None:
    """While it still rolls, the tighter arc is judged at the speed it has."""
    unit = guard(range_guard__round=True)
    look(unit, {50: 0.31, 55: 0.31})
    wanted = Velocity(0.3, 0.0, 0.8)
    rolling, _ = unit.limit(wanted, Velocity(0.3, 0.0, 0.0))
    standing, _ = unit.limit(wanted, STILL)
    assert rolling.forward == standing.forward < 0.3
    assert rolling.turn < standing.turn


def test_steering_is_judged_where_it_is_and_where_it_goes() -> None:
    values = {"base__kind": "ackermann", "action__space": "ackermann"}
    unit = guard(**values)
    look(unit, {50: 0.4})
    straight, left = Velocity(0.3, 0.0, 0.0), Velocity(0.3, 0.0, 0.5)
    assert unit.limit(straight, straight) == (straight, "")
    for wanted, present in ((left, straight), (straight, left)):
        limited, reason = unit.limit(wanted, present)
        assert 0.0 <= limited.forward < 0.3
        assert limited.turn == wanted.turn, "the path needs the angle"
        assert reason in ("range_slow", "range_stop")


def test_a_round_footprint_is_as_long_as_wide() -> None:
    with pytest.raises(ConfigError, match=r"front_m \+ rear_m = 2 x half_width_m"):
        guard(range_guard__round=True, range_guard__front_m=0.3)
