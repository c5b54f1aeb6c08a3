"""Objects in colours that have no name, so that shapes are learned for themselves.

Towers that see a shape only in some colours conclude from the colour what the shape cannot be. A picture whose
objects are grey, or have all hues turned, says nothing about named colours and everything about shapes. No turn ever
makes a pair that is kept for the test (`UNSEEN_PAIRS`). Crates keep their colour: a grey cube is not one of them.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
import numpy.typing as npt

from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND
from mobile_vla_sim.scene import COLOUR_RGB, UNSEEN_PAIRS

Images = npt.NDArray[np.uint8]

NAMELESS_SHARE, GREY_SHARE = 0.4, 0.3
# OpenCV counts hues in steps of two degrees.
_HUES = 180
# Of 255: what is more saturated than any crate, wall or floor is an object.
_OBJECT_SATURATION = 140
_LEAST_TURN, _APART, _TRIES = 8, 10, 12
_HUE = {name: round(colorsys.rgb_to_hsv(*rgb)[0] * _HUES) for name, rgb in COLOUR_RGB.items()}
_HAS_HUE = {name: max(rgb) - min(rgb) > 0.1 for name, rgb in COLOUR_RGB.items()}
_KEPT = {kind: [_HUE[colour] for colour, other in UNSEEN_PAIRS if other == kind] for kind in EVERY_KIND}


def recoloured(
    images: Images, kinds: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[Images, npt.NDArray[np.bool_]]:
    """Some of the pictures with objects in other colours, and which they are.

    `kinds` and `colours` (pictures, things) say what is there.
    """
    nameless = rng.random(len(images)) < NAMELESS_SHARE
    changed = images.copy()
    for row in np.flatnonzero(nameless):
        there = [
            (EVERY_COLOUR[colour], EVERY_KIND[kind])
            for colour, kind in zip(colours[row], kinds[row], strict=True)
            if kind < len(EVERY_KIND)
        ]
        turn = _turn(there, rng) if rng.random() >= GREY_SHARE else None
        changed[row] = _turned(images[row], turn, rng)
    return changed, nameless


def makes_unseen_pair(there: list[tuple[str, str]], turn: int) -> bool:
    """Whether a turn of all hues gives something nearly the colour of a pair that is kept for the test."""
    return any(
        _between(_HUE[colour] + turn, kept) < _APART
        for colour, kind in there
        if _HAS_HUE[colour]
        for kept in _KEPT[kind]
    )


def _turn(there: list[tuple[str, str]], rng: np.random.Generator) -> int | None:
    turns = rng.integers(_LEAST_TURN, _HUES - _LEAST_TURN, _TRIES)
    return next((int(turn) for turn in turns if not makes_unseen_pair(there, int(turn))), None)


def _between(first: int, second: int) -> int:
    """The shorter way around the circle of hues."""
    away = (first - second) % _HUES
    return min(away, _HUES - away)


def _turned(image: Images, turn: int | None, rng: np.random.Generator) -> Images:
    """The picture with all objects' hues turned, or grey as a camera with a random colour filter sees them."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    objects = cv2.dilate((hsv[..., 1] >= _OBJECT_SATURATION).astype(np.uint8), np.ones((3, 3), np.uint8))
    if turn is None:
        grey = image @ rng.dirichlet((1.0, 1.0, 1.0))
        changed = np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)
    else:
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + turn) % _HUES
        changed = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
    return np.where(objects[..., None] > 0, changed, image)
