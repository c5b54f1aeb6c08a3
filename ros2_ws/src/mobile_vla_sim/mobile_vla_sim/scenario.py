"""Scenario files: rooms written down in YAML. What a file leaves out is random, decided by the seed.

description: A person steps out from behind a wall.
room: {size_x_m: 6, size_y_m: 2.4}
start: {x_m: -2.5, y_m: 0, yaw_deg: 0}
instruction: go to the red ball
objects: [{kind: ball, colour: red, x_m: 2.4, y_m: 0}]
blocks: [{x_m: 0, y_m: 0.8, half_x_m: 0.05, half_y_m: 0.4, height_m: 2, wall: true}]
walkers: [{path_m: [0.3, 1.0, 0.3, -1.0], speed_mps: 0.8, within_m: 1.5}]
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobile_vla.config import Config, ConfigError, from_mapping, param
from mobile_vla.config.sections import read_yaml
from mobile_vla.errors import UserError, nearest
from mobile_vla.resources import named_file
from mobile_vla_sim.config import COLOURS, KINDS, BaseConfig, SimulatorConfig
from mobile_vla_sim.language import PLAIN, named_pair
from mobile_vla_sim.planner import clearance
from mobile_vla_sim.randomise import goal_reachable, random_scene
from mobile_vla_sim.scene import Block, Pose, Scene, Thing, Walker
from mobile_vla_sim.style import plain_style, random_style


@dataclasses.dataclass(frozen=True, kw_only=True)
class RoomSize(Config):
    """The floor of a scenario."""

    size_x_m: float = param(5.2, "Length of the floor.", ge=1.0, le=50.0)
    size_y_m: float = param(5.2, "Width of the floor.", ge=1.0, le=50.0)
    style: str = param("plain", "Looks of floor, walls and light.", choices=("plain", "random"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartPose(Config):
    """Where the robot starts."""

    x_m: float = param(0.0, "Position along the length of the floor.")
    y_m: float = param(0.0, "Position along the width of the floor.")
    yaw_deg: float = param(0.0, "Heading; 0 looks along the length.", ge=-180.0, le=180.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectEntry(Config):
    """One coloured object."""

    kind: str = param("ball", "Shape.", choices=KINDS)
    colour: str = param("red", "Colour.", choices=COLOURS)
    x_m: float = param(0.0, "Position along the length of the floor.")
    y_m: float = param(0.0, "Position along the width of the floor.")
    yaw_deg: float = param(0.0, "Rotation.", ge=-180.0, le=180.0)
    radius_m: float = param(0.14, "Size.", ge=0.05, le=0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockEntry(Config):
    """One box: a crate, or a piece of wall."""

    x_m: float = param(0.0, "Position along the length of the floor.")
    y_m: float = param(0.0, "Position along the width of the floor.")
    yaw_deg: float = param(0.0, "Rotation.", ge=-180.0, le=180.0)
    half_x_m: float = param(0.2, "Half its length.", gt=0.0, le=25.0)
    half_y_m: float = param(0.2, "Half its width.", gt=0.0, le=25.0)
    height_m: float = param(0.2, "Height.", gt=0.02, le=3.0)
    wall: bool = param(False, "Looks like the walls of the room.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class WalkerEntry(Config):
    """One person on a path."""

    path_m: tuple[float, ...] = param((), "Points of the path: x, y, x, y and so on.")
    speed_mps: float = param(0.8, "Walking speed.", gt=0.0, le=3.0)
    after_s: float = param(0.0, "Starts after this time.", ge=0.0)
    within_m: float = param(0.0, "Starts only when the robot is this near; 0 does not wait for the robot.", ge=0.0)

    def cross_check(self) -> None:
        if len(self.path_m) % 2:
            raise ConfigError(f"path_m must hold pairs of x and y, got {len(self.path_m)} numbers; add the missing one")


_LISTS: dict[str, type[Config]] = {"objects": ObjectEntry, "blocks": BlockEntry, "walkers": WalkerEntry}
_TEXTS = ("description", "instruction")
_KNOWN = ("room", "start", *_TEXTS, *_LISTS)


def scene_for(config: SimulatorConfig, seed: int) -> Scene:
    """The room of a configuration and seed: a random one, or its scenario with the missing parts filled in."""
    if not config.scenario:
        return random_scene(config.room, config.base, seed)
    return load_scene(named_file("scenarios", config.scenario), config.base, seed)


def load_scene(path: Path, base: BaseConfig, seed: int) -> Scene:
    """Read a scenario file. Raises `UserError` for anything that is wrong with it, an unreachable goal included."""
    return scene_from(read_yaml(path), str(path), base, seed)


def scene_from(document: Any, where: str, base: BaseConfig, seed: int) -> Scene:
    """The scene that a parsed scenario describes; `where` opens every error sentence."""
    if not isinstance(document, Mapping):
        raise UserError(f"{where}: a scenario is a mapping with objects and instruction, got {type(document).__name__}")
    for key in document:
        if key not in _KNOWN:
            raise UserError(f"{where}: unknown name '{key}'; {nearest(str(key), _KNOWN)}")
    for key in _TEXTS:
        if not isinstance(document.get(key, ""), str):
            raise UserError(f"{where}: {key} must be a text, got {document[key]!r}")
    rng = np.random.default_rng((seed, 8))
    room = from_mapping(RoomSize, document.get("room", {}), f"{where}: room")
    start = from_mapping(StartPose, document.get("start", {}), f"{where}: start")
    objects: list[ObjectEntry] = _entries(document, "objects", where)
    blocks: list[BlockEntry] = _entries(document, "blocks", where)
    walkers: list[WalkerEntry] = _entries(document, "walkers", where)
    things = tuple(
        Thing(entry.kind, entry.colour, entry.x_m, entry.y_m, math.radians(entry.yaw_deg), entry.radius_m)
        for entry in objects
    )
    goal, instruction = _goal(things, document.get("instruction", ""), where, rng)
    scene = Scene(
        size_x_m=room.size_x_m,
        size_y_m=room.size_y_m,
        things=things,
        blocks=tuple(
            Block(
                entry.x_m,
                entry.y_m,
                math.radians(entry.yaw_deg),
                entry.half_x_m,
                entry.half_y_m,
                entry.height_m,
                wall=entry.wall,
            )
            for entry in blocks
        ),
        walkers=tuple(_walker(entry) for entry in walkers if entry.path_m),
        style=plain_style()
        if room.style == "plain"
        else random_style(rng, "all", 1.0, min(room.size_x_m, room.size_y_m)),
        start=Pose(start.x_m, start.y_m, math.radians(start.yaw_deg)),
        goal=goal,
        instruction=instruction,
    )
    _check(scene, base, where)
    return scene


def _entries(document: Mapping[str, Any], name: str, where: str) -> list[Any]:
    entries = document.get(name, [])
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise UserError(f"{where}: {name} must be a list, got {entries!r}; start each entry with '- '")
    return [from_mapping(_LISTS[name], entry, f"{where}: {name}[{index}]") for index, entry in enumerate(entries)]


def _walker(entry: WalkerEntry) -> Walker:
    points = tuple(zip(entry.path_m[::2], entry.path_m[1::2], strict=True))
    return Walker(points, speed_mps=entry.speed_mps, after_s=entry.after_s, within_m=entry.within_m)


def _goal(things: tuple[Thing, ...], instruction: str, where: str, rng: np.random.Generator) -> tuple[int, str]:
    if not things:
        raise UserError(f"{where}: there is no object to go to; add one under objects")
    if not instruction:
        goal = int(rng.integers(len(things)))
        return goal, PLAIN.format(colour=things[goal].colour, kind=things[goal].kind)
    pair = named_pair(instruction)
    matches = [index for index, thing in enumerate(things) if (thing.colour, thing.kind) == pair]
    if not matches:
        present = ", ".join(thing.name for thing in things)
        raise UserError(
            f"{where}: the instruction '{instruction}' names none of the objects that are there ({present})"
        )
    return matches[0], instruction


def _check(scene: Scene, base: BaseConfig, where: str) -> None:
    free = float(clearance(scene, scene.start.x, scene.start.y))
    if free < base.radius_m:
        raise UserError(
            f"{where}: the robot does not fit at its start ({scene.start.x:g}, {scene.start.y:g}): {free:.2f} m free, "
            f"{base.radius_m:g} m needed; move the start"
        )
    if not goal_reachable(scene, base):
        raise UserError(
            f"{where}: no way leads from the start to the {scene.target.name} for a robot of radius "
            f"{base.radius_m:g} m; move a block or the goal"
        )
