"""Objects in nameless colours: which pixels change, and that no pair kept for the test is ever made."""

from __future__ import annotations

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from mobile_vla.config import with_values
from mobile_vla_sim import recolour
from mobile_vla_sim.config import EVERY_COLOUR, EVERY_KIND, SimulatorConfig
from mobile_vla_sim.labels import NO_COLOUR, NOTHING
from mobile_vla_sim.recolour import makes_unseen_pair, recoloured
from mobile_vla_sim.scene import EVERY_PAIR, UNSEEN_PAIRS, Block, Pose, Thing
from mobile_vla_sim.world import World

KINDS = np.full((8, 6), NOTHING, np.uint8)
COLOURS = np.full((8, 6), NO_COLOUR, np.uint8)
KINDS[:, 0], COLOURS[:, 0] = EVERY_KIND.index("ball"), EVERY_COLOUR.index("red")


def hue_of(image: np.ndarray, where: np.ndarray) -> float:
    return float(np.median(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 0][where]))


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A red ball in front, a brown crate beside it."""
    small = {"camera.width_px": 96, "camera.height_px": 96, "scenario": "open_floor"}
    with World(with_values(SimulatorConfig(), small), 0) as world:
        scene = dataclasses.replace(
            world.scene,
            things=(Thing("ball", "red", 2.0, 0.0),),
            blocks=(Block(2.0, 0.7, 0.3, 0.2, 0.2, 0.2, (0.45, 0.33, 0.22)),),
            start=Pose(1.0, 0.0, 0.0),
            goal=0,
        )
        world.reset(0, scene)
        return world.render().copy()


def test_only_objects_change_their_colour(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recolour, "NAMELESS_SHARE", 1.0)
    monkeypatch.setattr(recolour, "GREY_SHARE", 0.0)
    changed, nameless = recoloured(np.stack([picture] * 8), KINDS, COLOURS, np.random.default_rng(0))
    assert nameless.all()
    ball = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 1] >= 200
    assert 100 < ball.sum() < 3000
    around = cv2.dilate(ball.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert all((one[~around] == picture[~around]).all() for one in changed)
    hues = [hue_of(one, ball) for one in changed]
    assert len({round(hue) for hue in hues}) > 4
    assert all(abs(hue - 62) >= 9 for hue in hues)  # never green: a green ball is kept for the test


def test_grey_objects_are_not_recoloured(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recolour, "NAMELESS_SHARE", 1.0)
    monkeypatch.setattr(recolour, "GREY_SHARE", 1.0)
    changed, _ = recoloured(picture[None], KINDS[:1], COLOURS[:1], np.random.default_rng(0))
    ball = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 1] >= 200
    assert np.ptp(changed[0][ball].astype(int), axis=1).max() == 0


def test_pictures_that_are_not_chosen_stay_as_they_are(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recolour, "NAMELESS_SHARE", 0.5)
    pictures = np.stack([picture] * 8)
    changed, nameless = recoloured(pictures, KINDS, COLOURS, np.random.default_rng(1))
    assert 0 < nameless.sum() < 8
    assert [bool((one != picture).any()) for one in changed] == nameless.tolist()
    again, _ = recoloured(pictures, KINDS, COLOURS, np.random.default_rng(1))
    assert np.array_equal(changed, again)


@pytest.mark.parametrize("unseen", sorted(UNSEEN_PAIRS))
def test_recolouring_makes_no_held_out_pair(unseen: tuple[str, str]) -> None:
    colour, kind = unseen
    for other in set(EVERY_COLOUR) - {colour, "white", "black"}:
        turn = recolour._HUE[colour] - recolour._HUE[other]
        assert makes_unseen_pair([(other, kind)], turn)
        assert makes_unseen_pair([("white", "ball"), (other, kind)], turn + 9)


def test_most_rooms_can_be_recoloured() -> None:
    rng = np.random.default_rng(0)
    trained = [pair for pair in EVERY_PAIR if pair not in UNSEEN_PAIRS]
    rooms = [[trained[index] for index in rng.integers(len(trained), size=4)] for _ in range(200)]
    turns = [recolour._turn(room, rng) for room in rooms]
    assert sum(turn is not None for turn in turns) > 150
    assert not any(makes_unseen_pair(room, turn) for room, turn in zip(rooms, turns, strict=True) if turn is not None)
    kept = {turn for room, turn in zip(rooms, turns, strict=True) if turn is not None}
    assert max(kept) - min(kept) > 100


def test_colours_without_a_hue_cannot_become_another() -> None:
    assert not any(
        makes_unseen_pair([(colour, kind)], turn)
        for colour, kind, turn in itertools.product(("white", "black"), EVERY_KIND, range(0, 180, 20))
    )
