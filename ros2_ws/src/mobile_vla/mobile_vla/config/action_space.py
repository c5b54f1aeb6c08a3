"""What the two numbers of an action mean: the only place that turns them into a motion on the ground, and back.

It belongs to the settings, because robot files, checkpoint cards and the command path share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Velocity(NamedTuple):
    """Forward m/s, left m/s, and the turning axis: yaw rate in rad/s, or steering angle in rad on an Ackermann base.

    Of a normalised action the same three, each in [-1, 1].
    """

    forward: float
    left: float
    turn: float


STILL = Velocity(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ActionSpace:
    """The first number of an action is forward; `second` is the index of the other one in `Velocity`."""

    name: str
    second: int
    axes: tuple[str, str]
    """Names of the two numbers as commands to a base."""
    scales: tuple[str, str]
    """Names of the settings (`controller.action.*`) that say what 1 means for each."""
    bases: tuple[str, ...]
    """Kinds of base that can do it."""

    @property
    def components(self) -> tuple[int, int]:
        """Indices of the two numbers in `Velocity`."""
        return 0, self.second

    @property
    def sideways(self) -> bool:
        """Whether the second number is a speed to the left."""
        return self.second == Velocity._fields.index("left")

    def to_twist(self, action: tuple[float, float]) -> Velocity:
        """The two numbers as a motion; the component that the space does not have is zero."""
        first, second = action
        return Velocity(first, second, 0.0) if self.sideways else Velocity(first, 0.0, second)

    def from_twist(self, velocity: Velocity) -> tuple[float, float]:
        """The two numbers of a motion."""
        return velocity.forward, velocity[self.second]


_LEFT, _TURN = (Velocity._fields.index(name) for name in ("left", "turn"))
ACTION_SPACES: dict[str, ActionSpace] = {
    space.name: space
    for space in (
        ActionSpace("diff", _TURN, ("linear", "angular"), ("linear_mps", "turn_radps"), ("diff", "omni")),
        ActionSpace("omni", _LEFT, ("linear", "lateral"), ("linear_mps", "lateral_mps"), ("omni",)),
        ActionSpace("ackermann", _TURN, ("linear", "angular"), ("linear_mps", "steering_rad"), ("ackermann",)),
    )
}


def spaces_of_base(kind: str) -> list[str]:
    """The action spaces that a kind of base can do, its own first."""
    able = [space.name for space in ACTION_SPACES.values() if kind in space.bases]
    return sorted(able, key=lambda name: name != kind)
