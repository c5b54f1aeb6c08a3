from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, ScanGeometry, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.range_guard import RangeGuard

MS = 1_000_000
ROS = 1_000_000 * MS
NOW = Now(77 * MS, ROS)
FULL_CIRCLE = ScanGeometry(-math.pi, math.radians(1), 0.1, 10.0)
AHEAD_ONLY = ScanGeometry(-math.pi / 2, math.radians(1), 0.1, 10.0)
# Footprint 0.4 m x 0.4 m around the origin; stop zone 0.2 m; 1.2 s to the stop zone.


def guard(**values: object) -> RangeGuard:
    changes = {
        "base.kind": "omni",
        "range_guard.use_scan": True,
        **{f"range_guard.{key}": value for key, value in values.items()},
    }
    return RangeGuard(with_values(ControllerConfig(), changes))


def scan(
    unit: RangeGuard, obstacles: dict[int, float], geometry: ScanGeometry = FULL_CIRCLE, fill: float = math.inf
) -> None:
    """One scan with readings at whole degrees from straight ahead."""
    count = 360 if geometry is FULL_CIRCLE else 181
    ranges = [fill] * count
    for degrees, distance in obstacles.items():
        ranges[(degrees - round(math.degrees(geometry.angle_min_rad))) % 360] = distance
    unit.offer_scan(ROS, ranges, geometry, NOW)


@pytest.mark.parametrize(
    ("obstacles", "wanted", "allowed", "reason"),
    [
        ({}, (0.5, 0.3), (0.5, 0.3), ""),
        ({0: 2.0}, (0.5, 0.0), (0.5, 0.0), ""),
        ({0: 1.0}, (0.5, 0.0), (0.5, 0.0), ""),
        ({0: 0.7}, (0.5, 0.0), (0.3 / 1.2, 0.0), "range_slow"),
        ({0: 0.7}, (0.2, 0.0), (0.2, 0.0), ""),
        ({0: 0.4}, (0.5, 0.0), (0.0, 0.0), "range_stop"),
        ({0: 0.15}, (0.5, 0.0), (0.0, 0.0), "range_stop"),
        ({0: 0.4}, (-0.2, 0.0), (-0.2, 0.0), ""),
        ({0: 0.4}, (0.0, 0.3), (0.0, 0.3), ""),
        ({180: 0.4}, (-0.2, 0.0), (0.0, 0.0), "range_stop"),
        ({180: 0.4}, (0.5, 0.0), (0.5, 0.0), ""),
        ({90: 0.5}, (0.5, 0.3), (0.5, 0.1 / 1.2), "range_slow"),
        ({-90: 0.4}, (0.0, -0.3), (0.0, 0.0), "range_stop"),
        ({0: 0.7, 90: 0.3}, (0.5, 0.3), (0.25, 0.0), "range_stop"),
        ({10: 0.5}, (0.5, 0.0), ((0.5 * math.cos(math.radians(10)) - 0.4) / 1.2, 0.0), "range_slow"),
        ({-30: 0.7}, (0.5, 0.0), (0.5, 0.0), ""),
        ({0: 0.05}, (0.5, 0.0), (0.0, 0.0), "range_stop"),
        ({0: 0.0}, (0.5, 0.0), (0.0, 0.0), "range_stop"),
        ({0: -math.inf}, (0.5, 0.0), (0.0, 0.0), "range_stop"),
        ({0: 99.0}, (0.5, 0.0), (0.5, 0.0), ""),
    ],
)
def test_limits_motion_towards_obstacles_only(
    obstacles: dict[int, float], wanted: tuple[float, float], allowed: tuple[float, float], reason: str
) -> None:
    unit = guard()
    scan(unit, obstacles)
    velocity, why = unit.limit(Velocity(*wanted, 0.7))
    assert velocity == pytest.approx((*allowed, 0.7))
    assert why == reason


def test_no_echo_as_zero_only_where_said() -> None:
    unit = guard(zero_is_clear=True)
    scan(unit, {0: 0.0})
    assert unit.limit(Velocity(0.5, 0.0, 0.0)) == (Velocity(0.5, 0.0, 0.0), "")


