"""Labels against the room they come from, shards, and what the towers are taught from them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobile_vla.checkpoint.sizes import clip_normalised
from mobile_vla.config import with_values
from mobile_vla.engine.tokenizers import tokens_of
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.train.config import TinySize
from mobile_vla.train.tiny import TOKENIZER, card_of, layout_of, write_tokenizer
from mobile_vla_sim import dataset, lessons, recolour
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND, SimulatorConfig
from mobile_vla_sim.dataset import CORRECTED, EPISODES, POSES, SEEDS, DatasetSpec, Shard, Shards, make, make_shard
from mobile_vla_sim.labels import CRATE, FAR_M, FLOOR, MOST_THINGS, NO_COLOUR, NOTHING, SECTORS, WALL, Labeller
from mobile_vla_sim.lessons import SEEN_SHARE, TRAINED_PAIRS, Asked, Language, Lessons, _alike
from mobile_vla_sim.scene import UNSEEN_PAIRS, Block, Pose
from mobile_vla_sim.suites import FIRST_BENCHMARK_SEED
from mobile_vla_sim.world import World

SMALL = {"camera.width_px": 96, "camera.height_px": 72}
IMAGE = Preprocess(clip_normalised(96, "squash"))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(with_values(SimulatorConfig(), {**SMALL, "scenario": "open_floor"}), 0) as one:
        yield one


def labelled(world: World, **scene: Any) -> Any:
    plain = World(with_values(SimulatorConfig(), {"scenario": "open_floor"}), 0).scene
    world.reset(0, dataclasses.replace(plain, **scene))
    return Labeller(world, 8).label()


def test_the_ball_ahead_is_labelled_where_it_is(world: World) -> None:
    label = labelled(world, start=Pose(1.0, 0.0, 0.0))
    blue, ball = EVERY_COLOUR.index("blue"), EVERY_KIND.index("ball")
    assert label.thing_bearing[0] == pytest.approx(0.0, abs=1e-3)
    assert label.thing_distance[0] == pytest.approx(2.0, abs=1e-3)
    assert label.thing_seen[0] > SEEN_SHARE
    assert list(label.thing_kind) == [ball] + [NOTHING] * 5
    assert {SECTORS // 2 - 1, SECTORS // 2} <= set(np.flatnonzero(label.sector_kind == ball))
    assert label.sector_range[SECTORS // 2] == pytest.approx(2.0 - 0.14, abs=0.02)
    assert set(np.unique(label.sector_colour)) == {blue, NO_COLOUR}
    rows, columns = np.nonzero(label.patch_kind == ball)
    assert set(columns) <= {3, 4}
    assert set(rows) <= {2, 3, 4}
    assert label.patch_kind[7, 0] == FLOOR
    assert label.patch_kind[0, 4] == WALL
    assert (label.patch_colour == blue).sum() == len(rows)


def test_a_thing_to_the_left_is_in_a_left_sector_and_behind_is_not_seen(world: World) -> None:
    left = labelled(world, start=Pose(1.0, 0.0, -0.4))
    sectors = np.flatnonzero(left.sector_kind == EVERY_KIND.index("ball"))
    across = 0.5 * (1.0 - math.tan(0.4) / math.tan(math.radians(43.0)))
    assert sectors.mean() + 0.5 == pytest.approx(across * SECTORS, abs=0.7)
    assert left.thing_bearing[0] == pytest.approx(0.4, abs=1e-3)
    behind = labelled(world, start=Pose(1.0, 0.0, math.pi))
    assert behind.thing_seen[0] == 0.0
    assert abs(behind.thing_bearing[0]) == pytest.approx(math.pi, abs=2e-3)


def test_a_crate_is_a_crate_and_far_is_far(world: World) -> None:
    label = labelled(world, blocks=(Block(-1.6, 0.6, 0.0, 0.2, 0.2, 0.2),))
    assert (label.patch_kind == CRATE).any()
    assert (label.sector_kind == CRATE).any()
    assert label.sector_range.max() == FAR_M
    assert not (label.sector_kind[SECTORS // 2 :] == CRATE).any()


SPEC = DatasetSpec(pictures_per_room=2, simulator=with_values(SimulatorConfig(), SMALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "_POSE_ROOMS_PER_SHARD", 12)
        patch.setattr(dataset, "_EPISODES_PER_SHARD", 1)
        make(place, [Shard(POSES, 0), Shard(EPISODES, 0)], SPEC, IMAGE)
    return place


def test_shards_hold_pictures_with_labels(folder: Path) -> None:
    poses = Shards(folder, [Shard(POSES, 0)])
    assert len(poses) == 24
    assert np.isnan(poses.labels["action"]).all()
    both = Shards(folder, [Shard(POSES, 0), Shard(EPISODES, 0)])
    episode = Shards(folder, [Shard(EPISODES, 0)])
    assert len(both) == 24 + len(episode)
    assert np.isfinite(episode.labels["action"]).all()
    assert set(episode.labels["seed"]) == {SEEDS[EPISODES].start}
    assert np.array_equal(
        both.images(np.array([23, 24, 0])),
        np.stack([poses.images(np.array([23]))[0], *(one.images(np.array([0]))[0] for one in (episode, poses))]),
    )
    stops = episode.labels["action"][-5:]
    assert np.abs(stops).max() == 0.0


def test_a_shard_is_made_once_and_always_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_POSE_ROOMS_PER_SHARD", 12)
    made: list[str] = []
    monkeypatch.setattr(dataset, "make_shard", lambda *args: made.append("again"))
    make(folder, [Shard(POSES, 0)], SPEC, IMAGE)
    assert made == []
    again = make_shard(tmp_path, Shard(POSES, 0), SPEC, IMAGE)
    assert np.array_equal(np.load(again / "images.npy"), np.load(folder / "poses-00000" / "images.npy"))
    assert not list(tmp_path.glob(".*"))


def test_every_second_shard_has_more_colours_and_kinds() -> None:
    rooms = [SPEC.rooms(Shard(kind, number)).room.pairs for kind in (POSES, EPISODES, CORRECTED) for number in (4, 5)]
    assert rooms == ["trained", "varied"] * 3


def test_an_interrupted_shard_leaves_nothing_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "_POSE_ROOMS_PER_SHARD", 1)
    monkeypatch.setattr(np, "savez", fails)
    with pytest.raises(KeyboardInterrupt):
        make_shard(tmp_path, Shard(POSES, 0), SPEC, IMAGE)
    assert not (tmp_path / "poses-00000").exists()


def test_rooms_of_the_three_kinds_and_of_the_benchmark_never_meet() -> None:
    ranges = sorted(SEEDS.values(), key=lambda seeds: seeds.start)
    assert set(SEEDS) == {POSES, EPISODES, CORRECTED}
    assert all(first.stop <= second.start for first, second in itertools.pairwise(ranges))
    assert ranges[-1].stop <= FIRST_BENCHMARK_SEED
    with pytest.raises(ValueError, match="kept for something else"):
        _ = Shard(EPISODES, 5000).seeds


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Language:
    place = tmp_path_factory.mktemp("words")
    tokens = write_tokenizer(place / TOKENIZER, lessons.words())
    size = TinySize()
    return Language(tokens_of(card_of(size, tokens, "x", "y"), layout_of(size, tokens), place))


@pytest.fixture
def teach(folder: Path, language: Language) -> Callable[[str], Lessons]:
    def of(kind: str) -> Lessons:
        return Lessons(
            Shards(folder, [Shard(kind, 0)]), language, batch=16, seed=0, mean=torch.zeros(3), std=torch.ones(3)
        )

    return of


def test_the_same_step_is_the_same_batch(teach: Callable[[str], Lessons]) -> None:
    first, again, other = teach(POSES).batch(3), teach(POSES).batch(3), teach(POSES).batch(4)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.pixels, other.pixels)


def test_the_third_instruction_is_about_what_is_not_there(teach: Callable[[str], Lessons]) -> None:
    batch = teach(POSES).batch(0)
    assert batch.tokens.shape[:2] == (16, 3)
    assert (batch.seen[:, 2] == 0).all()
    assert (batch.sector[:, 2] == SECTORS).all()
    assert (batch.seen[:, :2] == 1).any()
    assert ((batch.sector < SECTORS) == (batch.seen == 1)).all()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture in other colours."""
    monkeypatch.setattr(recolour, "NAMELESS_SHARE", 0.0)


