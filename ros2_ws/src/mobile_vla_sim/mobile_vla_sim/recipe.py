"""The recipe of the shipped policy, from nothing to a checkpoint: data, towers, head, correction rounds, export.

Every stage leaves its result in the work folder and is skipped when the result is there: a run that was interrupted
goes on where it stopped. The same configuration gives the same run (on the same library versions).
"""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobile_vla.checkpoint.card import Card
from mobile_vla.config import to_mapping, with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.errors import UserError
from mobile_vla.files import atomic_binary, write_text
from mobile_vla.policy.model import PolicyModel, tower_facts
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.train.config import RecipeConfig
from mobile_vla.train.export import export
from mobile_vla.train.head_training import Drives, fit_head
from mobile_vla.train.tiny import TOKENIZER, card_of, layout_of, write_tokenizer
from mobile_vla.train.tower_net import TowerNet, initialise
from mobile_vla.train.tower_training import fit_towers
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND, SimulatorConfig
from mobile_vla_sim.dataset import CORRECTED, EPISODES, POSES, Correction, Data, DatasetSpec, Shard, make, small_camera
from mobile_vla_sim.drivers import ActionScale
from mobile_vla_sim.lessons import SIZES, Language, Lessons, words
from mobile_vla_sim.understanding import understanding

CHECKPOINT, LOG = "policy.safetensors", "recipe.json"
# What does not change what is made, and what may be added to a finished run.
_MAY_CHANGE = ("threads", "workers", "device", "rounds")
_FEATURES_AT_ONCE = 256
# Rooms that neither training nor a suite uses.
_FIRST_EXAMINED = 3_500_000


Say = Callable[[str], None]


