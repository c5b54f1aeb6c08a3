"""A world without noise or lag, and a way to drive it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mobile_vla.config import with_values
from mobile_vla_sim import noisy
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import ActionScale
from mobile_vla_sim.expert import Expert
from mobile_vla_sim.world import World

EXACT = {
    "scenario": "open_floor",
    "base.slip_std": 0.0,
    "base.latency_s": 0.0,
    "base.motor_time_constant_s": 0.0,
    "odometry.linear_noise_std": 0.0,
    "odometry.angular_noise_std": 0.0,
    "lidar.noise_std_m": 0.0,
    "range.noise_std_m": 0.0,
}


@pytest.fixture
def world() -> Callable[..., World]:
    """`world(base__kind="omni")` makes an exact world with some values changed."""

    def make(**values: object) -> World:
        changes = {key.replace("__", "."): value for key, value in values.items()}
        return World(with_values(SimulatorConfig(), {**EXACT, **changes}))

    return make


@pytest.fixture
def drive() -> Callable[..., None]:
    """Commands at 20 Hz, as a controller gives them."""

    def drive(one: World, seconds: float, linear: float, angular: float, lateral: float = 0.0) -> None:
        for _ in range(round(seconds / 0.05)):
            one.command(linear, angular, lateral)
            one.advance(0.05)

    return drive


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each teaching expert that is made remembers its goal."""
    seconds: list[float] = []

    def made(scale: ActionScale, remembers_s: float) -> Expert:
        seconds.append(remembers_s)
        return Expert(scale, remembers_s)

    monkeypatch.setattr(noisy, "Expert", made)
    return seconds
