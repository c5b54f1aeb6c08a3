"""Evaluation of towers with known outputs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mobile_vla.checkpoint.sizes import clip_normalised
from mobile_vla.config import with_values
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla_sim import tower_evaluation as module
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND, SimulatorConfig
from mobile_vla_sim.scene import Pose
from mobile_vla_sim.tower_evaluation import evaluate_towers

HALF_VIEW = math.radians(43.0)
ROOM = with_values(
    SimulatorConfig(), {"camera.width_px": 96, "camera.height_px": 72, "scenario": "open_floor"}
)  # a blue ball at (3, 0)


class Towers:
    """Say that everything is in view, half way to the left, and that every patch is part of a blue cube."""

    patches_along = 8

    def __init__(self) -> None:
        answers = torch.tensor([1.0, math.atanh(0.5)])
        self.heads = SimpleNamespace(last=lambda text: answers.expand(len(text), -1))

    def features(self, pixels: torch.Tensor, tokens: torch.Tensor, last: torch.Tensor) -> tuple[torch.Tensor]:
        return (torch.zeros(len(pixels), 4),)

    def name_patches(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        def all_of(value: int) -> torch.Tensor:
            return torch.full((len(pixels), 64), value)

        return all_of(EVERY_KIND.index("cube")), all_of(EVERY_COLOUR.index("blue"))


class Language:
    def sentence(self, asked: tuple[str, str], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        assert asked == ("blue", "ball")
        return torch.zeros(3, dtype=torch.long), torch.tensor(2)


def test_every_metric_counts_its_own_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    places = iter([Pose(1.0, 0.0, 0.0)] * 4 + [Pose(1.0, 0.0, math.pi)] * 2)
    monkeypatch.setattr(module, "random_pose", lambda world, rng: next(places))
    towers: Any = Towers()
    language: Any = Language()
    found = evaluate_towers(towers, language, Preprocess(clip_normalised(96, "squash")), ROOM, range(5, 6))
    assert found.pictures == 6
    assert (found.seen, found.imagined) == (1.0, 1.0)
    assert found.bearing_error_rad == pytest.approx(0.5 * HALF_VIEW, abs=1e-3)
    assert (found.colour_right, found.kind_right) == (1.0, 0.0)
    assert "colour of goals right in 1.00 and kind in 0.00" in str(found)


def test_an_empty_share_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "random_pose", lambda world, rng: Pose(1.0, 0.0, math.pi))
    towers: Any = Towers()
    language: Any = Language()
    found = evaluate_towers(towers, language, Preprocess(clip_normalised(96, "squash")), ROOM, range(5, 6))
    assert (found.seen, found.imagined, found.bearing_error_rad, found.kind_right) == (None, 1.0, None, None)
    assert "said to be in view (none) of those that are, 1.00 of the others" in str(found)
