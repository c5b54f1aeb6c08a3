"""The lessons of the small policy, made in simulated rooms: shards, batches, examination, drives, corrections."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.files import write_text
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.train.config import RecipeConfig
from mobile_vla.train.head.drives import Drives, joined
from mobile_vla.train.recipe import Recipe, Say
from mobile_vla.train.tiny import Design, design
from mobile_vla.train.tower_net import Batch, TowerNet
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND, SimulatorConfig
from mobile_vla_sim.dataset import (
    CORRECTED,
    EPISODES,
    POSES,
    Correction,
    DatasetSpec,
    Shard,
    Shards,
    make,
    small_camera,
)
from mobile_vla_sim.drivers import ActionScale
from mobile_vla_sim.lessons import SIZES, Language, Lessons, words
from mobile_vla_sim.tower_evaluation import evaluate_towers

TRAINING_DATA = "simulated rooms of mobile_vla_sim, an expert's drives"
_FEATURES_AT_ONCE = 256
_HELD_OUT_BATCHES = 4
# Rooms that neither training nor a suite uses.
_FIRST_EXAMINED = 3_500_000


def recipe(config: RecipeConfig, simulator: SimulatorConfig, gate: ControllerConfig, work: Path, say: Say) -> Recipe:
    """A training run on simulated lessons in one work folder."""
    chosen = design(config, work, words(), TRAINING_DATA)
    return Recipe(config, chosen, SimulatedLessons(config, chosen, simulator, gate, work=work, say=say), work, say)


class SimulatedLessons:
    """What `Recipe` asks of a `LessonSource`. Shards are kept in `work`/data."""

    sizes = SIZES

    def __init__(
        self,
        config: RecipeConfig,
        chosen: Design,
        simulator: SimulatorConfig,
        gate: ControllerConfig,
        *,
        work: Path,
        say: Say,
    ) -> None:
        self._config, self._gate, self._work, self._say = config, gate, work, say
        self._spec = DatasetSpec(
            image_px=config.size.image_px,
            patches=config.size.patches,
            push_share=config.push_share,
            remembers_s=config.size.memory_s,
            scale=ActionScale(gate.action.linear_mps, gate.action.turn_radps, gate.action.lateral_mps),
            simulator=small_camera(simulator),
        )
        image = chosen.card.kosmos_image
        self._image = Preprocess(image)
        self._mean, self._std = torch.tensor(image.mean), torch.tensor(image.std)
        self._language = Language(chosen.tokens)
        self.before, self.pair_tokens = self._language.before, self._language.pair_tokens
        self._seen: dict[Shard, Drives] = {}

    def make(self) -> None:
        """Pictures and drives."""
        shards = [*self._episodes(), *self._poses()]
        done = sum((self._work / "data" / shard.name).is_dir() for shard in shards)

        def progress(shard: Shard) -> None:
            nonlocal done
            done += 1
            self._say(f"data: {done} of {len(shards)} shards ({shard.name})")

        self._make(shards, None, progress)

    def correct(self, number: int, checkpoint: Path) -> None:
        """The policy drives training rooms, the expert says what would have been right."""
        correction = Correction(checkpoint, self._config.expert_share, self._gate)

        def progress(shard: Shard) -> None:
            self._say(f"round {number + 1}: {shard.name}")

        self._make(self._corrected(number + 1), correction, progress)

    def batches(self) -> tuple[Callable[[int], Batch], list[Batch]]:
        """Of all pictures of training, and of some held-out shards."""
        episodes, poses = self._split(self._episodes()), self._split(self._poses())
        learned, held_out = (self._lessons([*episodes[part], *poses[part]]) for part in (0, 1))
        return learned.batch, held_out.held_out(_HELD_OUT_BATCHES)

    def examine(self, net: TowerNet) -> None:
        """Rooms that the towers never saw, with pairs and styles of training and with others."""
        file = self._work / "towers-examined.json"
        if file.exists():
            return
        seeds = range(_FIRST_EXAMINED, _FIRST_EXAMINED + self._config.rooms_examined)
        found = []
        for pairs, styles in itertools.product(("trained", "unseen"), repeat=2):
            rooms = with_values(self._spec.simulator, {"room.pairs": pairs, "room.styles": styles})
            found.append(evaluate_towers(net, self._language, self._image, rooms, seeds))
        write_text(file, json.dumps([one._asdict() for one in found], indent=2))
        for one in found:
            self._say(f"towers: {one}")

    def drives(self, net: TowerNet, rounds: int) -> tuple[Drives, Drives]:
        """The expert's drives and the corrected ones of so many rounds; the towers look at each shard only once."""
        learned, held_out = self._split(self._episodes())
        return self._drives(net, [*learned, *self._corrected(rounds)]), self._drives(net, held_out)

    def _make(self, shards: Sequence[Shard], correction: Correction | None, progress: Callable[[Shard], None]) -> None:
        workers = self._config.workers
        make(self._work / "data", shards, self._spec, self._image, correction, workers=workers, progress=progress)

    def _drives(self, net: TowerNet, shards: Sequence[Shard]) -> Drives:
        for shard in shards:
            if shard not in self._seen:
                self._seen[shard] = self._features(net, shard)
        return joined([self._seen[shard] for shard in shards])

    def _lessons(self, shards: Sequence[Shard]) -> Lessons:
        config, data = self._config.towers, Shards(self._work / "data", shards)
        return Lessons(data, self._language, batch=config.batch, seed=config.seed, mean=self._mean, std=self._std)

    @torch.inference_mode()
    def _features(self, net: TowerNet, shard: Shard) -> Drives:
        """Features of every frame of a shard under one sentence per episode."""
        mean, std = self._mean[:, None, None], self._std[:, None, None]
        data = Shards(self._work / "data", [shard])
        seeds, goal = data.labels["seed"], data.labels["goal"]
        starts = np.flatnonzero(np.r_[True, seeds[1:] != seeds[:-1]])
        start_of = np.repeat(starts, np.diff(np.r_[starts, len(seeds)]))
        sentences = {}
        for start in starts:
            kind, colour = (data.labels[name][start][goal[start]] for name in ("thing_kind", "thing_colour"))
            rng = np.random.default_rng((int(seeds[start]), 21))
            sentences[int(start)] = self._language.sentence((EVERY_COLOUR[colour], EVERY_KIND[kind]), rng)
        features = []
        for first in range(0, len(data), _FEATURES_AT_ONCE):
            rows = np.arange(first, min(first + _FEATURES_AT_ONCE, len(data)))
            images = torch.from_numpy(data.images(rows)).permute(0, 3, 1, 2).float() / 255.0
            told = [sentences[int(start_of[row])] for row in rows]
            parts = net.features(
                (images - mean) / std, torch.stack([one[0] for one in told]), torch.stack([one[1] for one in told])
            )
            features.append(torch.cat(parts, dim=1))
        return Drives(torch.cat(features).clone(), torch.from_numpy(data.labels["action"]), torch.from_numpy(start_of))

    def _episodes(self) -> list[Shard]:
        return [Shard(EPISODES, number) for number in range(self._config.episode_shards)]

    def _poses(self) -> list[Shard]:
        return [Shard(POSES, number) for number in range(self._config.pose_shards)]

    def _corrected(self, rounds: int) -> list[Shard]:
        return [Shard(CORRECTED, number) for number in range(self._config.shards_per_round * rounds)]

    def _split(self, shards: list[Shard]) -> tuple[list[Shard], list[Shard]]:
        """The last shards are held out."""
        count = max(1, round(len(shards) * self._config.held_out_share))
        return shards[:-count], shards[-count:]
