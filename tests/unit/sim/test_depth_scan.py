"""The rendered depth of a room as a scan, against rays through the same room."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mobile_vla.camera.calibration import pinhole_guess
from mobile_vla.camera.config import DepthScanConfig
from mobile_vla.camera.depth import DepthPicture, DepthScan, DepthView, Intrinsics
from mobile_vla_sim.scene import Pose
from mobile_vla_sim.sensors import RayFan
from mobile_vla_sim.world import World

LEAST_M, MOST_M, REACH_M = 0.05, 0.5, 3.0
TOLERANCE_M = 0.02
RAYS_IN_A_BEAM = 7


def scan_of(world: World) -> tuple[NDArray[np.float32], DepthView]:
    camera = world.config.camera
    calibration = pinhole_guess(camera.width_px, camera.height_px, camera.horizontal_fov_deg)
    depth = np.ascontiguousarray(world.render_depth())
    picture = DepthPicture(depth.tobytes(), *depth.shape, depth.strides[0], "32FC1")
    scan = DepthScan(
        DepthScanConfig(
            height_m=camera.mount_height_m,
            pitch_down_deg=camera.pitch_down_deg,
            least_height_m=LEAST_M,
            most_height_m=MOST_M,
            nearest_m=0.1,
            range_max_m=REACH_M,
            beams=90,
        )
    )
    ranges = scan.ranges(picture, Intrinsics(camera.width_px, camera.height_px, calibration.k))
    assert scan.view is not None
    return ranges, scan.view


def nearest_by_ray(world: World, angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest solid thing at any height of obstacles, per angle, from the floor below the lens."""
    pose, ahead_m = world.pose, world.config.camera.mount_forward_m
    lens = Pose(pose.x + ahead_m * math.cos(pose.yaw), pose.y + ahead_m * math.sin(pose.yaw), pose.yaw)
    nearest = np.full(len(angles), math.inf)
    for height_m in np.linspace(LEAST_M + 1e-3, MOST_M - 1e-3, 24):
        cast = RayFan(angles, float(height_m), 0.0, 20.0).cast(world._room, world._data, lens)
        nearest = np.minimum(nearest, np.where(cast < 0.0, math.inf, cast))
    return nearest


@pytest.mark.parametrize(
    ("scenario", "yaw"), [("clutter", 0.8), ("clutter", 0.2), ("corridor_person", 0.3), ("door", 0.0)]
)
def test_rendered_depth_and_rays_agree(world: Callable[..., World], scenario: str, yaw: float) -> None:
    with world(scenario=scenario, camera__width_px=320, camera__height_px=240) as one:
        one.place(one.pose._replace(yaw=yaw))
        ranges, view = scan_of(one)
        angles = view.angle_min_rad + view.angle_increment_rad * np.arange(len(ranges))
        offsets = np.linspace(-0.5, 0.5, RAYS_IN_A_BEAM) * view.angle_increment_rad
        every = nearest_by_ray(one, (angles[:, None] + offsets).reshape(-1)).reshape(-1, RAYS_IN_A_BEAM)
    # At an outline a beam may or may not meet the thing with one of its pixels: rays beside it say what is possible.
    beside = np.minimum(np.roll(every[:, -2], 1), np.roll(every[:, 1], -1))
    low = np.minimum(every.min(axis=1), beside) - TOLERANCE_M
    high = every[:, 1:-1].min(axis=1) + TOLERANCE_M
    assert np.abs(angles[view._short]).min() > 0.7  # only the sides of the tilted picture see no farther than the floor
    whole = ~view._short
    ranges, low, high = ranges[whole], low[whole], high[whole]
    measured, clear = np.isfinite(ranges), np.isposinf(ranges)
    assert (measured | clear).all()
    assert (ranges[measured] >= low[measured]).all()
    assert (ranges[measured] <= high[measured]).all()
    assert (high[clear] > REACH_M).all()
    assert np.count_nonzero(measured) >= 30
