"""From labelled pictures to what the towers are taught: batches with instructions, some about absent objects."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mobile_vla.policy.tokens import Tokens
from mobile_vla.train.tower_net import Batch, Sizes
from mobile_vla_sim.config import COLOURS, KINDS
from mobile_vla_sim.dataset import Data
from mobile_vla_sim.labels import FAR_M, MOST_THINGS, SECTORS, SURFACES
from mobile_vla_sim.language import COLOUR_WORDS, KIND_WORDS, TRAINED
from mobile_vla_sim.scene import ALL_PAIRS, UNSEEN_PAIRS

TRAINED_PAIRS = tuple(pair for pair in ALL_PAIRS if pair not in UNSEEN_PAIRS)
SIZES = Sizes(kinds=len(SURFACES), colours=len(COLOURS), sectors=SECTORS, pairs=len(TRAINED_PAIRS), far_m=FAR_M)
# An object that fills less of the picture is not asked for: nobody could tell what it is.
SEEN_SHARE, UNSURE_SHARE = 0.0015, 0.0002
_KINDS = len(KINDS)
# Number of a trained pair by colour and surface; -1 for everything else.
_PAIR_NUMBER = np.full((len(COLOURS) + 1, len(SURFACES)), -1)
for _number, (_colour, _kind) in enumerate(TRAINED_PAIRS):
    _PAIR_NUMBER[COLOURS.index(_colour), KINDS.index(_kind)] = _number


class Sentences(NamedTuple):
    """Every trained sentence about a pair, as token ids padded on the right."""

    tokens: Tensor
    last: Tensor


class Language:
    """Sentences and names as tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self.before = tokens("x").before
        self._sentences = {pair: _all_sentences(*pair) for pair in ALL_PAIRS}
        ids = {pair: [tokens(text).after for text in texts] for pair, texts in self._sentences.items()}
        longest = max(len(one) for some in ids.values() for one in some)
        self._tokens = {
            pair: Sentences(
                torch.tensor([one + [one[-1]] * (longest - len(one)) for one in some]),
                torch.tensor([len(one) - 1 for one in some]),
            )
            for pair, some in ids.items()
        }
        names = [tokens(f"the {colour} {kind}").clip for colour, kind in TRAINED_PAIRS]
        width = max(map(len, names))
        # The end token is the highest id; repeating it behind the end does not move the place CLIP reads.
        self.pair_tokens = torch.tensor([one + [one[-1]] * (width - len(one)) for one in names])

    def sentence(self, pair: tuple[str, str], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Tokens and last index of a random trained sentence about a pair."""
        some = self._tokens[pair]
        choice = int(rng.integers(len(some.last)))
        return some.tokens[choice], some.last[choice]


def words() -> set[str]:
    """Every word of every trained sentence."""
    return {word for pair in ALL_PAIRS for text in _all_sentences(*pair) for word in text.split()}


class Lessons:
    """Batches from a data set. The same step gives the same batch."""

    def __init__(self, data: Data, language: Language, *, batch: int, seed: int, mean: Tensor, std: Tensor) -> None:
        self._data, self._language = data, language
        self._batch, self._seed = batch, seed
        self._mean, self._std = mean[:, None, None], std[:, None, None]
        self._half_view = math.radians(86.0) / 2.0

    def batch(self, step: int, *, augment: bool = True) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng((self._seed, step))
        rows = rng.integers(len(self._data), size=self._batch)
        return self.of(rows, rng, augment=augment)

    def held_out(self, batches: int) -> list[Batch]:
        """The same few batches every time, not augmented."""
        return [self.batch(10**9 + index, augment=False) for index in range(batches)]

    def of(self, rows: np.ndarray, rng: np.random.Generator, *, augment: bool) -> Batch:
        """The batch of some rows."""
        labels = {name: values[rows] for name, values in self._data.labels.items()}
        images = self._data.images(rows)
        flip = (rng.random(len(rows)) < 0.5) if augment else np.zeros(len(rows), bool)
        for name in ("patch_kind", "patch_colour"):
            labels[name] = np.where(flip[:, None, None], labels[name][:, :, ::-1], labels[name])
        for name in ("sector_range", "sector_kind", "sector_colour"):
            labels[name] = np.where(flip[:, None], labels[name][:, ::-1], labels[name])
        labels["thing_bearing"] = np.where(flip[:, None], -labels["thing_bearing"], labels["thing_bearing"])
        # The expert turns left to search: a mirrored search would be another habit.
        labels["action"] = np.where(flip[:, None], np.nan, labels["action"])
        images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
        return self._assemble(images, labels, rng, augment=augment)

    def _assemble(
        self, images: np.ndarray, labels: dict[str, np.ndarray], rng: np.random.Generator, *, augment: bool
    ) -> Batch:
        asked = [self._asked(labels, row, rng) for row in range(len(images))]
        tokens, last = zip(*(self._language.sentence(pair, rng) for one in asked for pair, _ in one), strict=True)
        things = np.array([[thing for _, thing in one] for one in asked])
        many = things.shape[1]
        each = np.arange(len(images))[:, None]
        inside = np.maximum(things, 0)
        seen = (things >= 0) & (labels["thing_seen"][each, inside] >= SEEN_SHARE)
        bearing = labels["thing_bearing"][each, inside].astype(np.float32)
        across = 0.5 * (1.0 - np.tan(np.clip(bearing, -1.4, 1.4)) / math.tan(self._half_view))
        sector = np.where(seen, np.clip((across * SECTORS).astype(int), 0, SECTORS - 1), SECTORS)
        distance = labels["thing_distance"][each, inside].astype(np.float32)
        return Batch(
            pixels=self._pixels(images, rng, augment=augment),
            patch_kind=torch.from_numpy(labels["patch_kind"].astype(np.int64)),
            patch_colour=torch.from_numpy(labels["patch_colour"].astype(np.int64)),
            sector_range=torch.from_numpy(labels["sector_range"].astype(np.float32) / FAR_M),
            sector_kind=torch.from_numpy(labels["sector_kind"].astype(np.int64)),
            sector_colour=torch.from_numpy(labels["sector_colour"].astype(np.int64)),
            pair_seen=torch.from_numpy(_pairs_seen(labels)),
            tokens=torch.stack(tokens).view(len(images), many, -1),
            last=torch.stack(last).view(len(images), many),
            seen=torch.from_numpy(seen.astype(np.float32)),
            bearing=torch.from_numpy(np.clip(bearing / self._half_view, -1.0, 1.0)),
            distance=torch.from_numpy(np.clip(distance / FAR_M, 0.0, 1.0)),
            sector=torch.from_numpy(sector.astype(np.int64)),
            action=torch.from_numpy(labels["action"].astype(np.float32)),
        )

    def _asked(
        self, labels: dict[str, np.ndarray], row: int, rng: np.random.Generator
    ) -> list[tuple[tuple[str, str], int]]:
        """Three instructions: the goal, another object of the room, an object that is not there. (-1: not there.)"""
        kinds, colours = labels["thing_kind"][row], labels["thing_colour"][row]
        there = [index for index in range(MOST_THINGS) if kinds[index] < _KINDS]
        pairs = {index: (COLOURS[colours[index]], KINDS[kinds[index]]) for index in there}
        visible = [index for index in there if labels["thing_seen"][row][index] >= SEEN_SHARE]
        first = int(labels["goal"][row])
        if not np.isfinite(labels["action"][row]).all() and visible and rng.random() < 0.7:
            first = visible[int(rng.integers(len(visible)))]
        others = [index for index in visible or there if index != first] or there
        second = others[int(rng.integers(len(others)))]
        absent = [pair for pair in TRAINED_PAIRS if pair not in pairs.values()]
        alike = [pair for pair in absent if any(pair[0] == one[0] or pair[1] == one[1] for one in pairs.values())]
        choice = alike if alike and rng.random() < 0.8 else absent
        third = choice[int(rng.integers(len(choice)))]
        return [(pairs[first], first), (pairs[second], second), (third, -1)]

    def _pixels(self, images: np.ndarray, rng: np.random.Generator, *, augment: bool) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255.0
        if augment:
            count = len(images)
            gain = torch.from_numpy(rng.uniform(0.75, 1.25, (count, 1, 1, 1)).astype(np.float32))
            tint = torch.from_numpy(rng.uniform(0.95, 1.05, (count, 3, 1, 1)).astype(np.float32))
            spread = torch.from_numpy(rng.uniform(0.0, 0.03, (count, 1, 1, 1)).astype(np.float32))
            generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
            noise = torch.randn(pixels.shape, generator=generator)
            pixels = (pixels * gain * tint + spread * noise).clamp_(0.0, 1.0)
        return (pixels - self._mean) / self._std


def _pairs_seen(labels: dict[str, np.ndarray]) -> np.ndarray:
    """(rows, trained pairs): 1 seen, 0 not, -1 too small to say."""
    share = labels["thing_seen"]
    pair = _PAIR_NUMBER[labels["thing_colour"], labels["thing_kind"]]
    row, thing = np.nonzero((pair >= 0) & (share >= UNSURE_SHARE))
    answer = np.zeros((len(share), len(TRAINED_PAIRS)), np.float32)
    answer[row, pair[row, thing]] = np.where(share[row, thing] >= SEEN_SHARE, 1.0, -1.0)
    return answer


def _all_sentences(colour: str, kind: str) -> list[str]:
    return [
        sentence.format(colour=colour_word, kind=kind_word)
        for sentence in TRAINED
        for colour_word in COLOUR_WORDS[colour]
        for kind_word in KIND_WORDS[kind]
    ]
