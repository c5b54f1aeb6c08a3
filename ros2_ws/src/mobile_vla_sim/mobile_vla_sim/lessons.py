"""Training batches for the towers from labelled images, with instructions, some about absent objects."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mobile_vla.policy.tokens import Tokens
from mobile_vla.train.tower_net import Batch, Sizes
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND
from mobile_vla_sim.dataset import Shards
from mobile_vla_sim.labels import FAR_M, MOST_THINGS, SECTORS, SURFACES
from mobile_vla_sim.language import sentences
from mobile_vla_sim.recolour import recoloured
from mobile_vla_sim.scene import EVERY_PAIR, UNSEEN_PAIRS

TRAINED_PAIRS = tuple(pair for pair in EVERY_PAIR if pair not in UNSEEN_PAIRS)
SIZES = Sizes(kinds=len(SURFACES), colours=len(EVERY_COLOUR), sectors=SECTORS, pairs=len(TRAINED_PAIRS), far_m=FAR_M)
# An object that fills less of the picture is not asked for: nobody could tell what it is.
SEEN_SHARE, UNSURE_SHARE = 0.0015, 0.0002
# Share of the instructions about another object that leave colour or kind open.
PARTLY_SHARE = 0.5
_KINDS = len(EVERY_KIND)
# Number of a trained pair by colour and surface; -1 for everything else.
_PAIR_NUMBER = np.full((len(EVERY_COLOUR) + 1, len(SURFACES)), -1)
for _number, (_colour, _kind) in enumerate(TRAINED_PAIRS):
    _PAIR_NUMBER[EVERY_COLOUR.index(_colour), EVERY_KIND.index(_kind)] = _number


class Asked(NamedTuple):
    """What an instruction names; an empty string leaves it open."""

    colour: str
    kind: str


EVERYTHING_ASKED = (
    *(Asked(*pair) for pair in EVERY_PAIR),
    *(Asked(colour, "") for colour in EVERY_COLOUR),
    *(Asked("", kind) for kind in EVERY_KIND),
)


class Sentences(NamedTuple):
    """Every trained sentence that asks for one thing, as token ids padded on the right."""

    tokens: Tensor
    last: Tensor


class Language:
    """Sentences and names as tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self.before = tokens("x").before
        ids = {asked: [tokens(text).after for text in sentences(*asked)] for asked in EVERYTHING_ASKED}
        longest = max(len(one) for some in ids.values() for one in some)
        self._tokens = {
            asked: Sentences(
                torch.tensor([one + [one[-1]] * (longest - len(one)) for one in some]),
                torch.tensor([len(one) - 1 for one in some]),
            )
            for asked, some in ids.items()
        }
        names = [tokens(f"the {colour} {kind}").clip for colour, kind in TRAINED_PAIRS]
        width = max(map(len, names))
        # The end token is the highest id; repeating it behind the end does not move the place CLIP reads.
        self.pair_tokens = torch.tensor([one + [one[-1]] * (width - len(one)) for one in names])

    def sentence(self, asked: tuple[str, str], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Tokens and last index of a random trained sentence that asks for something."""
        some = self._tokens[Asked(*asked)]
        choice = int(rng.integers(len(some.last)))
        return some.tokens[choice], some.last[choice]


def words() -> set[str]:
    """Every word of every trained sentence."""
    return {word for asked in EVERYTHING_ASKED for text in sentences(*asked) for word in text.split()}


class Lessons:
    """Batches from a data set. The same step gives the same batch."""

    def __init__(self, data: Shards, language: Language, *, batch: int, seed: int, mean: Tensor, std: Tensor) -> None:
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
        nameless = np.zeros(len(rows), bool)
        if augment:
            images, nameless = recoloured(images, labels["thing_kind"], labels["thing_colour"], rng)
        for name, unknown in (("patch_colour", nameless[:, None, None]), ("sector_colour", nameless[:, None])):
            labels[name] = np.where(unknown, -1, labels[name].astype(np.int64))
        for name in ("patch_kind", "patch_colour"):
            labels[name] = np.where(flip[:, None, None], labels[name][:, :, ::-1], labels[name])
        for name in ("sector_range", "sector_kind", "sector_colour"):
            labels[name] = np.where(flip[:, None], labels[name][:, ::-1], labels[name])
        labels["thing_bearing"] = np.where(flip[:, None], -labels["thing_bearing"], labels["thing_bearing"])
        # The expert turns left to search: a mirrored search would be another habit.
        labels["action"] = np.where((flip | nameless)[:, None], np.nan, labels["action"])
        images = np.where(flip[:, None, None, None], images[:, :, ::-1], images)
        return self._assemble(images, labels, nameless, rng, augment=augment)

    def _assemble(
        self,
        images: np.ndarray,
        labels: dict[str, np.ndarray],
        nameless: np.ndarray,
        rng: np.random.Generator,
        *,
        augment: bool,
    ) -> Batch:
        asked = [self._asked(labels, row, rng, nameless=bool(nameless[row])) for row in range(len(images))]
        tokens, last = zip(*(self._language.sentence(what, rng) for one in asked for what, _ in one), strict=True)
        things = np.array([[thing for _, thing in one] for one in asked])
        many = things.shape[1]
        each = np.arange(len(images))[:, None]
        inside = np.maximum(things, 0)
        visible = labels["thing_seen"] >= SEEN_SHARE
        seen = (things >= 0) & visible[each, inside]
        sectors = self._sectors(labels["thing_bearing"])
        sector = np.where(seen, sectors[each, inside], SECTORS)
        bearing = labels["thing_bearing"][each, inside].astype(np.float32)
        distance = labels["thing_distance"][each, inside].astype(np.float32)
        return Batch(
            pixels=self._pixels(images, rng, augment=augment),
            patch_kind=torch.from_numpy(labels["patch_kind"].astype(np.int64)),
            patch_colour=torch.from_numpy(labels["patch_colour"].astype(np.int64)),
            sector_range=torch.from_numpy(labels["sector_range"].astype(np.float32) / FAR_M),
            sector_kind=torch.from_numpy(labels["sector_kind"].astype(np.int64)),
            sector_colour=torch.from_numpy(labels["sector_colour"].astype(np.int64)),
            pair_seen=torch.from_numpy(np.where(nameless[:, None], np.float32(-1.0), _pairs_seen(labels))),
            tokens=torch.stack(tokens).view(len(images), many, -1),
            last=torch.stack(last).view(len(images), many),
            seen=torch.from_numpy(seen.astype(np.float32)),
            bearing=torch.from_numpy(np.clip(bearing / self._half_view, -1.0, 1.0)),
            distance=torch.from_numpy(np.clip(distance / FAR_M, 0.0, 1.0)),
            sector=torch.from_numpy(sector.astype(np.int64)),
            alike=torch.from_numpy(_alike(labels, asked, sectors, visible)),
            action=torch.from_numpy(labels["action"].astype(np.float32)),
        )

    def _sectors(self, bearing: np.ndarray) -> np.ndarray:
        """The sector that a direction falls into."""
        across = 0.5 * (1.0 - np.tan(np.clip(bearing.astype(np.float32), -1.4, 1.4)) / math.tan(self._half_view))
        return np.clip((across * SECTORS).astype(int), 0, SECTORS - 1)

    def _asked(
        self, labels: dict[str, np.ndarray], row: int, rng: np.random.Generator, *, nameless: bool = False
    ) -> list[tuple[Asked, int]]:
        """Three instructions: the goal, another object of the room, an object that is not there (-1).

        The second and the third often name only a colour or only a kind: of several objects that fit, the one that
        fills most of the picture is meant. Where colours have no name, all three name only a kind.
        """
        kinds, colours, share = (labels[name][row] for name in ("thing_kind", "thing_colour", "thing_seen"))
        there = [index for index in range(MOST_THINGS) if kinds[index] < _KINDS]
        pairs = {index: Asked(EVERY_COLOUR[colours[index]], EVERY_KIND[kinds[index]]) for index in there}
        visible = [index for index in there if share[index] >= SEEN_SHARE]
        first = int(labels["goal"][row])
        if not np.isfinite(labels["action"][row]).all() and visible and rng.random() < 0.7:
            first = visible[int(rng.integers(len(visible)))]
        others = [index for index in visible or there if index != first] or there
        second = others[int(rng.integers(len(others)))]

        def largest(asked: Asked) -> tuple[Asked, int]:
            return asked, max((index for index in there if _fits(pairs[index], asked)), key=lambda index: share[index])

        if nameless:
            absent = sorted(set(EVERY_KIND) - {pair.kind for pair in pairs.values()})
            kinds_asked = [largest(Asked("", pairs[index].kind)) for index in (first, second)]
            return [*kinds_asked, (Asked("", absent[int(rng.integers(len(absent)))]), -1)]
        return [
            (pairs[first], first),
            largest(_partly(pairs[second], rng)),
            (_missing(set(pairs.values()), rng), -1),
        ]

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


def _partly(pair: Asked, rng: np.random.Generator) -> Asked:
    """Both words, or often only one."""
    luck = rng.random()
    if luck < PARTLY_SHARE / 2.0:
        return Asked(pair.colour, "")
    return Asked("", pair.kind) if luck < PARTLY_SHARE else pair


def _fits(pair: Asked, asked: Asked) -> bool:
    return asked.colour in ("", pair.colour) and asked.kind in ("", pair.kind)


def _missing(there: set[Asked], rng: np.random.Generator) -> Asked:
    """Something that no object of the room is, mostly like one of them in one of the two."""
    absent = [Asked(*pair) for pair in TRAINED_PAIRS if pair not in there]
    alike = [pair for pair in absent if any(pair.colour == one.colour or pair.kind == one.kind for one in there)]
    choice = alike if alike and rng.random() < 0.8 else absent
    pair = choice[int(rng.integers(len(choice)))]
    partly = _partly(pair, rng)
    return pair if any(_fits(one, partly) for one in there) else partly


def _alike(
    labels: dict[str, np.ndarray], asked: list[list[tuple[Asked, int]]], sectors: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """(rows, instructions, 2, sectors): 1 where an object of the named colour, or kind, stands; -1 where not named."""
    answer = np.full((len(asked), len(asked[0]), 2, SECTORS), -1.0, np.float32)
    names = (labels["thing_colour"], labels["thing_kind"])
    for row, one in enumerate(asked):
        for number, (what, _) in enumerate(one):
            for which, (name, known) in enumerate(((what.colour, EVERY_COLOUR), (what.kind, EVERY_KIND))):
                if name:
                    fits = visible[row] & (names[which][row] == known.index(name))
                    answer[row, number, which] = 0.0
                    answer[row, number, which, sectors[row][fits]] = 1.0
    return answer


def _pairs_seen(labels: dict[str, np.ndarray]) -> np.ndarray:
    """(rows, trained pairs): 1 seen, 0 not, -1 too small to say."""
    share = labels["thing_seen"]
    pair = _PAIR_NUMBER[labels["thing_colour"], labels["thing_kind"]]
    row, thing = np.nonzero((pair >= 0) & (share >= UNSURE_SHARE))
    answer = np.zeros((len(share), len(TRAINED_PAIRS)), np.float32)
    answer[row, pair[row, thing]] = np.where(share[row, thing] >= SEEN_SHARE, 1.0, -1.0)
    return answer