@pytest.mark.usefixtures("named")
def test_mirrored_pictures_have_mirrored_labels(teach: Callable[[str], Lessons]) -> None:
    class Coin:
        """A generator whose first throw is given and the rest is another generator's."""

        def __init__(self, heads: bool) -> None:
            self._heads, self._rng, self._first = heads, np.random.default_rng(5), True

        def random(self, *shape: int) -> Any:
            if self._first:
                self._first = False
                self._rng.random(*shape)
                return np.zeros(shape) if self._heads else np.ones(shape)
            return self._rng.random(*shape)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._rng, name)

    def both(kind: str) -> tuple[Any, Any]:
        teaching = teach(kind)
        teaching._pixels = lambda images, rng, augment: torch.from_numpy(images.copy())  # type: ignore[method-assign]
        plain, mirrored = (teaching.of(np.arange(8), Coin(heads), augment=True) for heads in (False, True))
        return plain, mirrored

    plain, mirrored = both(POSES)
    assert torch.equal(plain.pixels.flip(2), mirrored.pixels)
    assert torch.equal(plain.patch_kind.flip(2), mirrored.patch_kind)
    assert torch.equal(plain.sector_range.flip(1), mirrored.sector_range)
    assert torch.allclose(plain.bearing, -mirrored.bearing)
    seen = plain.seen == 1
    assert seen.any()
    assert ((plain.sector + mirrored.sector)[seen] - (SECTORS - 1)).abs().max() <= 1
    plain, mirrored = both(EPISODES)
    assert plain.action.isfinite().all()
    assert mirrored.action.isnan().all()