def test_unseen_directions_are_slow() -> None:
    unit = guard()
    scan(unit, {}, AHEAD_ONLY)
    assert unit.limit(Velocity(0.5, 0.0, 0.0))[1] == ""
    assert unit.limit(Velocity(-0.2, 0.0, 0.0)) == (Velocity(-0.1, 0.0, 0.0), "range_unseen")
    assert unit.limit(Velocity(-0.05, 0.0, 0.0)) == (Velocity(-0.05, 0.0, 0.0), "")


DEG = math.radians(1)


def change(unit: RangeGuard, ranges: list[float], geometry: ScanGeometry, at_ms: int) -> None:
    """Another scanner from now on: its first scans are refused for a second."""
    with pytest.raises(Rejected, match="one scanner per topic"):
        unit.offer_scan(ROS + at_ms * MS, ranges, geometry, Now(NOW.steady_ns + at_ms * MS, ROS + at_ms * MS))
    later = at_ms + 1000
    unit.offer_scan(ROS + later * MS, ranges, geometry, Now(NOW.steady_ns + later * MS, ROS + later * MS))


@pytest.mark.parametrize(
    ("first_deg", "step_deg", "count", "yaw_deg", "seen"),
    [
        (-112, 1, 225, 0, "front left right"),
        (-112, 1, 225, 180, "rear left right"),
        (-112, 1, 225, 90, "front rear left"),
        (112, -1, 225, 0, "front left right"),
        (-22, 1, 225, 0, "front rear left"),
        (22, -1, 225, 0, "front rear right"),
        (45, 90, 4, 0, "front rear left right"),
        # Within the corridor's edges less 0.05 m, at the stop line 0.4 m ahead: 20.6 degrees to either side.
        (-21, 1, 43, 0, "front"),
        (-20, 1, 41, 0, ""),
        (-21, 1, 41, 0, ""),
        (159, 1, 43, 0, "rear"),
        (69, 1, 43, 0, "left"),
        (-111, 1, 43, 0, "right"),
        (0, 1, 1, 0, ""),
    ],
)
def test_a_side_is_covered_when_a_narrow_post_at_the_stop_line_is_met(
    first_deg: float, step_deg: float, count: int, yaw_deg: float, seen: str
) -> None:
    unit = guard(scan_yaw_rad=yaw_deg * DEG)
    unit.offer_scan(ROS, [math.inf] * count, ScanGeometry(first_deg * DEG, step_deg * DEG, 0.1, 10.0), NOW)
    sides = zip(("front", "rear", "left", "right"), unit.covered, strict=True)
    assert " ".join(name for name, way in sides if way is not None) == seen


def test_a_scanner_that_changes_is_looked_at_anew() -> None:
    unit = guard()
    unit.offer_scan(ROS - MS, [math.inf] * 181, AHEAD_ONLY, NOW)
    assert unit.covered == (math.inf, None, None, None)
    change(unit, [math.inf] * 360, FULL_CIRCLE, 0)
    assert None not in unit.covered
    change(unit, [math.inf] * 40, AHEAD_ONLY, 2000)
    assert unit.covered == (-math.inf,) * 4, "what was covered once and is not any more is lost"
    assert unit.limit(Velocity(-0.05, 0.0, 0.0)) == (Velocity(-0.0, 0.0, 0.0), "range_unseen")


def test_mounting_offset_and_direction() -> None:
    unit = guard(scan_yaw_rad=math.pi, scan_x_m=-0.1)
    scan(unit, {180: 0.6})
    front = unit.clearance.front
    assert front == pytest.approx(0.6 - 0.1 - 0.2)
    assert unit.clearance.rear == math.inf


