"""Scene description as plain data, from a seed or a scenario file; read by physics, renderer and planner.

Metres and radians in the room's frame: the origin is the middle of the floor, x and y along its sides, z up.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mobile_vla_sim.config import COLOURS, EVERY_COLOUR, EVERY_KIND, KINDS

Rgb = tuple[float, float, float]

COLOUR_RGB: dict[str, Rgb] = {
    "red": (0.86, 0.09, 0.09),
    "yellow": (0.93, 0.82, 0.08),
    "green": (0.10, 0.62, 0.14),
    "cyan": (0.08, 0.78, 0.82),
    "blue": (0.10, 0.20, 0.86),
    "purple": (0.70, 0.14, 0.74),
    "orange": (0.95, 0.45, 0.05),
    "pink": (0.96, 0.55, 0.70),
    "white": (0.95, 0.95, 0.95),
    "black": (0.06, 0.06, 0.06),
}

# A room trained on never holds these pairs: every colour and every kind is seen, the combination is not.
UNSEEN_PAIRS = frozenset(
    {("red", "cone"), ("yellow", "cube"), ("green", "ball"), ("cyan", "cylinder"), ("blue", "cone"), ("purple", "cube")}
)
ALL_PAIRS = tuple((colour, kind) for colour in COLOURS for kind in KINDS)
EVERY_PAIR = tuple((colour, kind) for colour in EVERY_COLOUR for kind in EVERY_KIND)

BRICK_DEPTH = 0.5
# As multiples of an object's radius.
_HEIGHT = {"ball": 2.0, "cube": 1.6, "cylinder": 2.2, "cone": 2.4, "pyramid": 1.6, "egg": 2.6, "brick": 0.9}
_FOOTPRINT = {"cube": 0.8 * math.sqrt(2.0), "brick": math.hypot(1.0, BRICK_DEPTH)}


class Pose(NamedTuple):
    """Where the middle of something is on the floor, and where it looks."""

    x: float
    y: float
    yaw: float


@dataclasses.dataclass(frozen=True)
class Thing:
    """A coloured object that an instruction can name."""

    kind: str
    colour: str
    x: float
    y: float
    yaw: float = 0.0
    radius_m: float = 0.14

    @property
    def name(self) -> str:
        return f"{self.colour} {self.kind}"

    @property
    def height_m(self) -> float:
        return _HEIGHT[self.kind] * self.radius_m

    @property
    def footprint_m(self) -> float:
        """Radius of a circle on the floor around all of it."""
        return _FOOTPRINT.get(self.kind, 1.0) * self.radius_m


@dataclasses.dataclass(frozen=True)
class Block:
    """A box on the floor: a crate, or a piece of wall when it is tall."""

    x: float
    y: float
    yaw: float
    half_x: float
    half_y: float
    height_m: float
    rgb: Rgb = (0.45, 0.33, 0.22)
    wall: bool = False


@dataclasses.dataclass(frozen=True)
class Walker:
    """A person who walks along a path, after a time or when the robot comes near, and stands at its end."""

    path: tuple[tuple[float, float], ...]
    speed_mps: float = 0.8
    radius_m: float = 0.2
    height_m: float = 1.7
    after_s: float = 0.0
    within_m: float = 0.0
    rgb: Rgb = (0.30, 0.32, 0.40)

    @property
    def length_m(self) -> float:
        return sum(math.dist(a, b) for a, b in itertools.pairwise(self.path))

    def position(self, walked_m: float) -> tuple[float, float]:
        """The point of the path after `walked_m`."""
        for a, b in itertools.pairwise(self.path):
            leg = math.dist(a, b)
            if walked_m <= leg and leg > 0.0:
                share = walked_m / leg
                return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])
            walked_m -= leg
        return self.path[-1]


@dataclasses.dataclass(frozen=True, eq=False)
class Style:
    """How the empty room looks. Textures are square RGB images; a repeat is per metre."""

    floor: npt.NDArray[np.uint8]
    wall: npt.NDArray[np.uint8]
    floor_repeat_per_m: float
    wall_repeat_per_m: float
    light_position: tuple[float, float, float]
    light_diffuse: Rgb
    ambient: Rgb


@dataclasses.dataclass(frozen=True)
class Scene:
    """One room with everything in it, the robot's start, and what it is told."""

    size_x_m: float
    size_y_m: float
    things: tuple[Thing, ...]
    blocks: tuple[Block, ...]
    walkers: tuple[Walker, ...]
    style: Style
    start: Pose
    goal: int
    instruction: str

    @property
    def target(self) -> Thing:
        return self.things[self.goal]
