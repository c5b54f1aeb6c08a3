"""The limiters of all axes together, under the nominal or the hand-over set."""

from __future__ import annotations

from mobile_vla.config.action_space import Velocity
from mobile_vla.control.clock import to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.decode import output_turn
from mobile_vla.control.limits import AxisLimiter, AxisLimits


def axis_limits(config: ControllerConfig) -> tuple[AxisLimits, AxisLimits, AxisLimits]:
    """Nominal limits of the forward, left and turning axis; on an Ackermann base the last is the steering angle."""
    limits = config.limits
    turning = limits.steering.axis if config.base.steers else limits.turn.axis
    return limits.linear.axis, limits.lateral.axis, turning


def output_limits(config: ControllerConfig) -> tuple[AxisLimits, AxisLimits, AxisLimits]:
    """Nominal limits of what is published: linear.x, linear.y and angular.z, whatever angular.z means to the base."""
    forward, left, turn = axis_limits(config)
    return forward, left, config.limits.turn.axis if config.base.turns_by_steering else turn


def handover_limits(config: ControllerConfig) -> tuple[AxisLimits, AxisLimits, AxisLimits]:
    """The tighter set of the same axes. Of a steering angle only the rates are tightened: the path needs the angle."""
    shares = config.limits.handover
    rates = (shares.accel_share, shares.decel_share, shares.jerk_share)
    forward, left, turn = axis_limits(config)
    angle = 1.0 if config.base.steers else shares.velocity_share
    return (
        forward.scaled(shares.velocity_share, *rates),
        left.scaled(shares.velocity_share, *rates),
        turn.scaled(angle, *rates),
    )


class Envelope:
    """The last output on every axis, and the only way to change it.

    The yaw rate that a steering angle gives at a speed has a limiter of its own: within the limits of both, their
    product can still change faster than a turn may.
    """

    def __init__(self, config: ControllerConfig) -> None:
        self._axes = tuple(AxisLimiter(limits) for limits in axis_limits(config))
        self._yaw = AxisLimiter(config.limits.turn.axis)
        self._last_ns: int | None = None
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new limits; a motion that does not fit them is brought down to them first."""
        self._base = config.base
        self._by_steering = config.base.turns_by_steering
        self._nominal = axis_limits(config)
        self._handover = handover_limits(config)
        self._nominal_yaw = config.limits.turn.axis
        shares = config.limits.handover
        self._handover_yaw = self._nominal_yaw.scaled(
            shares.velocity_share, shares.accel_share, shares.decel_share, shares.jerk_share
        )
        self._period_ns = to_ns(config.period_s)

    @property
    def at_rest(self) -> bool:
        """Every axis is exactly zero and stays there."""
        return all(axis.at_rest for axis in (*self._axes, self._yaw))

    @property
    def velocity(self) -> Velocity:
        """The last output."""
        return Velocity(*(axis.velocity for axis in self._axes))

    @property
    def angular_z(self) -> float:
        """What is published for the turning axis: a yaw rate, or the steering angle where the base takes that."""
        return self._yaw.velocity if self._by_steering else self._axes[2].velocity

    @property
    def angular_z_limited(self) -> bool:
        """Whether the yaw rate is not the one that steering angle and speed give."""
        forward, _, turn = self.velocity
        return self._by_steering and self._yaw.velocity != output_turn(forward, turn, self._base)

    def stop(self) -> None:
        """Zero at once, past every limit: in an emergency stop, and after a gap in which the base stopped by itself."""
        for axis in (*self._axes, self._yaw):
            axis.stop()

    def step(self, target: Velocity, steady_ns: int, handover: bool) -> Velocity:
        """Move towards the target. A late tick moves no further than one on time; a clock that stands moves nothing."""
        elapsed_ns = self._period_ns if self._last_ns is None else min(steady_ns - self._last_ns, self._period_ns)
        self._last_ns = steady_ns
        wanted = self._handover if handover else self._nominal
        dt_s = elapsed_ns / 1e9
        output = Velocity(
            *(axis.step(value, dt_s, limits) for axis, value, limits in zip(self._axes, target, wanted, strict=True))
        )
        if self._by_steering:
            yaw = output_turn(output.forward, output.turn, self._base)
            self._yaw.follow(yaw, dt_s, self._handover_yaw if handover else self._nominal_yaw)
        return output