class Recipe:
    """One training run in one work folder."""

    def __init__(
        self, config: RecipeConfig, simulator: SimulatorConfig, gate: ControllerConfig, work: Path, say: Say
    ) -> None:
        self.config, self.work, self._gate, self._say = config, work, gate, say
        self._spec = DatasetSpec(
            image_px=config.size.image_px,
            patches=config.size.patches,
            push_share=config.push_share,
            remembers_s=config.size.memory_s,
            scale=ActionScale(gate.action.linear_mps, gate.action.turn_radps, gate.action.lateral_mps),
            simulator=small_camera(simulator),
        )
        work.mkdir(parents=True, exist_ok=True)
        tokens = write_tokenizer(work / TOKENIZER, words())
        self.card: Card = card_of(
            config.size, tokens, config.name, "simulated rooms of mobile_vla_sim, an expert's drives"
        )
        self._layout = layout_of(config.size, tokens)
        self._language = Language(tokens_of(self.card, self._layout, work))
        self._image = Preprocess(self.card.kosmos_image)
        self._looked_at: dict[Shard, Drives] = {}
        self._seconds = _seconds_so_far(work / LOG, config)
        torch.set_num_threads(config.threads)
        if config.device == "cuda" and not torch.cuda.is_available():
            raise UserError("device is cuda but PyTorch finds no CUDA device; train on cpu, or install a CUDA build")

    def run(self) -> Path:
        """Every stage; returns the checkpoint."""
        self._timed("data", self.make_data)
        net = self._timed("towers", self.train_towers)
        self._timed("examination", lambda: self.examine(net))
        self._timed("head", lambda: self.train_head(net, ()))
        for number in range(self.config.rounds):
            self._timed(f"round {number + 1}", functools.partial(self.correct, net, number))
        return self.work / CHECKPOINT

    # -- stages --------------------------------------------------------------------------------------------------

    def make_data(self) -> None:
        """Pictures and drives."""
        shards = [*self._shards(EPISODES, self.config.episode_shards), *self._shards(POSES, self.config.pose_shards)]
        done = sum((self.work / "data" / shard.name).is_dir() for shard in shards)

        def progress(shard: Shard) -> None:
            nonlocal done
            done += 1
            self._say(f"data: {done} of {len(shards)} shards ({shard.name})")

        make(self.work / "data", shards, self._spec, self._image, workers=self.config.workers, progress=progress)

    def train_towers(self) -> TowerNet:
        """Towers that see where things are and which one is meant."""
        config = self.config.towers
        torch.manual_seed(config.seed)
        policy = PolicyModel(self._layout, tower_facts(self._layout, self.card), self.card.final_activation)
        initialise(policy, config.seed)
        net = TowerNet(policy, SIZES, self._language.before).to(self.config.device)
        episodes, poses = (
            self._split(self._shards(kind, count))
            for kind, count in ((EPISODES, self.config.episode_shards), (POSES, self.config.pose_shards))
        )
        lessons = self._lessons([*episodes[0], *poses[0]])
        held_out = self._lessons([*episodes[1], *poses[1]]).held_out(4)

        def progress(step: int, loss: float, seconds: float) -> None:
            self._say(f"towers: step {step} of {config.steps}, loss {loss:.3f}, {seconds:.0f} s")

        curve = fit_towers(
            net,
            config,
            lessons.batch,
            lambda: held_out,
            self._language.pair_tokens,
            state_file=self.work / "towers.pt",
            progress=progress,
        )
        net.to("cpu")
        write_text(self.work / "towers.json", json.dumps(curve.rows))
        return net

    def examine(self, net: TowerNet) -> None:
        """Ask the towers about rooms that they never saw, with pairs and styles of training and with others."""
        file = self.work / "towers-examined.json"
        if not file.exists():
            seeds = range(_FIRST_EXAMINED, _FIRST_EXAMINED + self.config.rooms_examined)
            found = []
            for pairs, styles in itertools.product(("trained", "unseen"), repeat=2):
                rooms = with_values(self._spec.simulator, {"room.pairs": pairs, "room.styles": styles})
                found.append(understanding(net, self._language, self._image, rooms, seeds))
            write_text(file, json.dumps([one._asdict() for one in found], indent=2))
            for one in found:
                self._say(f"towers: {one}")

    def train_head(self, net: TowerNet, corrected: Sequence[Shard]) -> None:
        """Fusion, LSTM and MLP on the towers' features; writes the checkpoint."""
        name = f"head-{len(corrected) // self.config.shards_per_round}.pt"
        file = self.work / name
        policy = net.policy
        if file.exists():
            policy.load_state_dict(torch.load(file, weights_only=True))
        else:
            train, held_out = self._split(self._shards(EPISODES, self.config.episode_shards))
            learned = self._drives(net, [*train, *corrected])
            measured = self._drives(net, held_out)
            loss = fit_head(
                policy,
                learned,
                measured,
                self.config.head,
                self.config.size.window,
                progress=lambda step, loss: self._say(
                    f"head: step {step} of {self.config.head.steps}, loss {loss:.4f}"
                ),
            )
            self._say(f"head: held-out loss {loss:.4f} over {len(measured.actions)} frames")
            with atomic_binary(file) as whole:
                torch.save(policy.state_dict(), whole)
        self.card = export(policy, self.card, self.work / CHECKPOINT, {"recipe": json.dumps(to_mapping(self.config))})

    def correct(self, net: TowerNet, number: int) -> None:
        """The policy drives training rooms, the expert says what would have been right, the head learns again."""
        shards = self._shards(CORRECTED, self.config.shards_per_round * (number + 1))
        make(
            self.work / "data",
            shards,
            self._spec,
            self._image,
            Correction(self.work / CHECKPOINT, self.config.expert_share, self._gate),
            workers=self.config.workers,
            progress=lambda shard: self._say(f"round {number + 1}: {shard.name}"),
        )
        self.train_head(net, shards)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _lessons(self, shards: Sequence[Shard]) -> Lessons:
        mean, std = (torch.tensor(values) for values in (self.card.kosmos_image.mean, self.card.kosmos_image.std))
        config = self.config.towers
        data = Data(self.work / "data", shards)
        return Lessons(data, self._language, batch=config.batch, seed=config.seed, mean=mean, std=std)

    def _drives(self, net: TowerNet, shards: Sequence[Shard]) -> Drives:
        """The drives of some shards, one after the other; the towers look at each only once."""
        for shard in shards:
            if shard not in self._looked_at:
                self._looked_at[shard] = self._features(net, shard)
        parts = [self._looked_at[shard] for shard in shards]
        before = np.cumsum([0, *(len(part.actions) for part in parts)])
        starts = [part.starts + int(count) for part, count in zip(parts, before[:-1], strict=True)]
        return Drives(
            torch.cat([part.features for part in parts]), torch.cat([part.actions for part in parts]), torch.cat(starts)
        )

    @torch.inference_mode()
    def _features(self, net: TowerNet, shard: Shard) -> Drives:
        """Features of every frame of a shard under one sentence per episode."""
        mean, std = (
            torch.tensor(values)[:, None, None] for values in (self.card.kosmos_image.mean, self.card.kosmos_image.std)
        )
        data = Data(self.work / "data", [shard])
        seeds, goal = data.labels["seed"], data.labels["goal"]
        starts = np.flatnonzero(np.r_[True, seeds[1:] != seeds[:-1]])
        start_of = np.repeat(starts, np.diff(np.r_[starts, len(seeds)]))
        sentences = {}
        for start in starts:
            kind, colour = (data.labels[name][start][goal[start]] for name in ("thing_kind", "thing_colour"))
            rng = np.random.default_rng((int(seeds[start]), 21))
            sentences[int(start)] = self._language.sentence(_pair(colour, kind), rng)
        features = []
        for first in range(0, len(data), _FEATURES_AT_ONCE):
            rows = np.arange(first, min(first + _FEATURES_AT_ONCE, len(data)))
            images = torch.from_numpy(data.images(rows)).permute(0, 3, 1, 2).float() / 255.0
            told = [sentences[int(start_of[row])] for row in rows]
            parts = net.listen(
                (images - mean) / std, torch.stack([one[0] for one in told]), torch.stack([one[1] for one in told])
            )
            features.append(torch.cat(parts, dim=1))
        return Drives(torch.cat(features).clone(), torch.from_numpy(data.labels["action"]), torch.from_numpy(start_of))

    def _shards(self, kind: str, count: int) -> list[Shard]:
        return [Shard(kind, number) for number in range(count)]

    def _split(self, shards: list[Shard]) -> tuple[list[Shard], list[Shard]]:
        """The last shards are held out."""
        count = max(1, round(len(shards) * self.config.held_out_share))
        return shards[:-count], shards[-count:]

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


def _pair(colour: int, kind: int) -> tuple[str, str]:
    return EVERY_COLOUR[colour], EVERY_KIND[kind]
