"""Distances against geometry worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from mobile_vla.config import ConfigError, with_values
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.scene import Pose
from mobile_vla_sim.sensors import wrapped
from mobile_vla_sim.world import World

Make = Callable[..., World]
Drive = Callable[..., None]


def test_lidar_reads_the_distance_to_walls_of_an_empty_room(world: Make) -> None:
    one = world()
    angles, ranges = one.lidar.angles_rad, one.scan()
    x, y, _ = one.pose
    half_x, half_y, ball_rad = 4.0, 3.0, math.asin(0.14 / 6.0)
    for angle, measured in zip(angles, ranges, strict=True):
        if abs(angle) <= ball_rad + 0.01:
            continue
        cos, sin = math.cos(angle), math.sin(angle)
        to_x = ((half_x if cos > 0 else -half_x) - x) / cos if abs(cos) > 1e-9 else math.inf
        to_y = ((half_y if sin > 0 else -half_y) - y) / sin if abs(sin) > 1e-9 else math.inf
        assert measured == pytest.approx(min(to_x, to_y), abs=1e-4)


def test_lidar_reads_a_ball_at_its_height(world: Make) -> None:
    one = world()
    ahead = one.scan()[len(one.lidar.angles_rad) // 2]
    # The beam is 0.10 m above the floor, the ball's middle 0.14 m: a chord just below the equator.
    assert ahead == pytest.approx(6.0 - math.sqrt(0.14**2 - 0.04**2), abs=1e-4)


def test_lidar_turns_with_the_robot(world: Make, drive: Drive) -> None:
    one = world()
    drive(one, 3.0, 0.0, 0.6)
    yaw = one.pose.yaw
    assert yaw > 1.0
    index = int(np.argmin(np.abs([wrapped(angle + yaw - math.pi) for angle in one.lidar.angles_rad])))
    bearing = one.lidar.angles_rad[index] + yaw
    assert one.scan()[index] == pytest.approx((one.pose.x + 4.0) / -math.cos(bearing), abs=1e-3)


def test_lidar_reads_inf_beyond_its_range_and_noise_is_bounded_by_it(world: Make) -> None:
    one = world(lidar__max_m=2.0, lidar__noise_std_m=0.05)
    ranges = one.scan()
    assert np.isinf(ranges[len(ranges) // 2])
    finite = ranges[np.isfinite(ranges)]
    assert len(finite)
    assert finite.max() <= 2.0


def test_range_reads_from_the_front_of_the_robot(world: Make) -> None:
    one = world(range__max_m=10.0)
    assert one.range() == pytest.approx(6.0 - 0.18 - math.sqrt(0.14**2 - 0.06**2), abs=0.01)


def test_range_ignores_what_is_outside_its_cone(world: Make) -> None:
    one = world(range__max_m=4.0)
    assert one.range() == math.inf


def test_odometry_starts_at_zero_wherever_the_robot_starts(world: Make) -> None:
    assert world().odometry().pose == Pose(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("angle", "expected"), [(0.0, 0.0), (math.pi, -math.pi), (-3 * math.pi / 2, math.pi / 2), (7.0, 7.0 - 2 * math.pi)]
)
def test_wrapped_keeps_the_direction(angle: float, expected: float) -> None:
    assert wrapped(angle) == pytest.approx(expected)


@pytest.mark.parametrize("sensor", ["lidar", "range"])
def test_a_sensor_whose_shortest_distance_is_its_longest_is_refused(sensor: str) -> None:
    with pytest.raises(ConfigError, match=f"{sensor}.min_m must be below max_m"):
        with_values(SimulatorConfig(), {f"{sensor}.min_m": 0.5, f"{sensor}.max_m": 0.5})
