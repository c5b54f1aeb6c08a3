"""What freshly trained towers say about pictures that they never saw: is the goal in view, and where.

It tells whether a policy that does not arrive fails to see, to understand, or to drive.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.train.tower_net import TowerNet
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.dataset import random_pose
from mobile_vla_sim.labels import Labeller
from mobile_vla_sim.lessons import SEEN_SHARE, UNSURE_SHARE, Language
from mobile_vla_sim.world import World

PICTURES_PER_ROOM = 6


class Understanding(NamedTuple):
    """About the goals of rooms with some pairs and some styles."""

    pairs: str
    styles: str
    pictures: int
    seen: float
    """Share of the goals in view that the last token says are in view."""
    imagined: float
    """Share of the goals out of view that it says are in view."""
    bearing_error_rad: float
    """Median over the goals in view."""

    def __str__(self) -> str:
        return (
            f"{self.pairs} pairs in {self.styles} styles, {self.pictures} pictures: said to be in view {self.seen:.2f} "
            f"of those that are and {self.imagined:.2f} of the others, bearing within {self.bearing_error_rad:.3f} rad"
        )


@torch.inference_mode()
def understanding(
    net: TowerNet, language: Language, image: Preprocess, simulator: SimulatorConfig, seeds: range
) -> Understanding:
    """Ask about the goal of each room from a few places."""
    pictures, told, shares, bearings = [], [], [], []
    with World(simulator, seeds[0]) as world:
        labeller = Labeller(world, 8)
        for seed in seeds:
            world.reset(seed)
            labeller.begin()
            rng = np.random.default_rng(seed)
            goal, target = world.scene.goal, world.scene.target
            for _ in range(PICTURES_PER_ROOM):
                world.place(random_pose(world, rng))
                labels = labeller.label()
                pictures.append(image.normalised(image.geometry(world.render())))
                told.append(language.sentence((target.colour, target.kind), rng))
                shares.append(float(labels.thing_seen[goal]))
                bearings.append(float(labels.thing_bearing[goal]))
    known = [share >= SEEN_SHARE or share < UNSURE_SHARE for share in shares]
    said, pointed = _answers(net, np.stack(pictures), told)
    visible = torch.tensor(shares)[known] >= SEEN_SHARE
    said, pointed, bearing = said[known], pointed[known], torch.tensor(bearings)[known]
    half_view = math.radians(simulator.camera.horizontal_fov_deg) / 2.0
    return Understanding(
        simulator.room.pairs,
        simulator.room.styles,
        len(visible),
        said[visible].float().mean().item(),
        said[~visible].float().mean().item(),
        (pointed * half_view - bearing)[visible].abs().median().item(),
    )


def _answers(
    net: TowerNet, pictures: np.ndarray, told: list[tuple[torch.Tensor, torch.Tensor]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Whether it is in view, and its bearing as a share of half the view."""
    tokens, last = (torch.stack(parts) for parts in zip(*told, strict=True))
    text, _, _ = net.listen(torch.from_numpy(pictures), tokens, last)
    answers = net.heads.last(text)
    return answers[:, 0] > 0.0, answers[:, 1].tanh()
