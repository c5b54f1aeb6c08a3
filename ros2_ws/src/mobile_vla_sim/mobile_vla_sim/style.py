"""How rooms look: procedural floor and wall patterns, and light, all from a given random generator."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mobile_vla_sim.scene import Rgb, Style

Image = npt.NDArray[np.uint8]
Pattern = Callable[[np.random.Generator, int], npt.NDArray[np.float32]]
SIDE_PX = 128


def _flat(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    return np.full((side, side), rng.uniform(0.0, 1.0), np.float32)


def _checker(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    cells = int(rng.choice((2, 4)))
    index = np.arange(side) * cells // side
    return ((index[:, None] + index[None, :]) % 2).astype(np.float32)


def _tiles(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    cells = int(rng.choice((1, 2, 4)))
    pitch = side // cells
    shade = rng.uniform(0.55, 1.0, (cells, cells)).astype(np.float32).repeat(pitch, 0).repeat(pitch, 1)
    joint = np.arange(side) % pitch < max(2, pitch // 20)
    shade[joint, :] = 0.0
    shade[:, joint] = 0.0
    return shade


def _planks(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    rows = int(rng.choice((4, 8)))
    pitch = side // rows
    shade = np.empty((side, side), np.float32)
    for row in range(rows):
        seam = int(rng.integers(side))
        two = rng.uniform(0.2, 1.0, 2)
        line = np.where(np.arange(side) < seam, two[0], two[1]).astype(np.float32)
        line[max(0, seam - 1) : seam + 1] = 0.0
        shade[row * pitch : (row + 1) * pitch] = line
        shade[row * pitch] = 0.0
    grain = rng.normal(0.0, 0.08, (side, 1)).astype(np.float32)
    return np.asarray(np.clip(shade + grain, 0.0, 1.0), np.float32)


def _clouds(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    total = np.zeros((side, side), np.float32)
    for cells, weight in ((4, 0.5), (16, 0.3), (64, 0.2)):
        total += weight * rng.uniform(0.0, 1.0, (cells, cells)).astype(np.float32).repeat(side // cells, 0).repeat(
            side // cells, 1
        )
    return total


def _stripes(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    bands = int(rng.choice((2, 4, 8)))
    ramp = np.arange(side)
    along = ramp[None, :] + (ramp[:, None] if rng.random() < 0.5 else 0)
    bands_on = ((along * bands * 2 // side) % 2).astype(np.float32)
    return np.array(np.broadcast_to(bands_on, (side, side)), np.float32)


def _speckle(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    coarse = rng.random((side // 4, side // 4)) < 0.25
    return coarse.astype(np.float32).repeat(4, 0).repeat(4, 1)


TRAINED_PATTERNS: tuple[Pattern, ...] = (_flat, _checker, _tiles, _planks, _clouds)
UNSEEN_PATTERNS: tuple[Pattern, ...] = (_stripes, _speckle)
PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "trained": TRAINED_PATTERNS,
    "unseen": UNSEEN_PATTERNS,
    "all": TRAINED_PATTERNS + UNSEEN_PATTERNS,
}


def random_style(rng: np.random.Generator, patterns: str, light_variation: float, size_m: float) -> Style:
    """Floor, walls and light of one room. `patterns` names a family of `PATTERNS`."""
    family = PATTERNS[patterns]
    floor = _texture(rng, family, value=(0.30, 0.75))
    wall = _texture(rng, family if rng.random() < 0.4 else (_flat,), value=(0.55, 0.95))
    swing = light_variation
    warmth = rng.uniform(-0.08, 0.08) * swing
    level = 0.55 + rng.uniform(-0.20, 0.20) * swing
    ambient = 0.38 + rng.uniform(-0.12, 0.12) * swing
    spot = (rng.uniform(-0.4, 0.4) * size_m * swing, rng.uniform(-0.4, 0.4) * size_m * swing, 2.6)
    return Style(
        floor=floor,
        wall=wall,
        floor_repeat_per_m=float(rng.choice((0.5, 1.0, 1.5))),
        wall_repeat_per_m=float(rng.choice((0.5, 1.0))),
        light_position=spot,
        light_diffuse=(level * (1 + warmth), level, level * (1 - warmth)),
        ambient=(ambient * (1 + warmth), ambient, ambient * (1 - warmth)),
    )


def plain_style() -> Style:
    """The same sober room every time, for scenarios and tests that are not about looks."""
    floor = np.full((SIDE_PX, SIDE_PX, 3), 130, np.uint8)
    floor[: SIDE_PX // 2, : SIDE_PX // 2] = floor[SIDE_PX // 2 :, SIDE_PX // 2 :] = 115
    wall = np.full((SIDE_PX, SIDE_PX, 3), 200, np.uint8)
    return Style(floor, wall, 1.0, 1.0, (0.0, 0.0, 2.6), (0.55, 0.55, 0.55), (0.4, 0.4, 0.4))


def _texture(rng: np.random.Generator, family: tuple[Pattern, ...], value: tuple[float, float]) -> Image:
    shade = family[int(rng.integers(len(family)))](rng, SIDE_PX)
    first, second = np.array(_muted(rng, value)), np.array(_muted(rng, value))
    colour = first + shade[:, :, None] * (second - first)
    colour += rng.normal(0.0, 0.015, (SIDE_PX, SIDE_PX, 1))
    return np.asarray(np.clip(colour, 0.0, 1.0) * 255.0 + 0.5, np.uint8)


def _muted(rng: np.random.Generator, value: tuple[float, float]) -> Rgb:
    """A colour too pale to be mistaken for an object's."""
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.28), rng.uniform(*value))


def muted_brown(rng: np.random.Generator) -> Rgb:
    """The colour of a crate: cardboard, wood or grey plastic."""
    hue, saturation = (
        (rng.uniform(0.05, 0.11), rng.uniform(0.2, 0.5)) if rng.random() < 0.7 else (0.6, rng.uniform(0.0, 0.1))
    )
    return colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.30, 0.60))
