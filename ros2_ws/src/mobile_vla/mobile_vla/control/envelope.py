"""The limiters of all axes together, under the nominal or the hand-over set."""

from __future__ import annotations

from mobile_vla.control.clock import to_ns
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.decode import Velocity
from mobile_vla.control.limits import AxisLimiter, AxisLimits


def axis_limits(config: ControllerConfig) -> tuple[AxisLimits, AxisLimits, AxisLimits]:
    """Nominal limits of the forward, left and turning axis; on an Ackermann base the last is the steering angle."""
    limits = config.limits
    turning = limits.steering.axis if config.base.kind == "ackermann" else limits.turn.axis
    return limits.linear.axis, limits.lateral.axis, turning


def handover_limits(config: ControllerConfig) -> tuple[AxisLimits, AxisLimits, AxisLimits]:
    """The tighter set of the same axes. Of a steering angle only the rates are tightened: the path needs the angle."""
    shares = config.limits.handover
    rates = (shares.accel_share, shares.decel_share, shares.jerk_share)
    forward, left, turn = axis_limits(config)
    angle = 1.0 if config.base.kind == "ackermann" else shares.velocity_share
    return (
        forward.scaled(shares.velocity_share, *rates),
        left.scaled(shares.velocity_share, *rates),
        turn.scaled(angle, *rates),
    )


class Envelope:
    """The last output on every axis, and the only way to change it."""

    def __init__(self, config: ControllerConfig) -> None:
        self._axes = tuple(AxisLimiter(limits) for limits in axis_limits(config))
        self._last_ns: int | None = None
        self.configure(config)

    def configure(self, config: ControllerConfig) -> None:
        """Use new limits; a motion that does not fit them is brought down to them first."""
        self._nominal = axis_limits(config)
        self._handover = handover_limits(config)
        self._period_ns = to_ns(config.period_s)

    @property
    def at_rest(self) -> bool:
        """Every axis is exactly zero and stays there."""
        return all(axis.at_rest for axis in self._axes)

    @property
    def velocity(self) -> Velocity:
        """The last output."""
        return Velocity(*(axis.velocity for axis in self._axes))

    def stop(self) -> None:
        """Zero at once, past every limit: in an emergency stop, and after a gap in which the base stopped by itself."""
        for axis in self._axes:
            axis.stop()

    def step(self, target: Velocity, steady_ns: int, handover: bool) -> Velocity:
        """Move towards the target. A late tick moves no further than one on time; a clock that stands moves nothing."""
        elapsed_ns = self._period_ns if self._last_ns is None else min(steady_ns - self._last_ns, self._period_ns)
        self._last_ns = steady_ns
        wanted = self._handover if handover else self._nominal
        dt_s = elapsed_ns / 1e9
        return Velocity(
            *(axis.step(value, dt_s, limits) for axis, value, limits in zip(self._axes, target, wanted, strict=True))
        )