def test_pictures_in_nameless_colours_teach_shapes_only(
    teach: Callable[[str], Lessons], language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recolour, "NAMELESS_SHARE", 0.5)
    teaching, rows = teach(EPISODES), np.arange(16)
    batch = teaching.of(rows, np.random.default_rng(0), augment=True)
    nameless = (batch.patch_colour == -1).flatten(1).all(1)
    assert 2 < nameless.sum() < 14
    assert (batch.patch_colour[~nameless] >= 0).all()
    assert torch.equal((batch.sector_colour == -1).all(1), nameless)
    assert torch.equal((batch.pair_seen == -1).all(1), nameless)
    assert (batch.patch_kind >= 0).all()
    assert batch.action[nameless].isnan().all()
    assert (batch.alike[nameless][:, :, 0] == -1).all()
    assert (batch.alike[nameless][:, :, 1] >= 0).all()
    assert (batch.seen[nameless][:, 2] == 0).all()


def test_where_colours_have_no_name_only_kinds_are_asked_for(teach: Callable[[str], Lessons]) -> None:
    teaching, rng = teach(POSES), np.random.default_rng(0)
    labels = teaching._data.labels
    for row in range(24):
        kinds, share = (labels[name][row] for name in ("thing_kind", "thing_seen"))
        asked = teaching._asked(labels, row, rng, nameless=True)
        assert all(one.colour == "" for one, _ in asked)
        for one, thing in asked[:2]:
            alike = np.flatnonzero(kinds == EVERY_KIND.index(one.kind))
            assert share[thing] == share[alike].max()
        missing, nothing = asked[2]
        assert nothing == -1
        assert EVERY_KIND.index(missing.kind) not in kinds


def test_no_augmentation_leaves_colours_alone(teach: Callable[[str], Lessons]) -> None:
    assert (teach(POSES).batch(0, augment=False).patch_colour >= 0).all()


