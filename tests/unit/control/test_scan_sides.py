"""What beams do not see is not free: NaN, gaps, ends of the scan, the sensor's range."""

from __future__ import annotations

import math

import pytest
from effort import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, ScanGeometry, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.range_guard import RangeGuard
from mobile_vla.control.scan_sides import ScanReducer

MS = 1_000_000
ROS = 1_000_000 * MS
NOW = Now(77 * MS, ROS)
DEG = math.radians(1)
CIRCLE = ScanGeometry(-math.pi, DEG, 0.1, 10.0)
# Footprint 0.4 m x 0.4 m around scanner and origin; stop zone 0.2 m; 1.2 s; 0.05 m must not hide.
HALF, EDGE, STOP, TTC, NARROW = 0.2, 0.2, 0.2, 1.2, 0.05


def guard(**values: object) -> RangeGuard:
    changes = {"base.kind": "omni", "range_guard.use_scan": True}
    return RangeGuard(
        with_values(ControllerConfig(), changes | {f"range_guard.{key}": value for key, value in values.items()})
    )


def ring(missing: list[int], fill: float = math.inf, geometry: ScanGeometry = CIRCLE) -> list[float]:
    """A circle of readings, NaN at some whole degrees from straight ahead."""
    ranges = [fill] * 360
    for degrees in missing:
        ranges[(degrees - round(math.degrees(geometry.angle_min_rad))) % 360] = math.nan
    return ranges


def hidden_from(gap_deg: float) -> float:
    """Where a narrow post can begin between two beams so far apart: written once more, from the drawing."""
    return NARROW / 2 / math.sin(math.radians(gap_deg / 2)) - NARROW / 2


def allowed(way_m: float) -> float:
    return max(way_m - EDGE - STOP, 0.0) / TTC


def forward(unit: RangeGuard, speed: float = 0.5) -> tuple[float, str]:
    velocity, reason = unit.limit(Velocity(speed, 0.0, 0.0))
    return velocity.forward, reason


def test_nan_ahead_stops_although_most_beams_are_fine() -> None:
    unit = guard()
    unit.offer_scan(ROS, ring(list(range(-84, 85))), CIRCLE, NOW)
    assert unit.timed_out(NOW.steady_ns) == ""
    assert forward(unit) == (0.0, "range_unseen")
    assert forward(unit, -0.2) == (-0.2, ""), "the way back is seen"


def test_a_wall_whose_beams_turn_nan_does_not_become_free() -> None:
    unit = guard()
    wall = list(range(-40, 41))
    ranges = ring([])
    for degrees in wall:
        ranges[degrees + 180] = 0.6 / math.cos(degrees * DEG)
    unit.offer_scan(ROS, ranges, CIRCLE, NOW)
    assert forward(unit) == (pytest.approx(allowed(0.6)), "range_slow")
    unit.offer_scan(ROS + MS, ring(wall), CIRCLE, NOW)
    assert forward(unit) == (0.0, "range_unseen")


@pytest.mark.parametrize("every", [2, 3, 10])
def test_single_beams_that_drop_out_do_not_matter(every: int) -> None:
    unit = guard()
    unit.offer_scan(ROS, ring(list(range(-180, 180, every))), CIRCLE, NOW)
    assert forward(unit) == (0.5, "")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 30])
