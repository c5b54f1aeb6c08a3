"""Velocity, acceleration, deceleration and jerk limits of one axis.

The limiter keeps the last output `velocity` and its slope `acceleration` and picks the next slope. Three facts about
the state, once true, can be kept true for steps of any length, so no later target can force a violation:

* speeding up must still fit below the velocity limit while the slope shrinks: `v + a^2 / 2j <= limit`;
* braking harder than the acceleration limit must end before zero is crossed: `|v| >= (a^2 - accel^2) / 2j`;
* the slope is within the limit of its direction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_ROUNDING = 1e-9
_LANDING_SHARE = 1e-3


class AxisLimits(NamedTuple):
    """Limits of one axis, all positive (`reverse` may be 0): units of the axis per s, per s^2, per s^3."""

    forward: float
    reverse: float
    accel: float
    decel: float
    jerk: float

    def scaled(self, velocity: float, accel: float, decel: float, jerk: float) -> AxisLimits:
        """A tighter (or equal) copy."""
        return AxisLimits(
            self.forward * velocity, self.reverse * velocity, self.accel * accel, self.decel * decel, self.jerk * jerk
        )

    def admits(self, velocity: float, acceleration: float) -> bool:
        """Whether a state can go on for ever without breaking these limits."""
        if acceleration < 0:
            return AxisLimits(self.reverse, self.forward, *self[2:]).admits(-velocity, -acceleration)
        if not -self.reverse - _ROUNDING <= velocity <= self.forward - acceleration**2 / (2 * self.jerk) + _ROUNDING:
            return False
        if velocity >= 0 or acceleration <= self.accel + _ROUNDING:
            return acceleration <= (self.accel if velocity >= 0 else self.decel) + _ROUNDING
        return (
            acceleration <= self.decel + _ROUNDING
            and -velocity >= (acceleration**2 - self.accel**2) / (2 * self.jerk) - _ROUNDING
        )


class AxisLimiter:
    """Turns any sequence of targets into outputs within limits. Not thread-safe; owned by the gate."""

    def __init__(self, limits: AxisLimits) -> None:
        self.velocity = 0.0
        self.acceleration = 0.0
        self._active = limits

    @property
    def at_rest(self) -> bool:
        """Exactly zero, and staying there."""
        return self.velocity == 0.0 and self.acceleration == 0.0

    @property
    def active(self) -> AxisLimits:
        """The limits in force: the wanted ones, or the ones before while the state does not fit the wanted ones yet."""
        return self._active

    def stop(self) -> None:
        """Zero at once, past every limit."""
        self.velocity = 0.0
        self.acceleration = 0.0

    def step(self, target: float, dt_s: float, wanted: AxisLimits) -> float:
        """Move towards `target` for `dt_s` seconds; a target that is not a finite number counts as zero.

        Tighter `wanted` limits come into force as soon as the present motion fits them; until then the motion
        is brought down to them within the limits it began under.
        """
        if not dt_s > 0.0:
            return self.velocity
        if wanted is not self._active and wanted.admits(self.velocity, self.acceleration):
            self._active = wanted
        limits = self._active
        velocity = self.velocity
        target = min(max(target, -wanted.reverse), wanted.forward) if math.isfinite(target) else 0.0
        error = target - velocity
        window = limits.jerk * dt_s
        if self._lands(error, dt_s, window, min(limits.accel, limits.decel, wanted.accel, wanted.decel)):
            self.acceleration = error / dt_s
            self.velocity = target
            return target
        size = abs(error)
        jerk = min(limits.jerk, wanted.jerk)
        slope = 2.0 * size / (dt_s + math.sqrt(dt_s * dt_s + 2.0 * size / jerk))
        if error >= 0.0:
            slope = min(slope, _bound(velocity, dt_s, limits), _bound(velocity, dt_s, wanted))
        else:
            slope = -min(slope, _bound(-velocity, dt_s, limits), _bound(-velocity, dt_s, wanted))
        slope = min(max(slope, self.acceleration - window), self.acceleration + window)
        self.acceleration = slope
        self.velocity = min(max(velocity + slope * dt_s, -limits.reverse), limits.forward)
        return self.velocity

    def follow(self, target: float, dt_s: float, wanted: AxisLimits) -> float:
        """As `step`, for a target that is itself a smooth motion: it is the output whenever the limits allow that."""
        if dt_s > 0.0 and math.isfinite(target) and wanted.admits(self.velocity, self.acceleration):
            self._active = wanted
            slope = (target - self.velocity) / dt_s
            rise = _bound(math.copysign(self.velocity, self.velocity * slope), dt_s, wanted)
            smooth = abs(slope - self.acceleration) <= wanted.jerk * dt_s
            if smooth and abs(slope) <= rise and wanted.admits(target, slope):
                self.velocity, self.acceleration = target, slope
                return target
        return self.step(target, dt_s, wanted)

    def _lands(self, error: float, dt_s: float, window: float, rate: float) -> bool:
        """Whether the target is so near that one step reaches it and the next can already be flat."""
        slope = error / dt_s
        return abs(slope) <= min(_LANDING_SHARE * window, rate) and abs(slope - self.acceleration) <= window


def _bound(velocity: float, dt_s: float, limits: AxisLimits) -> float:
    """Steepest allowed rise: `accel` from zero up; below zero `decel`, less when zero is near and `accel` is lower."""
    accel, decel, jerk = limits.accel, limits.decel, limits.jerk
    if velocity >= 0.0:
        return accel
    if decel <= accel:
        return decel
    reach = accel * accel - 2.0 * jerk * velocity
    braking = reach / (jerk * dt_s + math.sqrt((jerk * dt_s) ** 2 + reach))
    return max(accel, min(decel, braking))


def stopping_distance_m(speed_mps: float, reaction_s: float, limits: AxisLimits) -> float:
    """Way to standstill from constant speed: v t + v^2 / 2a + v a / 2j (the last from the jerk limit, which may also
    keep braking from ever reaching `decel`).
    """
    decel = min(limits.decel, math.sqrt(speed_mps * limits.jerk))
    if decel == 0.0:
        return 0.0
    return speed_mps * reaction_s + speed_mps**2 / (2 * decel) + speed_mps * decel / (2 * limits.jerk)
