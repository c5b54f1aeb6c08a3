"""The safety gate between a driver and the base, in simulated time: the controller without its node."""

from __future__ import annotations

from typing import Any, Protocol

from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.control import ControllerConfig, Gate, Now, ScanGeometry, Velocity
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import Action
from mobile_vla_sim.pacing import NS, SensorSchedule
from mobile_vla_sim.sensors import WheelOdometryReading

# The gate compares stamps and refuses time zero.
_EPOCH_NS = 1000 * NS


class Drivable(Protocol):
    """A world that a gate can drive in."""

    config: SimulatorConfig

    @property
    def lidar(self) -> Any: ...

    @property
    def time_s(self) -> float: ...

    @property
    def time_ns(self) -> int: ...

    def command(self, linear_mps: float, angular_radps: float, lateral_mps: float = 0.0) -> None: ...

    def advance(self, seconds: float) -> None: ...

    def scan(self) -> Any: ...

    def odometry(self) -> WheelOdometryReading: ...


class Gated:
    """Ticks the gate at its rate, feeds it actions, scans and odometry as the graph does, and sends what it says.

    An episode begins with the gate armed and its hand-over over; images are as old as `image_age_s` says, also those
    that came before the arming. As on a robot, a policy slower than any action may be old cannot be armed.
    """

    def __init__(self, config: ControllerConfig, image_age_s: float = 0.0) -> None:
        self._config = config
        self._space = ACTION_SPACES[config.action.space]
        self._image_age_ns = round(image_age_s * NS)
        self.reasons: dict[str, int] = {}

    def begin(self, world: Drivable) -> None:
        self._gate = Gate(self._config)
        lidar = world.lidar
        self._geometry = ScanGeometry(
            lidar.angle_min_rad, lidar.angle_increment_rad, lidar.config.min_m, lidar.config.max_m
        )
        self._scans, self._odometry = (
            SensorSchedule(lidar.config.rate_hz),
            SensorSchedule(world.config.odometry.rate_hz),
        )
        self._next_tick_s = 0.0
        now = self._now(world)
        self._feed(world, now)
        self._gate.offer_policy_status(True, "simulated", now)
        before_ns = now.ros_ns - self._image_age_ns - 1
        self._gate.offer_action(before_ns, self._config.action.space, Velocity(0.0, 0.0, 0.0), now)
        outcome = self._gate.arm(now)
        if not outcome.ok and self._image_age_ns < self._config.staleness.action_max_s * NS:
            raise RuntimeError(f"the gate refuses to be armed in simulation: {outcome}")

    def drive(self, world: Drivable, action: Action | None, seconds: float) -> None:
        end_s = world.time_s + seconds
        now = self._now(world)
        self._gate.offer_policy_status(True, "simulated", now)
        if action is not None:
            stamp_ns = now.ros_ns - self._image_age_ns
            self._gate.offer_action(stamp_ns, self._space.name, self._space.to_twist(action), now)
        while world.time_s < end_s - 1e-9:
            now = self._now(world)
            self._feed(world, now)
            command = self._gate.tick(now)
            self.reasons[command.reason] = self.reasons.get(command.reason, 0) + 1
            if command.reset_policy:
                self._gate.policy_was_reset(command.reset_policy, now)
            world.command(command.linear_x, command.angular_z, command.linear_y)
            self._next_tick_s += self._config.period_s
            world.advance(max(min(self._next_tick_s, end_s) - world.time_s, world.config.physics_step_s))

    def _feed(self, world: Drivable, now: Now) -> None:
        if self._scans.due(world.time_ns):
            self._gate.offer_scan(now.ros_ns, world.scan().tolist(), self._geometry, now)
        if self._odometry.due(world.time_ns):
            velocity = world.odometry().velocity
            self._gate.offer_odometry(now.ros_ns, velocity.linear_mps, velocity.angular_radps, now)

    @staticmethod
    def _now(world: Drivable) -> Now:
        return Now(steady_ns=_EPOCH_NS + world.time_ns, ros_ns=_EPOCH_NS + world.time_ns)
