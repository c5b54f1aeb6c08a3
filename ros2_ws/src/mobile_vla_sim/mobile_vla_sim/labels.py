"""What is true about a picture, worked out from the room: the labels that training uses and driving never sees."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND
from mobile_vla_sim.expert import bearing_of
from mobile_vla_sim.planner import distance_to_block
from mobile_vla_sim.scene import Scene
from mobile_vla_sim.sensors import RayFan
from mobile_vla_sim.world import World

SECTORS = 16
MOST_THINGS = 6
NO_COLOUR = len(EVERY_COLOUR)
FLOOR, WALL, CRATE, NOTHING = (len(EVERY_KIND) + extra for extra in range(4))
SURFACES = (*EVERY_KIND, "floor", "wall", "crate", "nothing")
FAR_M = 4.0
_RAYS_PER_SECTOR = 3
_RAY_HEIGHT_M = 0.10
_LEAST_SHARE = 0.25


class Labels(NamedTuple):
    """Labels of one picture. Sectors are vertical strips of equal width, from left to right."""

    patch_kind: npt.NDArray[np.uint8]
    """(patches, patches): index into SURFACES of what fills a patch; an object counts from a quarter on."""
    patch_colour: npt.NDArray[np.uint8]
    sector_range: npt.NDArray[np.float16]
    """Metres to the nearest solid thing near the floor, at most FAR_M, from the robot's middle."""
    sector_kind: npt.NDArray[np.uint8]
    sector_colour: npt.NDArray[np.uint8]
    thing_kind: npt.NDArray[np.uint8]
    """Per object of the room, in the room's order; NOTHING beyond the last."""
    thing_colour: npt.NDArray[np.uint8]
    thing_bearing: npt.NDArray[np.float16]
    thing_distance: npt.NDArray[np.float16]
    thing_seen: npt.NDArray[np.float16]
    """Share of the picture that shows it."""


class Labeller:
    """Labels pictures of one world. Call `begin` after every reset."""

    def __init__(self, world: World, patches: int) -> None:
        self._world = world
        self._patches = patches
        half = math.tan(math.radians(world.config.camera.horizontal_fov_deg) / 2.0)
        rays = SECTORS * _RAYS_PER_SECTOR
        across = 1.0 - 2.0 * (np.arange(rays) + 0.5) / rays
        self._beams = RayFan(np.arctan(across * half), _RAY_HEIGHT_M, 0.0, 50.0)
        self.begin()

    def begin(self) -> None:
        """Learn what the geoms of the present room are."""
        scene = self._world.scene
        self._things = scene.things[:MOST_THINGS]
        count = len(self._world.geom_names)
        # One more entry than geoms, so that index -1 (nothing) finds it.
        self._thing_of = np.full(count + 1, -1, np.int64)
        self._kind_of = np.full(count + 1, NOTHING, np.uint8)
        self._colour_of = np.full(count + 1, NO_COLOUR, np.uint8)
        for geom, name in enumerate(self._world.geom_names):
            self._kind_of[geom] = _surface(name)
        for index, thing in enumerate(scene.things):
            geom = self._world.geom_names.index(f"{thing.name} {index}")
            self._thing_of[geom] = index
            self._kind_of[geom] = EVERY_KIND.index(thing.kind)
            self._colour_of[geom] = EVERY_COLOUR.index(thing.colour)

    def label(self) -> Labels:
        """The labels of what the camera sees now."""
        kind, colour, seen = self._patch_labels()
        sector_range, sector_kind, sector_colour = self._sector_labels()
        bearing, distance = np.zeros(MOST_THINGS), np.full(MOST_THINGS, FAR_M * 2)
        thing_kind = np.full(MOST_THINGS, NOTHING, np.uint8)
        thing_colour = np.full(MOST_THINGS, NO_COLOUR, np.uint8)
        pose = self._world.pose
        for index, thing in enumerate(self._things):
            bearing[index] = bearing_of(pose, thing.x, thing.y)
            distance[index] = math.hypot(thing.x - pose.x, thing.y - pose.y)
            thing_kind[index], thing_colour[index] = EVERY_KIND.index(thing.kind), EVERY_COLOUR.index(thing.colour)
        return Labels(
            kind,
            colour,
            sector_range,
            sector_kind,
            sector_colour,
            thing_kind,
            thing_colour,
            bearing.astype(np.float16),
            distance.astype(np.float16),
            seen,
        )

    def _patch_labels(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
        fine, side = 6, self._patches
        geoms = self._world.render_geoms(side * fine * 4 // 3, side * fine)
        columns = ((np.arange(side * fine) + 0.5) * 4 / 3).astype(int)
        square = geoms[:, columns]
        seen = np.zeros(MOST_THINGS, np.float16)
        cells = square.reshape(side, fine, side, fine).swapaxes(1, 2).reshape(side * side, fine * fine)
        present = np.unique(square)
        shares = np.stack([(cells == geom).mean(1) for geom in present], axis=1)
        for column, geom in enumerate(present):
            thing = self._thing_of[geom]
            if thing >= 0:
                if thing < MOST_THINGS:
                    seen[thing] = shares[:, column].mean()
                # An object wins a patch that it fills to a quarter over whatever fills the rest.
                shares[:, column] += shares[:, column] >= _LEAST_SHARE
        chosen = present[np.argmax(shares, axis=1)]
        shape = (side, side)
        return self._kind_of[chosen].reshape(shape), self._colour_of[chosen].reshape(shape), seen

    def _sector_labels(self) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        distances, hits = self._world.cast(self._beams)
        distances = np.where(distances < 0.0, np.inf, distances).reshape(SECTORS, _RAYS_PER_SECTOR)
        nearest = np.argmin(distances, axis=1)
        geoms = hits.reshape(SECTORS, _RAYS_PER_SECTOR)[np.arange(SECTORS), nearest]
        ranges = np.minimum(distances.min(1), FAR_M).astype(np.float16)
        return ranges, self._kind_of[geoms], self._colour_of[geoms]


def clear_of_all(scene: Scene, x: float, y: float, margin_m: float) -> bool:
    """Whether a disc of this radius fits at a point."""
    inside = abs(x) <= scene.size_x_m / 2.0 - margin_m and abs(y) <= scene.size_y_m / 2.0 - margin_m
    return (
        inside
        and all(math.hypot(thing.x - x, thing.y - y) >= thing.footprint_m + margin_m for thing in scene.things)
        and all(float(distance_to_block(x, y, block)) >= margin_m for block in scene.blocks)
    )


def _surface(name: str) -> int:
    if name == "floor":
        return FLOOR
    if "wall" in name:
        return WALL
    return CRATE if name.startswith("crate") else NOTHING
