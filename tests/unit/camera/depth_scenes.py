"""Depth pictures of simple scenes, worked out ray by ray in the robot's frame: x ahead, y left, z up from the floor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mobile_vla.camera.depth import DepthPicture, Intrinsics

NOTHING = math.inf


@dataclass(frozen=True)
class Camera:
    """A pinhole on the robot, above the origin."""

    width: int = 64
    height: int = 48
    focal: float = 48.0
    mount_m: float = 0.3
    pitch_deg: float = 0.0
    off_centre: float = 0.0

    @property
    def centre(self) -> tuple[float, float]:
        return (self.width - 1) / 2 + self.off_centre, (self.height - 1) / 2

    @property
    def intrinsics(self) -> Intrinsics:
        cx, cy = self.centre
        return Intrinsics(self.width, self.height, (self.focal, 0.0, cx, 0.0, self.focal, cy, 0.0, 0.0, 1.0))

    @property
    def turn(self) -> np.ndarray:
        """Columns: where the picture's right, down and axis point in the robot's frame."""
        pitch = math.radians(self.pitch_deg)
        axis = np.array([math.cos(pitch), 0.0, -math.sin(pitch)])
        right = np.array([0.0, -1.0, 0.0])
        return np.stack([right, np.cross(axis, right), axis], axis=1)

    def rays(self) -> np.ndarray:
        """Per pixel the way of one metre of depth, rows x columns x 3."""
        cx, cy = self.centre
        columns, rows = np.meshgrid(np.arange(self.width), np.arange(self.height))
        looks = np.stack([(columns - cx) / self.focal, (rows - cy) / self.focal, np.ones(columns.shape)], axis=-1)
        return looks @ self.turn.T

    def seen_at(self, x: float, y: float, z: float) -> tuple[int, int, float] | None:
        """Row, column and depth of a point; None when it is not in the picture."""
        right, down, depth = self.turn.T @ np.array([x, y, z - self.mount_m])
        if depth <= 0:
            return None
        column, row = (round(self.focal * part / depth + c) for part, c in zip((right, down), self.centre, strict=True))
        return (row, column, float(depth)) if 0 <= row < self.height and 0 <= column < self.width else None

    def plane(self, axis: int, at: float) -> np.ndarray:
        """Depth of the plane where a coordinate has a value."""
        return self._to_plane(axis, at)

    def floor(self) -> np.ndarray:
        return self.plane(2, 0.0)

    def box(self, low: tuple[float, float, float], high: tuple[float, float, float]) -> np.ndarray:
        """Depth of a box with faces along the axes."""
        enters, leaves = np.zeros((self.height, self.width)), np.full((self.height, self.width), np.inf)
        for axis in range(3):
            pair = [self._to_plane(axis, bound[axis], behind=True) for bound in (low, high)]
            enters = np.maximum(enters, np.minimum(*pair))
            leaves = np.minimum(leaves, np.maximum(*pair))
        return np.where(enters <= leaves, enters, NOTHING)

    def _to_plane(self, axis: int, at: float, behind: bool = False) -> np.ndarray:
        way = self.rays()[..., axis]
        start = self.mount_m if axis == 2 else 0.0
        depth = (at - start) / np.where(way == 0.0, 1e-12, way)
        return depth if behind else np.where(depth > 0, depth, NOTHING)


def metres(depth: Any) -> DepthPicture:
    """A 32FC1 picture."""
    pixels = np.ascontiguousarray(depth, np.float32)
    return DepthPicture(pixels.tobytes(), *pixels.shape, 4 * pixels.shape[1], "32FC1")


def millimetres(depth: Any) -> DepthPicture:
    """A 16UC1 picture, 0 where nothing was measured."""
    pixels = np.nan_to_num(np.round(np.asarray(depth) * 1e3), nan=0.0, posinf=0.0).astype(np.uint16)
    return DepthPicture(pixels.tobytes(), *pixels.shape, 2 * pixels.shape[1], "16UC1")
