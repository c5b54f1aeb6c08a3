"""Obstacle layouts of the BARN benchmark (posts of 0.15 m on a grid), and layouts of the same kind made from a seed."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mobile_vla_sim.scene import Pose

POST_RADIUS_M = 0.075
CELL_M = 2 * POST_RADIUS_M
SHARED = "MOBILE_VLA_SHARED_DATA"
_CELLS = 30
_OPEN_ROWS = 10
_FIRST_SEED = 4_000_000
_START_CLEARANCE_M = 0.10

Points = npt.NDArray[np.float64]


class PostLayout(NamedTuple):
    """Posts by their middles in metres, closed all around, and where a robot starts between them."""

    name: str
    seed: int
    posts: Points
    start: Pose


def barn_file() -> Path | None:
    """`barn/posts_mm.npz` in $MOBILE_VLA_SHARED_DATA, else in the nearest `shared/data` beside a parent folder."""
    chosen = os.environ.get(SHARED)
    folders = [Path(chosen)] if chosen else [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]
    return next((path for folder in folders if (path := folder / "barn" / "posts_mm.npz").is_file()), None)


def layouts(count: int, body_m: float) -> list[PostLayout]:
    """The BARN layouts that are there, in their order, and generated ones up to `count`. `body_m`: the robot's reach
    from its origin, which is free of posts where it starts.
    """
    found = barn_file()
    grids: list[tuple[str, Points]] = []
    if found is not None:
        with np.load(found, allow_pickle=False) as worlds:
            grids = [(f"barn {name}", worlds[name].astype(np.float64) / 1000.0) for name in worlds.files[:count]]
    grids += [(f"generated {seed}", generated(_FIRST_SEED + seed)) for seed in range(count - len(grids))]
    return [
        PostLayout(name, _FIRST_SEED + index, posts, start_among(posts, _FIRST_SEED + index, body_m))
        for index, (name, posts) in enumerate((name, enclosed(posts)) for name, posts in grids)
    ]


def generated(seed: int) -> Points:
    """A field of clumps and single posts like BARN's: random cells, smoothed once by their neighbours."""
    rng = np.random.default_rng((seed, 21))
    filled = rng.random((_CELLS, _CELLS)) < rng.uniform(0.12, 0.26)
    padded = np.pad(filled, 1).astype(np.int64)
    around = sum(np.roll(np.roll(padded, dx, 0), dy, 1) for dx in (-1, 0, 1) for dy in (-1, 0, 1)) - padded
    around = np.asarray(around)[1:-1, 1:-1]
    kept = (filled & (around >= 2)) | (around >= 5)
    columns, rows = np.nonzero(kept)
    field = np.stack([columns, rows + _OPEN_ROWS], axis=1)
    sides = [(column, row) for column in (0, _CELLS - 1) for row in range(_OPEN_ROWS + _CELLS)]
    cells = np.unique(np.concatenate([field, np.array(sides), [(column, 0) for column in range(_CELLS)]]), axis=0)
    return cells * CELL_M


def enclosed(posts: Points) -> Points:
    """With a row of posts behind the open end, so that the robot stays inside."""
    low, high = posts.min(axis=0), posts.max(axis=0)
    xs = np.arange(low[0], high[0] + CELL_M / 2, CELL_M)
    ends = np.stack([xs, np.full_like(xs, high[1] + CELL_M)], axis=1)
    return np.concatenate([posts, ends])


def start_among(posts: Points, seed: int, body_m: float) -> Pose:
    """A place between the posts of the upper part, decided by the seed, in which the body can turn."""
    rng = np.random.default_rng((seed, 22))
    low, high = posts.min(axis=0), posts.max(axis=0)
    low = np.array([low[0], max(low[1], high[1] - _CELLS * CELL_M)])
    while True:
        place = rng.uniform(low, high)
        if np.min(np.hypot(*(posts - place).T)) > body_m + POST_RADIUS_M + _START_CLEARANCE_M:
            return Pose(float(place[0]), float(place[1]), float(rng.uniform(-math.pi, math.pi)))
