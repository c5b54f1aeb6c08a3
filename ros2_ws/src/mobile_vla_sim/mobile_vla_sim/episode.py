"""One episode: from the start to a stop, a collision or the time limit, and its result."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla_sim.base import BodyVelocity
from mobile_vla_sim.drivers import Action, ActionScale, Driver
from mobile_vla_sim.language import named_pair
from mobile_vla_sim.planner import FloorMap, Route
from mobile_vla_sim.randomise import ARRIVED_M
from mobile_vla_sim.standing import GIVE_UP_S, STILL_FOR_S, StandstillTimer
from mobile_vla_sim.world import World

DECISIONS_HZ = 10.0

ARRIVED, OTHER, COLLIDED, TIMED_OUT = "arrived", "other object", "collided", "timed out"


@dataclasses.dataclass(frozen=True)
class Rules:
    """What an episode allows."""

    control_rate_hz: float = 0.0
    """Decisions per second; 0: as often as the policy was trained to decide, 10 for other drivers."""
    limit_s: float = 60.0
    action_delay_s: float = 0.0
    """Time from an image to its action, on top of the base's own latency: the model's part."""
    lost_share: float = 0.0
    """Share of control periods from which no action comes."""
    scale: ActionScale = dataclasses.field(default_factory=ActionScale)


class EpisodeResult(NamedTuple):
    """What came of one episode. `told` is the object that the instruction named, `goal` the one that counts."""

    seed: int
    outcome: str
    instruction: str
    told: str
    goal: str
    stopped_at: str
    contact: str
    time_s: float
    path_m: float
    shortest_m: float
    goal_distance_m: float

    @property
    def success(self) -> bool:
        return self.outcome == ARRIVED

    @property
    def spl(self) -> float:
        """Success weighted by how short the path was."""
        if not self.success:
            return 0.0
        return self.shortest_m / max(self.path_m, self.shortest_m, 1e-9)


class Actuator(Protocol):
    """Between a driver's action and the base: nothing, or the safety gate."""

    def begin(self, world: World) -> None:
        """A new episode starts."""

    def drive(self, world: World, action: Action | None, seconds: float) -> None:
        """Let `seconds` pass with this action; None: no new one came."""


class Direct:
    """Scales the action and commands the base, 20 times a second. An action stays in force until the next."""

    def __init__(self, scale: ActionScale) -> None:
        self._scale = scale
        self._velocity = BodyVelocity(0.0, 0.0)

    def begin(self, world: World) -> None:
        self._velocity = BodyVelocity(0.0, 0.0)

    def drive(self, world: World, action: Action | None, seconds: float) -> None:
        if action is not None:
            self._velocity = scaled(action, self._scale)
        left = seconds
        while left > 1e-9:
            step = min(0.05, left)
            world.command(*self._velocity)
            world.advance(step)
            left -= step


def scaled(action: Action, scale: ActionScale) -> BodyVelocity:
    """A normalised action as a velocity; out-of-range values are cut, what is no number is zero."""
    first, second = (max(-1.0, min(1.0, value)) if math.isfinite(value) else 0.0 for value in action)
    forward, left, turn = ACTION_SPACES[scale.space].to_twist((first, second))
    return BodyVelocity(forward * scale.linear_mps, turn * scale.angular_radps, left * scale.lateral_mps)


def shortest_path_m(world: World) -> float:
    """Length of the shortest way on which the body touches nothing."""
    scene = world.scene
    route = Route(FloorMap(scene), (scene.target.x, scene.target.y), ARRIVED_M, world.config.base.radius_m + 0.02)
    return route.length(scene.start.x, scene.start.y)


def run_episode(
    world: World,
    driver: Driver,
    actuator: Actuator,
    rules: Rules,
    watch: Callable[[World, Action], None] | None = None,
) -> EpisodeResult:
    """Drive the world's present scene from its start. `watch` sees every control period, and the newest action."""
    shortest = shortest_path_m(world)
    driver.begin(world)
    actuator.begin(world)
    luck = np.random.default_rng((world.seed, 13))
    period = 1.0 / (rules.control_rate_hz or getattr(driver, "control_rate_hz", DECISIONS_HZ))
    delay = max(0, round(rules.action_delay_s / period))
    underway: deque[Action | None] = deque([None] * delay)
    action: Action = (0.0, 0.0)
    standing = StandstillTimer()
    outcome = TIMED_OUT
    while world.time_s < rules.limit_s:
        lost = rules.lost_share > 0.0 and luck.random() < rules.lost_share
        underway.append(None if lost else driver.act(world))
        arrived = underway.popleft()
        action = action if arrived is None else arrived
        if watch is not None:
            watch(world, action)
        actuator.drive(world, arrived, period)
        if world.collided:
            outcome = COLLIDED
            break
        still_s = standing.seconds(world.time_s, world.velocity)
        if still_s >= STILL_FOR_S:
            near = nearest_thing(world)
            if world.distance_to(near) <= ARRIVED_M:
                outcome = ARRIVED if near == world.scene.goal else OTHER
                break
        if still_s >= GIVE_UP_S:
            break
    near = nearest_thing(world)
    instruction = getattr(driver, "instruction", world.scene.instruction)
    return EpisodeResult(
        seed=world.seed,
        outcome=outcome,
        instruction=instruction,
        told=" ".join(named_pair(instruction) or ("", "")),
        goal=world.scene.target.name,
        stopped_at=world.scene.things[near].name if outcome in (ARRIVED, OTHER) else "",
        contact=world.contact.what if world.contact else "",
        time_s=world.time_s,
        path_m=world.path_m,
        shortest_m=shortest,
        goal_distance_m=world.distance_to(world.scene.goal),
    )


def nearest_thing(world: World) -> int:
    """Which thing the robot stands at."""
    return min(range(len(world.scene.things)), key=world.distance_to)