@pytest.mark.parametrize(
    ("ranges", "geometry"),
    [
        ([], FULL_CIRCLE),
        ([1.0] * 20_001, FULL_CIRCLE),
        ([math.nan] * 360, FULL_CIRCLE),
        ([math.nan] * 181 + [1.0] * 179, FULL_CIRCLE),
        ([1.0] * 360, FULL_CIRCLE._replace(angle_increment_rad=0.0)),
        ([1.0] * 360, FULL_CIRCLE._replace(angle_min_rad=math.nan)),
        ([1.0] * 360, FULL_CIRCLE._replace(range_max_m=0.05)),
        ([1.0] * 360, FULL_CIRCLE._replace(range_min_m=-1.0)),
    ],
)
def test_scans_that_prove_nothing_do_not_keep_the_guard_alive(ranges: list[float], geometry: ScanGeometry) -> None:
    unit = guard()
    with pytest.raises(Rejected) as caught:
        unit.offer_scan(ROS, ranges, geometry, NOW)
    assert caught.value.code == "scan.invalid"
    assert unit.timed_out(NOW.steady_ns) == "scan"


def test_a_dead_source_is_named() -> None:
    unit = guard(use_range=True)
    assert unit.timed_out(NOW.steady_ns) == "scan"
    scan(unit, {})
    assert unit.timed_out(NOW.steady_ns) == "range"
    unit.offer_range(ROS, 1.0, 0.02, 4.0, NOW)
    assert unit.timed_out(NOW.steady_ns) == ""
    assert unit.timed_out(NOW.steady_ns + 500 * MS) == ""
    assert unit.timed_out(NOW.steady_ns + 501 * MS) == "scan"


def test_an_old_scan_is_refused() -> None:
    unit = guard()
    with pytest.raises(Rejected):
        unit.offer_scan(ROS - 600 * MS, [1.0] * 360, FULL_CIRCLE, NOW)


@pytest.mark.parametrize(
    ("distance", "front"),
    [(1.0, 0.8), (math.inf, math.inf), (4.1, math.inf), (-math.inf, 0.02 - 0.2), (0.0, 0.02 - 0.2), (0.3, 0.1)],
)
def test_range_readings(distance: float, front: float) -> None:
    unit = guard(use_scan=False, use_range=True)
    unit.offer_range(ROS, distance, 0.02, 4.0, NOW)
    assert unit.clearance.front == pytest.approx(front)
    assert unit.covered == (math.inf, None, None, None)


@pytest.mark.parametrize(
    ("distance", "low", "high"), [(math.nan, 0.02, 4.0), (1.0, 4.0, 0.02), (1.0, 0.0, math.inf), (1.0, math.nan, 4.0)]
)
def test_range_readings_that_prove_nothing(distance: float, low: float, high: float) -> None:
    unit = guard(use_scan=False, use_range=True)
    with pytest.raises(Rejected):
        unit.offer_range(ROS, distance, low, high, NOW)


def test_the_nearest_of_scan_and_range_counts() -> None:
    unit = guard(use_range=True)
    scan(unit, {0: 0.9})
    unit.offer_range(ROS, 0.5, 0.02, 4.0, NOW)
    assert unit.clearance.front == pytest.approx(0.3)


def test_switched_off_it_does_nothing() -> None:
    unit = RangeGuard(ControllerConfig())
    assert unit.timed_out(0) == ""
    assert unit.limit(Velocity(0.5, 0.0, 0.0)) == (Velocity(0.5, 0.0, 0.0), "")


def test_new_footprint_is_used_at_the_next_scan() -> None:
    unit = guard()
    unit.configure(with_values(ControllerConfig(), {"range_guard.use_scan": True, "range_guard.front_m": 0.5}))
    scan(unit, {0: 1.0})
    assert unit.clearance.front == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("degrees", "distance", "wanted", "allowed"),
    [
        (0, 0.7, (0.5, 0.0), (0.3 / 1.2, 0.0)),
        (180, 0.7, (-0.5, 0.0), (-0.3 / 1.2, 0.0)),
        (90, 0.6, (0.0, 0.5), (0.0, 0.2 / 1.2)),
        (-90, 0.6, (0.0, -0.5), (0.0, -0.2 / 1.2)),
    ],
)
def test_every_side_slows_by_its_own_distance(
    degrees: int, distance: float, wanted: tuple[float, float], allowed: tuple[float, float]
) -> None:
    unit = guard()
    scan(unit, {degrees: distance})
    limited, reason = unit.limit(Velocity(*wanted, 0.0))
    assert limited[:2] == pytest.approx(allowed)
    assert reason == "range_slow"


