"""Drivetrain model: from commanded velocity to wheel and body velocity. Pure; time is an argument."""

from __future__ import annotations

import collections
import math
from typing import NamedTuple

import numpy as np

from mobile_vla_sim.config import BaseConfig

_SLIP_MEMORY_S = 1.0


class BodyVelocity(NamedTuple):
    """Velocity in the robot's own frame: forward, turn to the left, sideways to the left."""

    linear_mps: float
    angular_radps: float
    lateral_mps: float = 0.0


STILL = BodyVelocity(0.0, 0.0, 0.0)


class Drivetrain:
    """One wheeled base. Commands act after a delay, motors follow with a lag, wheels slip, silence stops it.

    Lateral commands are ignored by a differential base: it has no wheels for them.
    """

    def __init__(self, config: BaseConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._pending: collections.deque[tuple[float, BodyVelocity]] = collections.deque()
        self._wanted = STILL
        self._wheels = STILL
        self._last_command_s = -math.inf
        self._slip: list[float] = rng.standard_normal(3).tolist()
        self.watchdog_stopped = False

    @property
    def wheels(self) -> BodyVelocity:
        """What the wheels do, as encoders on them would say."""
        return self._wheels

    def command(self, now_s: float, velocity: BodyVelocity) -> None:
        """Take a command; non-finite components count as zero because motor electronics has no NaN."""
        limits = self.config
        bounds = (
            limits.max_linear_mps,
            limits.max_angular_radps,
            limits.max_lateral_mps if limits.kind == "omni" else 0.0,
        )
        bounded = (
            max(-bound, min(bound, value)) if math.isfinite(value) else 0.0
            for value, bound in zip(velocity, bounds, strict=True)
        )
        self._last_command_s = now_s
        self._pending.append((now_s + limits.latency_s, BodyVelocity(*bounded)))

    def step(self, now_s: float, dt_s: float) -> BodyVelocity:
        """Advance the motors by `dt_s` and return the velocity that the body is driven with, slip included."""
        while self._pending and self._pending[0][0] <= now_s + 1e-9:
            self._wanted = self._pending.popleft()[1]
        self.watchdog_stopped = now_s - self._last_command_s > self.config.watchdog_s
        if self.watchdog_stopped:
            self._pending.clear()
            self._wanted = STILL
        limits = self.config
        follow = 1.0 if limits.motor_time_constant_s <= 0.0 else 1.0 - math.exp(-dt_s / limits.motor_time_constant_s)
        linear_step = limits.max_linear_accel_mps2 * dt_s
        steps = (linear_step, limits.max_angular_accel_radps2 * dt_s, linear_step)
        self._wheels = BodyVelocity(
            *(
                have + max(-most, min(most, follow * (want - have)))
                for want, have, most in zip(self._wanted, self._wheels, steps, strict=True)
            )
        )
        return self._slipped(dt_s)

    def _slipped(self, dt_s: float) -> BodyVelocity:
        config = self.config
        if config.slip_std <= 0.0:
            return self._wheels
        keep = math.exp(-dt_s / _SLIP_MEMORY_S)
        spread = math.sqrt(1.0 - keep * keep)
        self._slip = [
            keep * old + spread * new
            for old, new in zip(self._slip, self._rng.standard_normal(3).tolist(), strict=True)
        ]
        first, second, third = (1.0 - config.slip_std * slip for slip in self._slip)
        linear, angular, lateral = self._wheels
        if config.kind == "omni":
            return BodyVelocity(linear * first, angular * second, lateral * third)
        half = config.wheel_separation_m / 2.0
        left = (linear - angular * half) * first
        right = (linear + angular * half) * second
        return BodyVelocity((left + right) / 2.0, (right - left) / (2.0 * half))