def test_a_gap_ahead_allows_what_may_be_driven_towards_what_it_can_hide(count: int) -> None:
    unit = guard()
    unit.offer_scan(ROS, ring(list(range(-(count // 2), count - count // 2))), CIRCLE, NOW)
    # The middle of an even run is half a degree beside a beam; the corridor is straight: within a millimetre.
    expected = min(0.5, allowed(hidden_from(count + 1)))
    assert forward(unit) == (pytest.approx(expected, abs=1e-3), "range_unseen" if expected < 0.5 else "")


def test_the_widest_gap_with_which_it_moves() -> None:
    """At the stop line, 0.4 m from the scanner, a post of 0.05 m covers 6.7 degrees."""
    widest_deg = 2 * math.degrees(math.asin(NARROW / 2 / (EDGE + STOP + NARROW / 2)))
    assert widest_deg == pytest.approx(6.75, abs=0.01)
    for gap_deg, moves in ((widest_deg - 0.1, True), (widest_deg + 0.1, False)):
        unit = guard()
        beside = math.radians(gap_deg / 2)
        count = 1 + math.floor((math.tau - 2 * beside) / DEG)
        step = (math.tau - 2 * beside) / (count - 1)
        unit.offer_scan(ROS, [math.inf] * count, ScanGeometry(beside, step, 0.1, 10.0), NOW)
        assert unit.covered.front is None, "a hole in the geometry is never looked at: slow"
        whole = guard()
        ranges = [math.inf] * 3600
        run = round(gap_deg * 10) - 1
        for index in range(run):
            ranges[1800 - run // 2 + index] = math.nan
        whole.offer_scan(ROS, ranges, ScanGeometry(-math.pi, DEG / 10, 0.1, 10.0), NOW)
        assert (forward(whole)[0] > 0.0) is moves


@pytest.mark.parametrize(
    ("step_deg", "moves"), [(1, True), (2, True), (4, True), (5, True), (6, True), (7, False), (10, False)]
)
def test_coarse_scans(step_deg: int, moves: bool) -> None:
    """The corners of the corridor at the stop line are 0.45 m from the scanner: 6.07 degrees hide 0.05 m there."""
    assert math.degrees(2 * math.asin(0.025 / (math.hypot(EDGE + STOP, HALF) + 0.025))) == pytest.approx(6.07, abs=0.01)
    unit = guard()
    unit.offer_scan(ROS, [math.inf] * (360 // step_deg), CIRCLE._replace(angle_increment_rad=step_deg * DEG), NOW)
    speed, reason = forward(unit)
    assert (speed > 0.001) is moves
    assert reason == ("" if speed == 0.5 else "range_unseen")


def test_no_echo_is_free_up_to_the_sensors_range() -> None:
    unit = guard()
    unit.offer_scan(ROS, ring([]), CIRCLE._replace(range_max_m=0.6), NOW)
    assert forward(unit) == (pytest.approx(allowed(math.sqrt(0.6**2 - HALF**2))), "range_unseen")


def test_a_side_gap_does_not_slow_the_way_ahead() -> None:
    unit = guard()
    unit.offer_scan(ROS, ring(list(range(60, 121))), CIRCLE, NOW)
    assert forward(unit) == (0.5, "")
    assert unit.limit(Velocity(0.0, 0.3, 0.0)) == (Velocity(0.0, 0.0, 0.0), "range_unseen")
    assert unit.limit(Velocity(0.0, -0.3, 0.0)) == (Velocity(0.0, -0.3, 0.0), "")


@pytest.mark.parametrize(("lost", "speed"), [(range(20, 90), 0.0), (range(28, 90), 0.5)])
def test_nan_at_the_end_of_a_scan_is_a_gap_too(lost: range, speed: float) -> None:
    """A scanner that sees the front half: its left end is lost; the corridor ends at 26.6 degrees at the stop line."""
    unit = guard()
    ranges = [math.nan if degrees in lost else math.inf for degrees in range(-90, 91)]
    ranges[-1] = math.nan
    unit.offer_scan(ROS, ranges, CIRCLE._replace(angle_min_rad=-math.pi / 2), NOW)
    assert forward(unit)[0] == speed


def test_a_scan_of_nan_alone_hides_everything() -> None:
    unit = guard(max_invalid_share=1.0)
    unit.offer_scan(ROS, [math.nan] * 360, CIRCLE, NOW)
    for velocity in (Velocity(0.3, 0, 0), Velocity(-0.1, 0, 0), Velocity(0, 0.1, 0), Velocity(0, -0.1, 0)):
        assert unit.limit(velocity)[0][:2] == (0.0, 0.0)


def test_what_is_never_looked_at_stays_slow_and_what_was_lost_stops() -> None:
    unit = guard()
    ahead = CIRCLE._replace(angle_min_rad=-math.pi / 2)
    unit.offer_scan(ROS, [math.inf] * 181, ahead, NOW)
    assert forward(unit, -0.2) == (-0.1, "range_unseen")
    for at_ms, ranges, geometry in ((10, ring([]), CIRCLE), (2000, [math.inf] * 181, ahead)):
        if at_ms == 2000:
            assert forward(unit, -0.2) == (-0.2, "")
        with pytest.raises(Rejected, match="one scanner per topic"):
            unit.offer_scan(ROS + at_ms * MS, ranges, geometry, Now(at_ms * MS, ROS + at_ms * MS))
        later_ms = at_ms + 1000
        unit.offer_scan(ROS + later_ms * MS, ranges, geometry, Now(later_ms * MS, ROS + later_ms * MS))
    assert forward(unit, -0.2) == (-0.0, "range_unseen")


runs = st.lists(st.tuples(st.integers(0, 359), st.integers(1, 60)), max_size=4)


@settings(max_examples=examples(100))
@given(
    runs,
    st.floats(-HALF + NARROW / 2, HALF - NARROW / 2),
    st.floats(STOP, 1.5),
    st.sampled_from([0, 1, 2, 3]),
    st.tuples(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15)),
)
def test_a_narrow_post_nearer_than_what_is_covered_is_met_by_a_valid_beam(
    gaps: list[tuple[int, int]], aside: float, way: float, side: int, mount: tuple[float, float]
) -> None:
    """Any gaps, any place of the scanner on the robot: posts are put anywhere in the corridors and rays are cast."""
    x_m, y_m = mount
    config = with_values(
        ControllerConfig(),
        {"range_guard.scan_x_m": x_m, "range_guard.scan_y_m": y_m, "range_guard.max_invalid_share": 1.0},
    )
    missing = {(first + index) % 360 for first, count in gaps for index in range(count)}
    ranges = [math.nan if index in missing else math.inf for index in range(360)]
    covered = ScanReducer(config.range_guard, 3.0).reduce(ranges, CIRCLE).covered[side]
    assert covered is not None
    assume(way < covered - 0.005)  # beams are a degree apart: what begins between two of them is placed at one
    dx, dy = ((1, 0), (-1, 0), (0, 1), (0, -1))[side]
    centre = EDGE + way + NARROW / 2
    px, py = dx * centre - dy * aside - x_m, dy * centre + dx * aside - y_m
    distance, bearing = math.hypot(px, py), math.atan2(py, px)
    half = math.asin(min(1.0, NARROW / 2 / distance))
    met = [
        index
        for index in range(360)
        if index not in missing and abs(math.remainder(-math.pi + index * DEG - bearing, math.tau)) <= half + 1e-9
    ]
    assert met, (covered, way)
