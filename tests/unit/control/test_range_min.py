"""What a scanner cannot see because it is too near."""

from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, ScanGeometry, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.gate import Gate
from mobile_vla.control.range_guard import RangeGuard

MS = 1_000_000
NOW = Now(77 * MS, 1_000_000 * MS)
DEG = math.radians(1)
# Body 0.4 m x 0.4 m around the scanner, stop distance 0.2 m: the stop line is 0.4 m from the scanner.
SCAN = {"range_guard.use_scan": True, "require.policy": False, "require.camera": False}


def config(**values: object) -> ControllerConfig:
    changes = {key.replace("__", "."): value for key, value in values.items()}
    return with_values(ControllerConfig(), {**SCAN, **changes})


def circle(range_min_m: float) -> ScanGeometry:
    return ScanGeometry(-math.pi, DEG, range_min_m, 10.0)


@pytest.mark.parametrize("reading", [1.0, 0.25])
@pytest.mark.parametrize("range_min_m", [0.41, 0.7, 1.0])
def test_a_scan_that_cannot_see_the_stop_line_is_refused(range_min_m: float, reading: float) -> None:
    unit = RangeGuard(config())
    for _ in range(2):  # the second time the geometry is known
        with pytest.raises(Rejected, match=r"range_min .* m, but the stop line \(front\) is 0\.4 m") as caught:
            unit.offer_scan(NOW.ros_ns, [reading] * 360, circle(range_min_m), NOW)
        assert caught.value.code == "scan.range_min"
    assert unit.timed_out(NOW.steady_ns) == "scan"


def test_arming_is_refused_with_that_reason() -> None:
    gate = Gate(config())
    gate.offer_scan(NOW.ros_ns, [1.0] * 360, circle(0.7), NOW)
    outcome = gate.arm(NOW)
    assert not outcome.ok
    assert "within its timeout: scan (scans are refused: scan has range_min 0.7 m, but the stop line" in outcome.message


@pytest.mark.parametrize(
    ("values", "first_deg", "count", "accepted"),
    [
        ({}, -180, 360, True),
        ({"range_guard__scan_x_m": 0.15}, -90, 181, False),
        ({"range_guard__scan_x_m": -0.15}, -90, 181, True),
        ({"range_guard__scan_x_m": -0.15}, -180, 360, False),
        ({"range_guard__scan_x_m": -0.15, "limits__linear__reverse_mps": 0.0}, -180, 360, True),
        ({"range_guard__scan_y_m": 0.15}, -180, 360, True),
        ({"range_guard__scan_y_m": 0.15, "base__kind": "omni"}, -180, 360, False),
        ({"range_guard__stop_distance_m": 0.1}, -180, 360, False),
    ],
)
def test_only_ways_that_the_robot_drives_and_the_scan_guards_count(
    values: dict[str, object], first_deg: int, count: int, accepted: bool
) -> None:
    unit = RangeGuard(config(**values))
    geometry = ScanGeometry(first_deg * DEG, DEG, 0.35, 10.0)
    if accepted:
        unit.offer_scan(NOW.ros_ns, [9.0] * count, geometry, NOW)
    else:
        with pytest.raises(Rejected, match="range_min"):
            unit.offer_scan(NOW.ros_ns, [9.0] * count, geometry, NOW)


@pytest.mark.parametrize("reading", [0.25, 0.38, 0.0, -1.0, -math.inf])
def test_a_reading_below_range_min_is_an_obstacle_at_the_bodys_edge(reading: float) -> None:
    unit = RangeGuard(config(range_guard__stop_distance_m=0.3))
    ranges = [math.inf] * 360
    ranges[180] = reading
    unit.offer_scan(NOW.ros_ns, ranges, circle(0.4), NOW)
    assert unit.clearance.front == pytest.approx(0.0, abs=0.002)
    assert unit.limit(Velocity(0.3, 0.0, 0.0)) == (Velocity(0.0, 0.0, 0.0), "range_stop")
    assert unit.limit(Velocity(-0.2, 0.0, 0.0)) == (Velocity(-0.2, 0.0, 0.0), "")
    # A disc of 0.4 m would turn free of a post at range_min; a box meets one at its edge at once.
    assert abs(unit.limit(Velocity(0.0, 0.0, 0.8))[0].turn) < 0.1


@pytest.mark.parametrize("reading", [0.05, 0.0, -math.inf])
def test_what_a_scanner_sees_of_its_own_mount_stays_at_range_min_within_the_body(reading: float) -> None:
    unit = RangeGuard(config())
    ranges = [math.inf] * 360
    ranges[0] = reading  # behind it
    unit.offer_scan(NOW.ros_ns, ranges, circle(0.1), NOW)
    assert unit.clearance.rear == pytest.approx(0.1 - 0.2)
    assert unit.limit(Velocity(-0.2, 0.0, 0.0))[0].forward == 0.0
    assert unit.limit(Velocity(0.3, 0.0, 0.5)) == (Velocity(0.3, 0.0, 0.5), "")
