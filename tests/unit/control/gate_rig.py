"""A gate with controllable clocks and inputs."""

from __future__ import annotations

from typing import Any

from mobile_vla.config import with_values
from mobile_vla.control import STILL, Command, ControllerConfig, Gate, Mode, Now, Velocity
from mobile_vla.control.envelope import axis_limits
from mobile_vla.control.limits import AxisLimits

START_ROS_NS = 1_700_000_000_000_000_000
START_STEADY_NS = 5_000_000_000
PERIOD_NS = 33_333_333
MS = 1_000_000


def stopping_time_s(speed: float, limits: AxisLimits, period_s: float) -> float:
    """Longest time from the decision to stop to exactly zero, from any slope the limits allow at `speed`."""
    rise_s = limits.accel / limits.jerk
    peak = min(speed + limits.accel**2 / (2 * limits.jerk), max(limits.forward, limits.reverse))
    return rise_s + peak / limits.decel + (limits.decel + limits.accel) / limits.jerk + 6 * period_s


STOP_S = stopping_time_s(0.5, axis_limits(ControllerConfig())[0], 1 / 30)
"""From full speed to rest."""


class Rig:
    """Drives one gate: `run` ticks for a while, sending what is switched on at every tick."""

    def __init__(self, **values: Any) -> None:
        self.config = with_values(
            ControllerConfig(), {name.replace("__", "."): value for name, value in values.items()}
        )
        self.gate = Gate(self.config)
        self.steady_ns = START_STEADY_NS
        self.ros_ns = START_ROS_NS
        self.latency_ns = 50 * MS
        self.action: Velocity | None = None
        self.stick: Velocity | None = None
        self.source = "joy"
        self.status: bool | None = True
        self.answers_resets = True
        self.commands: list[Command] = []

    @property
    def now(self) -> Now:
        return Now(self.steady_ns, self.ros_ns)

    @property
    def last(self) -> Command:
        return self.commands[-1]

    def pass_time(self, nanoseconds: int) -> None:
        self.steady_ns += nanoseconds
        self.ros_ns += nanoseconds

    def send_action(self, velocity: Velocity, age_ns: int | None = None, frame_id: str | None = None) -> None:
        stamp_ns = self.ros_ns - (self.latency_ns if age_ns is None else age_ns)
        self.gate.offer_action(stamp_ns, frame_id or self.config.action.space, velocity, self.now)

    def send_stick(self, velocity: Velocity, source: str | None = None, released: bool = False) -> None:
        self.gate.offer_teleop(source or self.source, self.ros_ns, velocity, self.now, released)

    def release(self) -> None:
        """The person gives control back on purpose."""
        self.stick = None
        self.pass_time(MS)
        self.send_stick(STILL, released=True)

    def tick(self, period_ns: int = PERIOD_NS) -> Command:
        self.pass_time(period_ns)
        if self.status is not None:
            self.gate.offer_policy_status(self.status, "running" if self.status else "probe failed", self.now)
        if self.action is not None:
            self.send_action(self.action)
        if self.stick is not None:
            self.send_stick(self.stick)
        command = self.gate.tick(self.now)
        if command.reset_policy and self.answers_resets:
            self.gate.policy_was_reset(command.reset_policy, self.now)
        self.commands.append(command)
        return command

    def run(self, seconds: float) -> list[Command]:
        return [self.tick() for _ in range(round(seconds * 1e9 / PERIOD_NS))]

    def until(self, mode: Mode, limit_s: float = 5.0) -> Command:
        for _ in range(round(limit_s * 1e9 / PERIOD_NS)):
            if self.tick().mode is mode:
                return self.last
        raise AssertionError(f"never {mode}, last {self.last}")

    def drive(self, forward: float = 1.0, turn: float = 0.0) -> Command:
        """Arm and let the policy drive until the command is steady."""
        self.action = Velocity(forward, 0.0, turn)
        self.run(0.3)
        outcome = self.gate.arm(self.now)
        assert outcome.ok, outcome.message
        self.until(Mode.AUTONOMY)
        self.run(3.0)
        return self.last


def speed(rig: Rig) -> float:
    """Of the last command, all axes together."""
    return abs(rig.last.linear_x) + abs(rig.last.linear_y) + abs(rig.last.angular_z)