def test_nothing_is_ever_asked_or_named_about_an_unseen_pair(
    teach: Callable[[str], Lessons], language: Language
) -> None:
    assert not set(TRAINED_PAIRS) & UNSEEN_PAIRS
    assert len(language.pair_tokens) == len(TRAINED_PAIRS)
    asked = [asked for asked, _ in everything_asked(teach(POSES))]
    assert not set(asked) & UNSEEN_PAIRS


def everything_asked(lessons: Lessons) -> list[tuple[Asked, int]]:
    labels, rng = lessons._data.labels, np.random.default_rng(0)
    return [one for _ in range(5) for row in range(24) for one in lessons._asked(labels, row, rng)]


def test_some_instructions_name_only_a_colour_or_only_a_kind(teach: Callable[[str], Lessons]) -> None:
    lessons = teach(POSES)
    labels, rng = lessons._data.labels, np.random.default_rng(0)
    only_colour = only_kind = 0
    for row in range(24):
        colours, kinds, share = (labels[name][row] for name in ("thing_colour", "thing_kind", "thing_seen"))
        _, (asked, thing), (missing, nothing) = lessons._asked(labels, row, rng)
        only_colour += asked.kind == ""
        only_kind += asked.colour == ""
        fits = [
            index
            for index in range(MOST_THINGS)
            if kinds[index] < len(EVERY_KIND)
            and asked.colour in ("", EVERY_COLOUR[colours[index]])
            and asked.kind in ("", EVERY_KIND[kinds[index]])
        ]
        assert share[thing] == max(share[index] for index in fits)
        assert nothing == -1
        there = {(EVERY_COLOUR[c], EVERY_KIND[k]) for c, k in zip(colours, kinds, strict=True) if k < len(EVERY_KIND)}
        assert not any(missing.colour in ("", c) and missing.kind in ("", k) for c, k in there)
    assert only_colour > 2
    assert only_kind > 2


def test_similarity_labels_are_per_word(teach: Callable[[str], Lessons]) -> None:
    lessons = teach(POSES)
    labels = {name: values[:24] for name, values in lessons._data.labels.items()}
    visible = labels["thing_seen"] >= SEEN_SHARE
    sectors = lessons._sectors(labels["thing_bearing"])
    red, ball = EVERY_COLOUR.index("red"), EVERY_KIND.index("ball")
    answer = _alike(labels, [[(Asked("red", "ball"), -1), (Asked("", "ball"), -1)]] * 24, sectors, visible)
    assert (answer[:, 1, 0] == -1.0).all()
    for row in range(24):
        for which, (name, value) in enumerate((("thing_colour", red), ("thing_kind", ball))):
            places = set(sectors[row][visible[row] & (labels[name][row] == value)])
            assert set(np.flatnonzero(answer[row, 0, which])) == places
        assert (answer[row, 0, 1] == answer[row, 1, 1]).all()
    assert {0.0, 1.0} == set(np.unique(answer[:, 0]))


def test_sentences_of_a_pair_end_with_their_last_word(language: Language) -> None:
    rng = np.random.default_rng(0)
    lengths = set()
    for _ in range(30):
        tokens, last = language.sentence(("red", "ball"), rng)
        lengths.add(int(last) + 1)
        assert (tokens[last:] == tokens[last]).all()
    assert len(lengths) > 3


def test_pairs_in_the_picture_are_those_that_are_large_enough(folder: Path) -> None:
    labels = Shards(folder, [Shard(POSES, 0)]).labels
    answer = lessons._pairs_seen(labels)
    assert {-1.0, 0.0, 1.0} >= set(np.unique(answer))
    for row in range(len(answer)):
        seen = {
            (EVERY_COLOUR[colour], EVERY_KIND[kind])
            for colour, kind, share in zip(
                labels["thing_colour"][row], labels["thing_kind"][row], labels["thing_seen"][row], strict=True
            )
            if share >= SEEN_SHARE
        }
        assert seen == {TRAINED_PAIRS[index] for index in np.flatnonzero(answer[row] == 1.0)}
