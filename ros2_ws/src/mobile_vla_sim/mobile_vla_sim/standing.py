"""Standstill detection, shared by everything that judges a drive."""

from __future__ import annotations

from mobile_vla_sim.base import BodyVelocity

STILL_MPS, STILL_RADPS = 0.03, 0.1
# Stopped: stood still for this long.
STILL_FOR_S = 1.0
# Nobody who has stood still for this long, far from everything, is going to arrive.
GIVE_UP_S = 10.0


class StandstillTimer:
    """For how long the robot has stood still, in simulated seconds. Ask once per step."""

    def __init__(self) -> None:
        self._since_s: float | None = None

    def seconds(self, time_s: float, velocity: BodyVelocity) -> float:
        """0 while it moves."""
        if (
            abs(velocity.linear_mps) + abs(velocity.lateral_mps) > STILL_MPS
            or abs(velocity.angular_radps) > STILL_RADPS
        ):
            self._since_s = None
            return 0.0
        if self._since_s is None:
            self._since_s = time_s
        return time_s - self._since_s