def test_a_scanner_that_is_mounted_turned_looks_where_it_is_turned_to() -> None:
    unit = guard(scan_yaw_rad=math.pi / 2)
    scan(unit, {0: 0.4})  # its own zero is the robot's left
    assert unit.limit(Velocity(0.5, 0.0, 0.0)) == (Velocity(0.5, 0.0, 0.0), "")
    assert unit.limit(Velocity(0.0, 0.3, 0.0)) == (Velocity(0.0, 0.0, 0.0), "range_stop")
    assert unit.limit(Velocity(0.0, -0.3, 0.0)) == (Velocity(0.0, -0.3, 0.0), "")


@pytest.mark.parametrize(("mounted_m", "allowed"), [(0.0, 0.3 / 1.2), (0.1, 0.4 / 1.2), (-0.1, 0.2 / 1.2)])
def test_the_range_sensors_place_on_the_robot_counts(mounted_m: float, allowed: float) -> None:
    unit = guard(use_scan=False, use_range=True, range_x_m=mounted_m)
    unit.offer_range(ROS, 0.7, 0.05, 4.0, NOW)
    assert unit.limit(Velocity(0.5, 0.0, 0.0))[0].forward == pytest.approx(allowed)


def test_a_range_that_is_none_is_counted_under_its_own_name() -> None:
    unit = guard(use_scan=False, use_range=True)
    for reading in ((math.nan, 0.05, 4.0), (1.0, 4.0, 4.0), (1.0, -0.1, 4.0), (1.0, 0.05, math.inf)):
        with pytest.raises(Rejected, match="the sensor must send a distance") as caught:
            unit.offer_range(ROS, *reading, NOW)
        assert caught.value.code == "range.invalid"


def test_a_beam_without_echo_hides_no_other_beam() -> None:
    unit = guard(zero_is_clear=True)
    scan(unit, {-5: 0.0, 0: 0.5, 5: 0.0})
    assert unit.clearance.front == pytest.approx(0.3)


def test_half_of_the_beams_may_be_missing_and_no_more() -> None:
    unit = guard()
    unit.offer_scan(ROS, [math.nan] * 180 + [9.0] * 180, FULL_CIRCLE, NOW)
    assert unit.timed_out(NOW.steady_ns) == ""
    with pytest.raises(Rejected, match="181 NaN beams of 360"):
        unit.offer_scan(ROS + MS, [math.nan] * 181 + [9.0] * 179, FULL_CIRCLE, NOW)


@pytest.mark.parametrize(("beside_m", "front"), [(0.2, 0.8), (-0.2, 0.8), (0.21, math.inf), (-0.21, math.inf)])
def test_the_corridor_ahead_ends_with_the_footprints_edge(beside_m: float, front: float) -> None:
    unit = guard(scan_y_m=beside_m)
    unit.offer_scan(ROS, [1.0], ScanGeometry(0.0, 0.1, 0.1, 10.0), NOW)
    assert unit.clearance.front == pytest.approx(front)


def test_a_range_sensor_may_begin_at_zero_and_its_maximum_is_a_distance() -> None:
    unit = guard(use_scan=False, use_range=True)
    unit.offer_range(ROS, 4.0, 0.0, 4.0, NOW)
    assert unit.clearance.front == pytest.approx(3.8)


def test_the_speed_that_is_just_allowed_is_not_called_limited() -> None:
    unit = guard()
    scan(unit, {}, AHEAD_ONLY)
    assert unit.limit(Velocity(-0.1, 0.0, 0.0)) == (Velocity(-0.1, 0.0, 0.0), "")
