"""The stages of a recipe, their order and what a second run leaves out, with lessons that cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mobile_vla.config import with_values
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError
from mobile_vla.train import recipe
from mobile_vla.train.config import RecipeConfig
from mobile_vla.train.head.drives import Drives
from mobile_vla.train.recipe import CHECKPOINT, Recipe
from mobile_vla.train.tiny import design
from mobile_vla.train.tower_net import Batch, Sizes, TowerNet
from mobile_vla.train.tower_training import Curve

CONFIG = with_values(
    RecipeConfig(),
    {
        "rounds": 2,
        "size.width": 32,
        "size.vision_layers": 1,
        "size.text_layers": 1,
        "size.clip_layers": 1,
        "size.hidden": 32,
        "head.steps": 2,
        "head.batch": 4,
    },
)


class Lessons:
    """Random drives; `asked` says in which order they were asked for."""

    sizes = Sizes(kinds=3, colours=2, sectors=4, pairs=2, far_m=4.0)
    before = [0]  # noqa: RUF012 (a token id in front of the image)
    pair_tokens = torch.zeros(2, 3, dtype=torch.long)

    def __init__(self, width: int) -> None:
        self.asked: list[str] = []
        self._width = width

    def make(self) -> None:
        self.asked.append("make")

    def batches(self) -> tuple[Callable[[int], Batch], list[Batch]]:
        self.asked.append("batches")
        return pytest.fail, []

    def examine(self, net: TowerNet) -> None:
        self.asked.append("examine")

    def drives(self, net: TowerNet, rounds: int) -> tuple[Drives, Drives]:
        self.asked.append(f"drives of {rounds} rounds")
        random = torch.Generator().manual_seed(rounds)
        features = torch.randn(20, self._width, generator=random)
        return (drives := Drives.one(features, torch.zeros(20, 2))), drives

    def correct(self, number: int, checkpoint: Path) -> None:
        assert checkpoint.is_file(), "it is the policy that drives"
        self.asked.append(f"correct {number}")


def run(config: RecipeConfig, work: Path) -> list[str]:
    chosen = design(config, work, ("go", "ball"), "nothing")
    lessons = Lessons(chosen.layout.head.feature_width)
    assert Recipe(config, chosen, lessons, work, lambda text: None).run() == work / CHECKPOINT
    return lessons.asked


def test_every_stage_runs_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "fit_towers", lambda *args, **more: Curve())
    begin = ["make", "batches", "examine"]
    rounds = ["drives of 0 rounds", "correct 0", "drives of 1 rounds", "correct 1", "drives of 2 rounds"]
    assert run(CONFIG, tmp_path) == [*begin, *rounds]
    assert run(CONFIG, tmp_path) == [*begin, "correct 0", "correct 1"], "fitted heads are read, not fitted again"
    assert run(with_values(CONFIG, {"rounds": 3}), tmp_path)[-2:] == ["correct 2", "drives of 3 rounds"]
    policy = open_policy(InferenceConfig(checkpoint=str(tmp_path / CHECKPOINT)))
    policy.self_check()
    assert policy.description["weights"] == "trained"
    with pytest.raises(UserError, match=r"was begun with head\.steps 2, not 3"):
        run(with_values(CONFIG, {"head.steps": 3}), tmp_path)


def test_cuda_without_a_gpu_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe.torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="PyTorch finds no CUDA device"):
        run(with_values(CONFIG, {"device": "cuda"}), tmp_path)
