"""Evaluates trained towers on unseen images: is the goal in view, and at which bearing.

It tells whether a policy that does not arrive fails to see, to understand, or to drive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.train.tower_net import TowerNet
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND, SimulatorConfig
from mobile_vla_sim.dataset import random_pose
from mobile_vla_sim.labels import Labeller
from mobile_vla_sim.lessons import SEEN_SHARE, UNSURE_SHARE, Language
from mobile_vla_sim.world import World

PICTURES_PER_ROOM = 6


class TowerEvaluation(NamedTuple):
    """About the goals of rooms with some pairs and some styles. A share of nothing is None."""

    pairs: str
    styles: str
    pictures: int
    seen: float | None
    """Share of the goals in view that the last token says are in view."""
    imagined: float | None
    """Share of the goals out of view that it says are in view."""
    bearing_error_rad: float | None
    """Median over the goals in view."""
    colour_right: float | None
    """Share of the patches filled by a goal whose colour the patches say right, whatever was asked."""
    kind_right: float | None

    def __str__(self) -> str:
        return (
            f"{self.pairs} pairs in {self.styles} styles, {self.pictures} pictures: said to be in view "
            f"{_number(self.seen)} of those that are, {_number(self.imagined)} of the others; "
            f"bearing within {_number(self.bearing_error_rad, 3)} rad; "
            f"colour of goals right in {_number(self.colour_right)} and kind in {_number(self.kind_right)}"
        )


class _Question(NamedTuple):
    """One picture, and what is true about the goal in it."""

    picture: np.ndarray
    told: tuple[torch.Tensor, torch.Tensor]
    share: float
    bearing_rad: float
    kind: int
    colour: int
    patches: np.ndarray
    """(patches,): whether something like the goal fills it."""


@torch.inference_mode()
def evaluate_towers(
    net: TowerNet, language: Language, image: Preprocess, simulator: SimulatorConfig, seeds: range
) -> TowerEvaluation:
    """Ask about the goal of each room from a few places."""
    questions = [
        one
        for one in _questions(net, language, image, simulator, seeds)
        if one.share >= SEEN_SHARE or one.share < UNSURE_SHARE
    ]
    pixels = torch.from_numpy(np.stack([one.picture for one in questions]))
    tokens, last = (torch.stack(parts) for parts in zip(*(one.told for one in questions), strict=True))
    visible = torch.tensor([one.share >= SEEN_SHARE for one in questions])
    bearing = torch.tensor([one.bearing_rad for one in questions])
    half_view = math.radians(simulator.camera.horizontal_fov_deg) / 2.0
    answers = net.heads.last(net.features(pixels, tokens, last)[0])
    in_view, pointed = answers[:, 0] > 0.0, answers[:, 1].tanh() * half_view
    kinds, colours = net.name_patches(pixels)
    filled = torch.from_numpy(np.stack([one.patches for one in questions]))
    kind_right = kinds == torch.tensor([one.kind for one in questions])[:, None]
    colour_right = colours == torch.tensor([one.colour for one in questions])[:, None]
    return TowerEvaluation(
        simulator.room.pairs,
        simulator.room.styles,
        len(questions),
        _share(in_view[visible]),
        _share(in_view[~visible]),
        (pointed - bearing)[visible].abs().median().item() if visible.any() else None,
        _share(colour_right[filled]),
        _share(kind_right[filled]),
    )


def _share(right: torch.Tensor) -> float | None:
    return right.float().mean().item() if len(right) else None


def _number(value: float | None, digits: int = 2) -> str:
    return "(none)" if value is None else f"{value:.{digits}f}"


def _questions(
    net: TowerNet, language: Language, image: Preprocess, simulator: SimulatorConfig, seeds: range
) -> Iterator[_Question]:
    with World(simulator, seeds[0]) as world:
        labeller = Labeller(world, net.patches_along)
        for seed in seeds:
            world.reset(seed)
            labeller.begin()
            rng = np.random.default_rng(seed)
            goal, target = world.scene.goal, world.scene.target
            kind, colour = EVERY_KIND.index(target.kind), EVERY_COLOUR.index(target.colour)
            for _ in range(PICTURES_PER_ROOM):
                world.place(random_pose(world, rng))
                labels = labeller.label()
                yield _Question(
                    image.normalised(image.geometry(world.render())),
                    language.sentence((target.colour, target.kind), rng),
                    float(labels.thing_seen[goal]),
                    float(labels.thing_bearing[goal]),
                    kind,
                    colour,
                    ((labels.patch_kind == kind) & (labels.patch_colour == colour)).ravel(),
                )
