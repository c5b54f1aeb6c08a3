"""Scans of several scanners on one topic, and what a scanner of one can change."""

from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, ScanGeometry
from mobile_vla.control.clock import Rejected
from mobile_vla.control.range_guard import RangeGuard

MS = 1_000_000
ROS = 1_000_000 * MS
DEG = math.radians(1)
FRONT = ScanGeometry(-math.pi / 2, DEG, 0.1, 10.0)
REAR = FRONT._replace(angle_min_rad=math.pi / 2)


def guard() -> RangeGuard:
    return RangeGuard(with_values(ControllerConfig(), {"range_guard.use_scan": True}))


def offer(
    unit: RangeGuard, at_ms: int, geometry: ScanGeometry = FRONT, frame_id: str = "laser", count: int = 181
) -> str:
    """The code under which the scan is refused; empty when it is used."""
    try:
        now = Now(77 * MS + at_ms * MS, ROS + at_ms * MS)
        unit.offer_scan(now.ros_ns, [9.0] * count, geometry, now, frame_id)
    except Rejected as error:
        return error.code
    return ""


OTHERS = [
    (REAR, "laser", 181),
    (FRONT, "laser_rear", 181),
    (FRONT, "laser", 120),
    (FRONT._replace(angle_increment_rad=2 * DEG), "laser", 91),
    (FRONT._replace(range_max_m=12.0), "laser", 181),
    (FRONT._replace(range_min_m=0.2), "laser", 181),
]


@pytest.mark.parametrize(("geometry", "frame_id", "count"), OTHERS)
def test_scans_of_two_scanners_in_turn_are_no_range_source(geometry: ScanGeometry, frame_id: str, count: int) -> None:
    unit = guard()
    assert offer(unit, 0) == ""
    for at_ms in range(50, 2000, 100):
        assert offer(unit, at_ms, geometry, frame_id, count) == "scan.changing"
        assert offer(unit, at_ms + 50) == "scan.changing"
    dead = unit.timeout_detail(77 * MS + 2000 * MS)
    assert dead.startswith("scan (scans are refused: the scan's angles, ranges or frame changed from ")
    assert "merge several into one scan" in dead


@pytest.mark.parametrize(("geometry", "frame_id", "count"), OTHERS)
def test_one_change_is_accepted_after_a_second(geometry: ScanGeometry, frame_id: str, count: int) -> None:
    unit = guard()
    offer(unit, 0)
    assert [offer(unit, at_ms, geometry, frame_id, count) for at_ms in (100, 600, 1099)] == ["scan.changing"] * 3
    assert unit.timed_out(77 * MS + 1099 * MS) == "scan"
    assert offer(unit, 1100, geometry, frame_id, count) == ""
    assert unit.timeout_detail(77 * MS + 1100 * MS) == ""


def test_a_scanner_whose_turns_differ_by_a_few_beams_is_one_scanner() -> None:
    unit = guard()
    for index, count in enumerate((450, 452, 447, 455, 449)):
        turn = ScanGeometry(-math.pi + index % 2 * DEG, math.tau / count, 0.1, 10.0)
        assert offer(unit, index * 100, turn, "laser", count) == ""


def test_a_malformed_scan_between_good_ones_is_no_change() -> None:
    unit = guard()
    assert offer(unit, 0) == ""
    assert offer(unit, 100, FRONT._replace(angle_increment_rad=math.nan)) == "scan.invalid"
    assert offer(unit, 200, count=0) == "scan.invalid"
    assert offer(unit, 300) == ""
