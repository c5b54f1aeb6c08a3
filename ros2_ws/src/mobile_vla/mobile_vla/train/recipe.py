"""The recipe of the small policy, from nothing to a checkpoint: data, towers, head, correction rounds.

Every stage leaves its result in the work folder and is skipped when the result is there: a run that was interrupted
goes on where it stopped. The same configuration gives the same run (on the same library versions). The data comes from
a `LessonSource`, which the simulator is (`mobile_vla_sim.simulated_lessons`).
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from mobile_vla.config import to_mapping
from mobile_vla.engine import open_policy
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.load import Loaded
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary, write_text
from mobile_vla.policy.model import PolicyModel, tower_facts
from mobile_vla.train.config import RecipeConfig
from mobile_vla.train.head.drives import Drives
from mobile_vla.train.head.steps import fit_steps
from mobile_vla.train.save import DTYPE, save_checkpoint
from mobile_vla.train.tiny import Design
from mobile_vla.train.tower_net import Batch, Sizes, TowerNet, initialise
from mobile_vla.train.tower_training import fit_towers

CHECKPOINT, LOG = "policy.safetensors", "recipe.json"
# What does not change what is made, and what may be added to a finished run.
_MAY_CHANGE = ("threads", "workers", "device", "rounds")

Say = Callable[[str], None]


class LessonSource(Protocol):
    """Who makes what the policy learns from. What has been made is kept, and not made again."""

    sizes: Sizes
    before: list[int]
    """Token ids in front of the image."""
    pair_tokens: Tensor
    """(pairs, length): every trained pair of colour and kind, named to CLIP."""

    def make(self) -> None:
        """Pictures and drives."""

    def batches(self) -> tuple[Callable[[int], Batch], list[Batch]]:
        """The towers' batch of every step, and some held-out ones."""

    def examine(self, net: TowerNet) -> None:
        """Ask finished towers about pictures that they never saw, and say what they answer."""

    def drives(self, net: TowerNet, rounds: int) -> tuple[Drives, Drives]:
        """As the towers see them: to learn from, with those of so many correction rounds, and held out."""

    def correct(self, number: int, checkpoint: Path) -> None:
        """Drives of a round: the policy drives, the expert says what would have been right."""


class Recipe:
    """One training run in one work folder."""

    def __init__(self, config: RecipeConfig, design: Design, lessons: LessonSource, work: Path, say: Say) -> None:
        self.config, self.work, self._say = config, work, say
        self._design, self._lessons = design, lessons
        self._seconds = _seconds_so_far(work / LOG, config)
        torch.set_num_threads(config.threads)
        if config.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device is cuda but PyTorch finds no CUDA device; train on cpu, or install a CUDA build")

    def run(self) -> Path:
        """Every stage; returns the checkpoint."""
        self._timed("data", self._lessons.make)
        net = self._timed("towers", self.train_towers)
        self._timed("examination", lambda: self._lessons.examine(net))
        self._timed("head", lambda: self.train_head(net, 0))
        for number in range(self.config.rounds):
            self._timed(f"round {number + 1}", functools.partial(self.correct, net, number))
        return self.work / CHECKPOINT

    def train_towers(self) -> TowerNet:
        """Towers that see where things are and which one is meant."""
        config, lessons = self.config.towers, self._lessons
        torch.manual_seed(config.seed)
        card, layout = self._design.card, self._design.layout
        policy = PolicyModel(layout, tower_facts(layout, card), card.final_activation)
        initialise(policy, config.seed)
        net = TowerNet(policy, lessons.sizes, lessons.before).to(self.config.device)
        batch_at, held_out = lessons.batches()

        def progress(step: int, loss: float, seconds: float) -> None:
            self._say(f"towers: step {step} of {config.steps}, loss {loss:.3f}, {seconds:.0f} s")

        state = self.work / "towers.pt"
        curve = fit_towers(
            net, config, batch_at, lambda: held_out, lessons.pair_tokens, state_file=state, progress=progress
        )
        net.to("cpu")
        write_text(self.work / "towers.json", json.dumps(curve.rows))
        return net

    def train_head(self, net: TowerNet, rounds: int) -> None:
        """Fusion, LSTM and MLP on the towers' features; writes the checkpoint."""
        config = self.config.head
        file = self.work / f"head-{rounds}.pt"
        policy = net.policy
        if file.exists():
            policy.load_state_dict(torch.load(file, weights_only=True))
        else:
            learned, measured = self._lessons.drives(net, rounds)

            def progress(step: int, loss: float) -> None:
                self._say(f"head: step {step} of {config.steps}, loss {loss:.4f}")

            loss = fit_steps(policy, learned, measured, config, self.config.size.window, progress=progress)
            self._say(f"head: held-out loss {loss:.4f} over {len(measured.targets)} frames")
            with atomic_binary(file) as state:
                torch.save(policy.state_dict(), state)
        checkpoint = self.work / CHECKPOINT
        trained = Loaded(policy, self._design.card, self.work, DTYPE, ())
        save_checkpoint(checkpoint, trained, {"recipe": json.dumps(to_mapping(self.config))})
        open_policy(InferenceConfig(checkpoint=str(checkpoint), threads=self.config.threads)).self_check()

    def correct(self, net: TowerNet, number: int) -> None:
        """The policy drives, the expert says what would have been right, the head learns again."""
        self._lessons.correct(number, self.work / CHECKPOINT)
        self.train_head(net, number + 1)

    def _timed(self, name: str, stage: Callable[[], Any]) -> Any:
        before = time.monotonic()
        result = stage()
        took = time.monotonic() - before
        self._seconds[name] = self._seconds.get(name, 0.0) + took
        self._say(f"{name}: done after {took:.0f} s")
        log = {"seconds": self._seconds, "config": to_mapping(self.config)}
        write_text(self.work / LOG, json.dumps(log, indent=2))
        return result


def _seconds_so_far(log: Path, config: RecipeConfig) -> dict[str, float]:
    """What earlier runs in this work folder took; refuses a folder that was begun with another recipe."""
    if not log.exists():
        return {}
    before = json.loads(log.read_text())
    for name, value in to_mapping(config).items():
        begun = before["config"].get(name)
        if name not in _MAY_CHANGE and begun != value:
            raise UserError(
                f"{log.parent} was begun with {name} {begun}, not {value}; finish it with the same settings, "
                "or name a new folder"
            )
    return {str(name): float(seconds) for name, seconds in before["seconds"].items()}
