"""How far the guard looks, and where its inputs begin and end."""

from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, ScanGeometry, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.range_guard import RangeGuard
from mobile_vla.control.scan_sides import MAX_BEAMS

MS = 1_000_000
NOW = Now(77 * MS, 1_000_000 * MS)
SLOW = {
    "base.kind": "omni",
    "limits.linear.velocity_mps": 0.3,
    "limits.linear.reverse_mps": 0.3,
    "limits.lateral.velocity_mps": 0.3,
    "limits.lateral.reverse_mps": 0.3,
    "range_guard.use_scan": True,
    "range_guard.slow_ttc_s": 1.5,
}


def guard(**values: object) -> RangeGuard:
    changes = {key.replace("__", "."): value for key, value in values.items()}
    return RangeGuard(with_values(ControllerConfig(), {**SLOW, **changes}))


def beam(
    unit: RangeGuard, angle_rad: float, distance_m: float, nearest_m: float = 0.1, farthest_m: float = 30.0
) -> None:
    """One reading in a circle of beams so close that nothing hides between them within reach."""
    around = ScanGeometry(angle_rad, math.tau / 2880, nearest_m, farthest_m)
    unit.offer_scan(NOW.ros_ns, [distance_m, *[math.inf] * 2879], around, NOW)


# The scanner looks across the robot: 1.5 m to the origin, 0.9 m to the far edge, 0.2 m of stop zone, and 3.0 m that
# 2 m/s need in 1.5 s. What is 0.03 m nearer than their sum allows 2.97 / 1.5 m/s.
@pytest.mark.parametrize(
    ("speed", "edge", "mount", "angle_rad", "way"),
    [
        ("linear__velocity_mps", "front_m", ("scan_x_m", -1.5), 0.0, (1, 0)),
        ("linear__reverse_mps", "rear_m", ("scan_x_m", 1.5), math.pi, (-1, 0)),
        ("lateral__velocity_mps", "half_width_m", ("scan_y_m", -1.5), math.pi / 2, (0, 1)),
        ("lateral__reverse_mps", "half_width_m", ("scan_y_m", 1.5), -math.pi / 2, (0, -1)),
    ],
)
def test_it_looks_as_far_as_the_fastest_speed_of_any_side_needs(
    speed: str, edge: str, mount: tuple[str, float], angle_rad: float, way: tuple[int, int]
) -> None:
    place, offset_m = mount
    unit = guard(**{f"limits__{speed}": 2.0, f"range_guard__{edge}": 0.9, f"range_guard__{place}": offset_m})
    beam(unit, angle_rad, 1.5 + 0.9 + 0.2 + 3.0 - 0.03)
    velocity, reason = unit.limit(Velocity(2.0 * way[0], 2.0 * way[1], 0.0))
    assert velocity[:2] == pytest.approx((1.98 * way[0], 1.98 * way[1]))
    assert reason == "range_slow"


def test_a_scanner_may_measure_from_zero_on() -> None:
    unit = guard()
    beam(unit, 0.0, 0.5, nearest_m=0.0)
    assert unit.clearance.front == pytest.approx(0.3)


def test_a_scanner_that_measures_one_distance_only_is_refused() -> None:
    with pytest.raises(Rejected, match="the driver must fill all fields"):
        beam(guard(), 0.0, 0.5, nearest_m=0.5, farthest_m=0.5)


def test_the_largest_scan_is_taken() -> None:
    unit = guard()
    unit.offer_scan(NOW.ros_ns, [9.0] * MAX_BEAMS, ScanGeometry(0.0, 2 * math.pi / MAX_BEAMS, 0.1, 30.0), NOW)
    assert unit.timed_out(NOW.steady_ns) == ""


def test_old_messages_are_counted_under_their_own_source() -> None:
    unit = guard(range_guard__use_range=True)
    old_ns = NOW.ros_ns - 501 * MS
    with pytest.raises(Rejected, match=r"scan is 0\.501 s old on arrival, allowed 0\.5 s") as scan:
        unit.offer_scan(old_ns, [1.0], ScanGeometry(0.0, 0.1, 0.1, 30.0), NOW)
    with pytest.raises(Rejected, match=r"range is 0\.501 s old on arrival, allowed 0\.5 s") as single:
        unit.offer_range(old_ns, 1.0, 0.05, 4.0, NOW)
    assert (scan.value.code, single.value.code) == ("scan.too_old", "range.too_old")
