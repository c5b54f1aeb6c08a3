"""Distance sensors and wheel odometry. Ranges are metres from the sensor, inf where nothing is hit."""

from __future__ import annotations

import math
from typing import NamedTuple

import mujoco
import numpy as np
import numpy.typing as npt

from mobile_vla_sim.base import BodyVelocity
from mobile_vla_sim.config import LidarConfig, OdometryConfig, RangeConfig
from mobile_vla_sim.model import GROUP_SOLID, RoomModel
from mobile_vla_sim.scene import Pose

Ranges = npt.NDArray[np.float32]
_GROUPS = np.array([group == GROUP_SOLID for group in range(6)], dtype=np.uint8)


class RayFan:
    """Rays from one point of the robot, at fixed angles to its heading."""

    def __init__(self, angles_rad: npt.NDArray[np.float64], height_m: float, min_m: float, max_m: float) -> None:
        self.angles_rad = angles_rad
        self._height_m = height_m
        self._min_m, self._max_m = min_m, max_m
        self._geoms = np.zeros(len(angles_rad), np.int32)
        self._distances = np.zeros(len(angles_rad), np.float64)
        self._directions = np.zeros((len(angles_rad), 3), np.float64)

    @property
    def hits(self) -> npt.NDArray[np.int32]:
        """Which geom each ray of the last cast met; -1 for none, whatever its distance."""
        return self._geoms

    def cast(self, room: RoomModel, data: mujoco.MjData, pose: Pose) -> npt.NDArray[np.float64]:
        """Distances along every ray, -1 where it leaves the measuring range. The array is reused by the next call."""
        angles = self.angles_rad + pose.yaw
        np.cos(angles, out=self._directions[:, 0])
        np.sin(angles, out=self._directions[:, 1])
        mujoco.mj_multiRay(
            m=room.model,
            d=data,
            pnt=np.array([pose.x, pose.y, self._height_m]),
            vec=self._directions.reshape(-1),
            geomgroup=_GROUPS,
            flg_static=1,
            bodyexclude=room.robot_body,
            geomid=self._geoms,
            dist=self._distances,
            normal=None,
            nray=len(angles),
            cutoff=self._max_m,
        )
        self._distances[(self._distances < self._min_m) | (self._distances > self._max_m)] = -1.0
        return self._distances


def _noisy(distances: npt.NDArray[np.float64], std_m: float, max_m: float, rng: np.random.Generator) -> Ranges:
    hit = distances >= 0.0
    noise = rng.normal(0.0, std_m, len(distances)) if std_m > 0.0 else 0.0
    measured = np.where(hit, np.clip(distances + noise, 0.0, max_m), np.inf)
    return measured.astype(np.float32)


class Lidar:
    """Scans counter-clockwise; the middle ray looks straight ahead."""

    def __init__(self, config: LidarConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        whole = config.fov_deg >= 360.0
        fov = math.radians(config.fov_deg)
        self.angle_min_rad = -fov / 2.0
        self.angle_increment_rad = fov / (config.rays if whole else config.rays - 1)
        angles = self.angle_min_rad + self.angle_increment_rad * np.arange(config.rays, dtype=np.float64)
        self._beams = RayFan(angles, config.mount_height_m, config.min_m, config.max_m)

    @property
    def angles_rad(self) -> npt.NDArray[np.float64]:
        return self._beams.angles_rad

    def measure(self, room: RoomModel, data: mujoco.MjData, pose: Pose) -> Ranges:
        return _noisy(self._beams.cast(room, data, pose), self.config.noise_std_m, self.config.max_m, self._rng)


class RangeFinder:
    """The nearest thing within a forward cone."""

    _RAYS = 9

    def __init__(self, config: RangeConfig, front_m: float, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._front_m = front_m
        half = math.radians(config.fov_deg) / 2.0
        angles = half * np.linspace(-1.0, 1.0, self._RAYS)
        self._beams = RayFan(angles, config.mount_height_m, 0.0, config.max_m)

    def measure(self, room: RoomModel, data: mujoco.MjData, pose: Pose) -> float:
        front = Pose(pose.x + self._front_m * math.cos(pose.yaw), pose.y + self._front_m * math.sin(pose.yaw), pose.yaw)
        distances = self._beams.cast(room, data, front)
        hits = distances[distances >= 0.0]
        if not len(hits):
            return math.inf
        nearest = float(hits.min()) + self.config.noise_std_m * float(self._rng.standard_normal())
        return max(self.config.min_m, nearest)


class WheelOdometryReading(NamedTuple):
    """Where the wheels say the robot is, from its start, and how fast."""

    pose: Pose
    velocity: BodyVelocity


class WheelOdometry:
    """Adds up what the wheels did. It starts at zero and drifts as real odometry does."""

    def __init__(self, config: OdometryConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._pose = Pose(0.0, 0.0, 0.0)
        self._velocity = BodyVelocity(0.0, 0.0, 0.0)

    def step(self, wheels: BodyVelocity, dt_s: float) -> None:
        config = self.config
        first, second, third = self._rng.standard_normal(3).tolist()
        linear = wheels.linear_mps * (1.0 + config.linear_noise_std * first)
        angular = wheels.angular_radps * (1.0 + config.angular_noise_std * second)
        lateral = wheels.lateral_mps * (1.0 + config.linear_noise_std * third)
        middle = self._pose.yaw + angular * dt_s / 2.0
        self._pose = Pose(
            self._pose.x + (linear * math.cos(middle) - lateral * math.sin(middle)) * dt_s,
            self._pose.y + (linear * math.sin(middle) + lateral * math.cos(middle)) * dt_s,
            wrapped(self._pose.yaw + angular * dt_s),
        )
        self._velocity = BodyVelocity(linear, angular, lateral)

    def read(self) -> WheelOdometryReading:
        return WheelOdometryReading(self._pose, self._velocity)


def wrapped(angle_rad: float) -> float:
    """The same direction within [-pi, pi)."""
    return (angle_rad + math.pi) % (2.0 * math.pi) - math.pi
