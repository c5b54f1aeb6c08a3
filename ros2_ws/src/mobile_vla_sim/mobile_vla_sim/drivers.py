"""Drivers of an episode: a policy, or a baseline to compare it with.

Every driver gives normalised actions in [-1, 1], as `policy/action` carries them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mobile_vla_sim.language import PLAIN
from mobile_vla_sim.scene import ALL_PAIRS
from mobile_vla_sim.world import World

if TYPE_CHECKING:
    from mobile_vla.policy.interface import Policy
    from mobile_vla_sim.post_world import PostWorld

Action = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class ActionScale:
    """What an action of 1 means. The second component is a turn (space diff) or a sideways speed (space omni)."""

    linear_mps: float = 0.4
    angular_radps: float = 1.2
    lateral_mps: float = 0.3
    space: str = "diff"


class Driver(Protocol):
    """Decides once per control period."""

    def begin(self, world: World) -> None:
        """A new episode starts; forget everything."""

    def act(self, world: World) -> Action:
        """The action for now."""


class Straight:
    """Full speed ahead: what a room without obstacles and turns would need."""

    def begin(self, world: World) -> None:
        pass

    def act(self, world: World) -> Action:
        return 1.0, 0.0


class RandomWalk:
    """A new random action every second, the same ones for the same episode seed."""

    def begin(self, world: World) -> None:
        self._rng = np.random.default_rng((world.seed, 11))
        self._until_s = -1.0

    def act(self, world: World) -> Action:
        if world.time_s >= self._until_s:
            self._until_s = world.time_s + 1.0
            self._action = (float(self._rng.uniform(0.0, 1.0)), float(self._rng.uniform(-1.0, 1.0)))
        return self._action


class Hunter:
    """Full speed, always turning towards the nearest return of the scan: the rudest way to meet a range guard."""

    def begin(self, world: PostWorld) -> None:
        pass

    def act(self, world: PostWorld) -> Action:
        return 1.0, float(np.clip(2.0 * world.nearest_bearing_rad, -1.0, 1.0))


class PolicyDriver:
    """A policy that sees the camera and reads the instruction."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.control_rate_hz = policy.card.control_rate_hz

    def begin(self, world: World) -> None:
        self.policy.reset()
        self.instruction = self.told(world)

    def told(self, world: World) -> str:
        """What the policy is told."""
        return tell_goal(world)

    def shown(self, world: World) -> np.ndarray:
        """What the policy is shown."""
        return world.render()

    def act(self, world: World) -> Action:
        return self.policy.step(self.shown(world), self.instruction).action


class Blind(PolicyDriver):
    """The same policy with a grey image: what it achieves without looking."""

    def shown(self, world: World) -> np.ndarray:
        camera = world.config.camera
        return np.full((camera.height_px, camera.width_px, 3), 127, np.uint8)


class Deaf(PolicyDriver):
    """The same policy told another object of the room: it should go there, not to the goal of the episode."""

    def told(self, world: World) -> str:
        return tell_other(world)


class Absent(PolicyDriver):
    """The same policy told an object that is not there: it should find nothing to stop at."""

    def told(self, world: World) -> str:
        return tell_absent(world)


def tell_goal(world: World) -> str:
    """What the room asks for."""
    return world.scene.instruction


def tell_other(world: World) -> str:
    """Another object of the room, decided by the seed."""
    other = world.scene.things[told_instead(world)]
    return PLAIN.format(colour=other.colour, kind=other.kind)


def tell_absent(world: World) -> str:
    """An object that is not in the room, decided by the seed."""
    there = {(thing.colour, thing.kind) for thing in world.scene.things}
    missing = [pair for pair in ALL_PAIRS if pair not in there]
    colour, kind = missing[int(np.random.default_rng((world.seed, 14)).integers(len(missing)))]
    return PLAIN.format(colour=colour, kind=kind)


def told_instead(world: World) -> int:
    """Which other object `Deaf` names, decided by the seed."""
    others = [index for index in range(len(world.scene.things)) if index != world.scene.goal]
    return others[int(np.random.default_rng((world.seed, 12)).integers(len(others)))] if others else world.scene.goal
