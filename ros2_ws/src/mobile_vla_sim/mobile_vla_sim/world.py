"""One simulated robot in one room, in simulated time. Nothing here knows ROS or a wall clock.

One thread owns a world. The same configuration, seed and calls give the same numbers and the same pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import mujoco
import numpy as np
import numpy.typing as npt

from mobile_vla_sim import model as room_model
from mobile_vla_sim.base import BodyVelocity, Drivetrain
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.imaging import ImageDegradation
from mobile_vla_sim.rendering import Image, Renderer
from mobile_vla_sim.scenario import scene_for
from mobile_vla_sim.scene import Pose, Scene
from mobile_vla_sim.sensors import Lidar, RangeFinder, Ranges, RayFan, WheelOdometry, WheelOdometryReading, wrapped


class Contact(NamedTuple):
    """The first touch of an episode."""

    time_s: float
    what: str


class World:
    """Physics, sensors and pictures of one robot. `reset` makes a new room; `close` gives the renderer back."""

    def __init__(self, config: SimulatorConfig, seed: int | None = None) -> None:
        self.config = config
        self._renderer: Renderer | None = None
        self.reset(config.seed if seed is None else seed)

    def reset(self, seed: int, scene: Scene | None = None) -> None:
        """Start over in the room of `seed` (or in `scene`), standing still at its start."""
        self.seed = seed
        self.scene = scene if scene is not None else scene_for(self.config, seed)
        self._room = room_model.build(self.scene, self.config)
        self._data = mujoco.MjData(self._room.model)
        self._data.qpos[:3] = self.scene.start
        motion, ranging, odometry, imaging = (np.random.default_rng((seed, stream)) for stream in range(1, 5))
        self._drive = Drivetrain(self.config.base, motion)
        self.lidar = Lidar(self.config.lidar, ranging)
        self.range_finder = RangeFinder(self.config.range, self.config.base.radius_m, ranging)
        self._odometry = WheelOdometry(self.config.odometry, odometry)
        self._sensor = ImageDegradation(imaging)
        self._walked_m = [0.0] * len(self.scene.walkers)
        self._walking = [False] * len(self.scene.walkers)
        self._steps = 0
        self.path_m = 0.0
        self.contact: Contact | None = None
        mujoco.mj_forward(self._room.model, self._data)

    def reconfigure(self, config: SimulatorConfig) -> None:
        """Take over changed noise, delays and limits without a new episode; everything else waits for `reset`."""
        self.config = config
        self._drive.config = config.base
        self.lidar.config = config.lidar
        self.range_finder.config = config.range
        self._odometry.config = config.odometry

    # -- driving -------------------------------------------------------------------------------------------------

    def command(self, linear_mps: float, angular_radps: float, lateral_mps: float = 0.0) -> None:
        """Give the base a velocity in its own frame; it acts after the configured delay and stops when none follows."""
        self._drive.command(self.time_s, BodyVelocity(linear_mps, angular_radps, lateral_mps))

    def advance(self, seconds: float) -> None:
        """Let simulated time pass, rounded to whole physics steps."""
        for _ in range(round(seconds / self.config.physics_step_s)):
            self._step()

    def _step(self) -> None:
        dt = self.config.physics_step_s
        data = self._data
        velocity = self._drive.step(self.time_s, dt)
        yaw = data.qpos[2]
        cos, sin = math.cos(yaw), math.sin(yaw)
        data.ctrl[0] = velocity.linear_mps * cos - velocity.lateral_mps * sin
        data.ctrl[1] = velocity.linear_mps * sin + velocity.lateral_mps * cos
        data.ctrl[2] = velocity.angular_radps
        self._move_walkers(dt)
        before_x, before_y = data.qpos[0], data.qpos[1]
        mujoco.mj_step(self._room.model, data)
        self._steps += 1
        self.path_m += math.hypot(data.qpos[0] - before_x, data.qpos[1] - before_y)
        self._odometry.step(self._drive.wheels, dt)
        if self.contact is None and data.ncon:
            self._note_contact()

    def _note_contact(self) -> None:
        for contact in self._data.contact:
            pair = {int(contact.geom1), int(contact.geom2)}
            others = pair - self._room.robot_geoms
            if len(others) == 1 and contact.dist <= 0.0:
                self.contact = Contact(self.time_s, self._room.geom_names[others.pop()])
                return

    def _move_walkers(self, dt_s: float) -> None:
        for index, walker in enumerate(self.scene.walkers):
            x, y = walker.position(self._walked_m[index])
            if not self._walking[index]:
                near = walker.within_m <= 0.0 or math.dist((x, y), self._data.qpos[:2]) <= walker.within_m
                self._walking[index] = near and self.time_s >= walker.after_s
            if self._walking[index]:
                self._walked_m[index] = min(self._walked_m[index] + walker.speed_mps * dt_s, walker.length_m)
                x, y = walker.position(self._walked_m[index])
                self._data.mocap_pos[self._room.walker_mocap[index]] = (x, y, 0.0)

    def place(self, pose: Pose) -> None:
        """Put the robot somewhere else, standing still. For pictures, not for driving."""
        self._data.qpos[:3] = pose
        self._data.qvel[:] = 0.0
        mujoco.mj_forward(self._room.model, self._data)

    # -- truth ---------------------------------------------------------------------------------------------------

    @property
    def time_s(self) -> float:
        """Simulated time since the reset."""
        return self._steps * self.config.physics_step_s

    @property
    def time_ns(self) -> int:
        return self._steps * round(self.config.physics_step_s * 1e9)

    @property
    def pose(self) -> Pose:
        """Where the robot really is."""
        x, y, yaw = (float(value) for value in self._data.qpos[:3])
        return Pose(x, y, wrapped(yaw))

    @property
    def velocity(self) -> BodyVelocity:
        """How the robot really moves, in its own frame."""
        vx, vy, angular = (float(value) for value in self._data.qvel[:3])
        yaw = self._data.qpos[2]
        cos, sin = math.cos(yaw), math.sin(yaw)
        return BodyVelocity(vx * cos + vy * sin, angular, vy * cos - vx * sin)

    @property
    def collided(self) -> bool:
        """Whether the robot has touched anything since the reset."""
        return self.contact is not None

    @property
    def stopped_by_watchdog(self) -> bool:
        return self._drive.watchdog_stopped

    @property
    def geom_names(self) -> tuple[str, ...]:
        """What each geom is: `red ball 0` (with the thing's index), `crate 1`, `wall east`, `floor`."""
        return self._room.geom_names

    def cast(self, beams: RayFan) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Distances (-1: nothing) and geoms that some beams meet from the robot's middle, without noise."""
        return beams.cast(self._room, self._data, self.pose), beams.hits

    @property
    def walker_positions(self) -> list[tuple[float, float]]:
        return [walker.position(walked) for walker, walked in zip(self.scene.walkers, self._walked_m, strict=True)]

    def distance_to(self, thing: int) -> float:
        """Metres from the middle of the robot to the middle of a thing."""
        pose, target = self.pose, self.scene.things[thing]
        return math.hypot(target.x - pose.x, target.y - pose.y)

    # -- sensors -------------------------------------------------------------------------------------------------

    def scan(self) -> Ranges:
        """One lidar scan, `lidar.angles_rad` apart."""
        return self.lidar.measure(self._room, self._data, self.pose)

    def range(self) -> float:
        """The forward distance sensor, inf when nothing is in its cone."""
        return self.range_finder.measure(self._room, self._data, self.pose)

    def odometry(self) -> WheelOdometryReading:
        """What the wheels say about pose and speed since the reset."""
        return self._odometry.read()

    def render(self) -> Image:
        """What the camera sees now, HxWx3 RGB, with the configured noise, blur and brightness."""
        return self._sensor.expose(self._drawn().rgb(self._data, room_model.CAMERA), self.config.camera)

    def render_depth(self) -> npt.NDArray[np.float32]:
        """Metres along the optical axis for every camera pixel."""
        return self._drawn().depth(self._data, room_model.CAMERA)

    def render_geoms(self, width_px: int, height_px: int) -> npt.NDArray[np.int32]:
        """Which geom (`geom_names`) the camera sees in every pixel, -1 where none."""
        return self._drawn().geoms(self._data, room_model.CAMERA, width_px, height_px)

    def render_overview(self, width_px: int = 480, height_px: int = 480) -> Image:
        """The room from above, at most 640x480 or the camera's size: for people, not for the policy."""
        return self._drawn().rgb(self._data, room_model.OVERVIEW, width_px, height_px)

    @property
    def gl_backend(self) -> str:
        return self._drawn().backend

    def close(self) -> None:
        """Give the OpenGL context back; call it before the process ends."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def __enter__(self) -> World:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _drawn(self) -> Renderer:
        if self._renderer is None:
            camera = self.config.camera
            self._renderer = Renderer(self.config.gl, camera.width_px, camera.height_px)
        self._renderer.use(self._room.model)
        return self._renderer
