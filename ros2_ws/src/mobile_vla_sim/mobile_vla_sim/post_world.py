"""A robot between posts, seen from above: the simulator's base, a lidar by ray casting, touches. No physics engine.

It offers what `Gated` and the drivers need of a world. One thread owns it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mobile_vla.control.config import RangeGuardConfig
from mobile_vla_sim.base import BodyVelocity, Drivetrain
from mobile_vla_sim.config import LidarConfig, SimulatorConfig
from mobile_vla_sim.posts import POST_RADIUS_M, PostLayout
from mobile_vla_sim.scene import Pose
from mobile_vla_sim.sensors import WheelOdometry, WheelOdometryReading, wrapped

Floats = npt.NDArray[np.float64]
_NEAR_M = 3.0


class PostLidar:
    """Scans as `sensors.Lidar` does, but among posts; the middle ray looks straight ahead."""

    def __init__(self, config: LidarConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        fov = math.radians(config.fov_deg)
        self.angle_min_rad = -fov / 2.0
        self.angle_increment_rad = fov / (config.rays if config.fov_deg >= 360.0 else config.rays - 1)
        self.angles_rad = self.angle_min_rad + self.angle_increment_rad * np.arange(config.rays, dtype=np.float64)

    def measure(self, posts: Floats, pose: Pose) -> npt.NDArray[np.float32]:
        """Distances with noise; inf where no post is."""
        config = self.config
        offset = posts - (pose.x, pose.y)
        offset = offset[np.hypot(offset[:, 0], offset[:, 1]) < config.max_m + POST_RADIUS_M]
        angles = self.angles_rad + pose.yaw
        cosine, sine = np.cos(angles), np.sin(angles)
        middle = np.stack([cosine, sine], axis=1) @ offset.T
        across = np.stack([-sine, cosine], axis=1) @ offset.T
        half_chord = POST_RADIUS_M**2 - across * across
        met = (half_chord >= 0.0) & (middle > 0.0)
        distance = np.full(len(angles), np.inf)
        beams, which = np.nonzero(met)
        np.minimum.at(distance, beams, middle[beams, which] - np.sqrt(half_chord[beams, which]))
        noise = self._rng.normal(0.0, config.noise_std_m, len(distance))
        distance[(distance < config.min_m) | (distance > config.max_m)] = np.inf
        return np.clip(distance + noise, 0.0, None).astype(np.float32)


class PostWorld:
    """One robot in one layout. The body is the footprint that the range guard is told of."""

    def __init__(self, config: SimulatorConfig, footprint: RangeGuardConfig, layout: PostLayout) -> None:
        self.config = config
        self.layout = layout
        self.seed = layout.seed
        self.pose = layout.start
        self._footprint = footprint
        self._posts = layout.posts
        motion, ranging, odometry = (np.random.default_rng((layout.seed, stream)) for stream in range(23, 26))
        self._drive = Drivetrain(config.base, motion)
        self.lidar = PostLidar(config.lidar, ranging)
        self._odometry = WheelOdometry(config.odometry, odometry)
        self._steps = 0
        self._spare_m = 0.0
        self._corner_m = math.hypot(max(footprint.front_m, footprint.rear_m), footprint.half_width_m)
        self._near_from: Pose | None = None
        self._newest: npt.NDArray[np.float32] | None = None
        self.path_m = 0.0
        self.turned_rad = 0.0
        self.least_gap_m = math.inf
        self.touched_s: float | None = None

    @property
    def time_s(self) -> float:
        return self._steps * self.config.physics_step_s

    @property
    def time_ns(self) -> int:
        return self._steps * round(self.config.physics_step_s * 1e9)

    def command(self, linear_mps: float, angular_radps: float, lateral_mps: float = 0.0) -> None:
        """A velocity for the base, as from `cmd_vel`."""
        self._drive.command(self.time_s, BodyVelocity(linear_mps, angular_radps, lateral_mps))

    def advance(self, seconds: float) -> None:
        """Let simulated time pass, rounded to whole steps."""
        for _ in range(round(seconds / self.config.physics_step_s)):
            self._step()

    def scan(self) -> npt.NDArray[np.float32]:
        """A scan from the middle of the robot, now."""
        self._newest = self.lidar.measure(self._posts, self.pose)
        return self._newest

    @property
    def nearest_bearing_rad(self) -> float:
        """Where the newest scan's shortest distance is; straight ahead without any."""
        if self._newest is None or not np.isfinite(self._newest).any():
            return 0.0
        return float(self.lidar.angles_rad[int(np.argmin(self._newest))])

    def odometry(self) -> WheelOdometryReading:
        return self._odometry.read()

    def _step(self) -> None:
        dt = self.config.physics_step_s
        velocity = self._drive.step(self.time_s, dt)
        yaw = self.pose.yaw + velocity.angular_radps * dt / 2.0
        cosine, sine = math.cos(yaw), math.sin(yaw)
        self.pose = Pose(
            self.pose.x + (velocity.linear_mps * cosine - velocity.lateral_mps * sine) * dt,
            self.pose.y + (velocity.linear_mps * sine + velocity.lateral_mps * cosine) * dt,
            wrapped(self.pose.yaw + velocity.angular_radps * dt),
        )
        self._odometry.step(self._drive.wheels, dt)
        self._steps += 1
        self.path_m += math.hypot(velocity.linear_mps, velocity.lateral_mps) * dt
        self.turned_rad += abs(velocity.angular_radps) * dt
        self._watch_gap((math.hypot(velocity.linear_mps, velocity.lateral_mps), abs(velocity.angular_radps)), dt)

    def _watch_gap(self, speeds: tuple[float, float], dt: float) -> None:
        """Measure the gap when it can have become smaller than the least so far."""
        self._spare_m -= (speeds[0] + speeds[1] * self._corner_m) * dt
        if self._spare_m > 0.0:
            return
        gap = self._gap_m()
        self._spare_m = gap - min(self.least_gap_m, gap)
        self.least_gap_m = min(self.least_gap_m, gap)
        if gap <= 0.0 and self.touched_s is None:
            self.touched_s = self.time_s

    def _gap_m(self) -> float:
        """From the body's edge to the nearest post's; negative when they overlap."""
        posts = self._nearby() - (self.pose.x, self.pose.y)
        if not len(posts):
            return math.inf
        cosine, sine = math.cos(self.pose.yaw), math.sin(self.pose.yaw)
        x = posts[:, 0] * cosine + posts[:, 1] * sine
        y = posts[:, 1] * cosine - posts[:, 0] * sine
        body = self._footprint
        if body.round:
            distance = np.hypot(x - (body.front_m - body.rear_m) / 2.0, y) - body.half_width_m
        else:
            beyond_x = np.maximum(np.maximum(x - body.front_m, -body.rear_m - x), 0.0)
            beyond_y = np.maximum(np.abs(y) - body.half_width_m, 0.0)
            distance = np.hypot(beyond_x, beyond_y)
        return float(distance.min()) - POST_RADIUS_M

    def _nearby(self) -> Floats:
        """Posts that could be met soon; looked up anew after some way."""
        before = self._near_from
        if before is None or math.hypot(self.pose.x - before.x, self.pose.y - before.y) > 0.5:
            self._near_from = self.pose
            offset = self._posts - (self.pose.x, self.pose.y)
            self._near = self._posts[np.hypot(offset[:, 0], offset[:, 1]) < _NEAR_M]
        return self._near
