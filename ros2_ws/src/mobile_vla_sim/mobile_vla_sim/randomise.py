"""Random rooms. A seed decides everything, and every room has a way from the start to the goal."""

from __future__ import annotations

import math

import numpy as np

from mobile_vla.errors import UserError
from mobile_vla_sim.config import BaseConfig, RoomConfig
from mobile_vla_sim.language import instruction
from mobile_vla_sim.planner import FloorMap
from mobile_vla_sim.scene import ALL_PAIRS, EVERY_PAIR, UNSEEN_PAIRS, Block, Pose, Scene, Thing, Walker
from mobile_vla_sim.style import muted_brown, random_style

# The robot counts as arrived when it stands this close to the middle of the object it was told.
ARRIVED_M = 0.57
# More room than the body needs: what a careful driver wants on both sides.
MARGIN_M = 0.08
_TRIES = 300
_STREAM = 7


def random_scene(room: RoomConfig, base: BaseConfig, seed: int) -> Scene:
    """The room of a seed. Raises `UserError` when the configuration leaves no room for everything."""
    rng = np.random.default_rng((seed, _STREAM))
    for _ in range(_TRIES):
        scene = _attempt(room, base, rng)
        if scene is not None and goal_reachable(scene, base):
            return scene
    raise UserError(
        f"no room with {room.objects} objects and {room.crates} crates could be laid out in {_TRIES} tries "
        f"for seed {seed}; lower room.objects or room.crates, or raise room.size_min_m"
    )


def goal_reachable(scene: Scene, base: BaseConfig) -> bool:
    """Whether the robot can get to where it counts as arrived without touching anything."""
    target = scene.target
    needed = base.radius_m + MARGIN_M
    return FloorMap(scene).reaches((scene.start.x, scene.start.y), (target.x, target.y), ARRIVED_M - 0.05, needed)


def _attempt(room: RoomConfig, base: BaseConfig, rng: np.random.Generator) -> Scene | None:
    size_x, size_y = (float(value) for value in rng.uniform(room.size_min_m, room.size_max_m, 2))
    names = _pairs(room, rng)
    spots = _spots(rng, size_x / 2.0 - 0.35, size_y / 2.0 - 0.35, len(names) + 1, 0.95)
    if spots is None:
        return None
    start, places = spots[0], spots[1:]
    if not room.goal_min_m <= math.dist(start, places[0]) <= room.goal_max_m:
        return None
    things = tuple(
        Thing(kind, colour, x, y, float(rng.uniform(-math.pi, math.pi)), float(rng.uniform(0.12, 0.17)))
        for (colour, kind), (x, y) in zip(names, places, strict=True)
    )
    goal = things[0]
    order = [int(index) for index in rng.permutation(len(things))]
    blocks = _crates(room, rng, (size_x, size_y), start, things)
    if blocks is None:
        return None
    return Scene(
        size_x_m=size_x,
        size_y_m=size_y,
        things=tuple(things[index] for index in order),
        blocks=blocks,
        walkers=_walkers(room, rng, (size_x, size_y), start),
        style=random_style(rng, room.styles, room.light_variation, min(size_x, size_y)),
        start=Pose(*start, float(rng.uniform(-math.pi, math.pi))),
        goal=order.index(0),
        instruction=instruction(goal.colour, goal.kind, room.instructions, rng),
    )


def _pairs(room: RoomConfig, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Different colour and kind pairs, the goal first, then look-alikes of it where wanted."""
    known = EVERY_PAIR if room.pairs == "varied" else ALL_PAIRS
    goals = [pair for pair in known if room.pairs == "all" or (pair in UNSEEN_PAIRS) == (room.pairs == "unseen")]
    # Beside an unseen goal stands anything: with unseen pairs alone its colour would give it away.
    allowed = goals if room.pairs in ("trained", "varied") else list(ALL_PAIRS)
    first = goals[int(rng.integers(len(goals)))]
    chosen = [first]
    if room.look_alikes and room.objects >= 3:
        same_colour = [pair for pair in allowed if pair[0] == first[0] and pair != first]
        same_kind = [pair for pair in allowed if pair[1] == first[1] and pair != first]
        chosen += [options[int(rng.integers(len(options)))] for options in (same_colour, same_kind) if options]
    rest = [pair for pair in allowed if pair not in chosen]
    return (chosen + [rest[int(index)] for index in rng.permutation(len(rest))])[: room.objects]


def _spots(
    rng: np.random.Generator, half_x: float, half_y: float, count: int, apart_m: float
) -> list[tuple[float, float]] | None:
    spots: list[tuple[float, float]] = []
    for _ in range(40 * count):
        spot = (float(rng.uniform(-half_x, half_x)), float(rng.uniform(-half_y, half_y)))
        if all(math.dist(spot, other) >= apart_m for other in spots):
            spots.append(spot)
            if len(spots) == count:
                return spots
    return None


def _crates(
    room: RoomConfig,
    rng: np.random.Generator,
    size: tuple[float, float],
    start: tuple[float, float],
    things: tuple[Thing, ...],
) -> tuple[Block, ...] | None:
    crates: list[Block] = []
    goal = things[0]
    for index in range(room.crates):
        for _ in range(60):
            if index == 0 and room.crate_on_path:
                share = rng.uniform(0.35, 0.65)
                side = rng.uniform(-0.25, 0.25)
                away = math.dist(start, (goal.x, goal.y))
                across = ((goal.y - start[1]) / away, (start[0] - goal.x) / away)
                x = start[0] + share * (goal.x - start[0]) + side * across[0]
                y = start[1] + share * (goal.y - start[1]) + side * across[1]
            else:
                x, y = (rng.uniform(-side / 2.0 + 0.3, side / 2.0 - 0.3) for side in size)
            half_x, half_y = rng.uniform(0.12, 0.26, 2)
            crate = Block(
                float(x),
                float(y),
                float(rng.uniform(-math.pi, math.pi)),
                float(half_x),
                float(half_y),
                float(rng.uniform(0.14, 0.24)),
                muted_brown(rng),
            )
            if _fits(crate, crates, start, things):
                crates.append(crate)
                break
        else:
            return None
    return tuple(crates)


def _fits(crate: Block, crates: list[Block], start: tuple[float, float], things: tuple[Thing, ...]) -> bool:
    reach = math.hypot(crate.half_x, crate.half_y)
    return (
        math.dist((crate.x, crate.y), start) >= reach + 0.35
        and all(
            math.dist((crate.x, crate.y), (thing.x, thing.y)) >= reach + thing.footprint_m + 0.18 for thing in things
        )
        and all(
            math.dist((crate.x, crate.y), (other.x, other.y)) >= reach + math.hypot(other.half_x, other.half_y) + 0.1
            for other in crates
        )
    )


def _walkers(
    room: RoomConfig, rng: np.random.Generator, size: tuple[float, float], start: tuple[float, float]
) -> tuple[Walker, ...]:
    walkers = []
    for _ in range(room.walkers):
        x = rng.choice((-1.0, 1.0)) * (size[0] / 2.0 - 0.35)
        first, last = (
            (float(x), float(rng.uniform(-0.4, 0.4) * size[1])),
            (float(-x), float(rng.uniform(-0.4, 0.4) * size[1])),
        )
        if math.dist(first, start) < 1.0:
            first, last = last, first
        walkers.append(
            Walker((first, last), speed_mps=float(rng.uniform(0.5, 1.0)), after_s=float(rng.uniform(1.0, 6.0)))
        )
    return tuple(walkers)
