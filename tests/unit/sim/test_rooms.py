"""Random rooms, scenario files, and the map they are checked with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hostile_yaml import HOSTILE

from mobile_vla.config import with_values
from mobile_vla.errors import UserError
from mobile_vla.resources import named_files
from mobile_vla_sim import planner
from mobile_vla_sim.config import COLOURS, EVERY_COLOUR, EVERY_KIND, KINDS, BaseConfig, RoomConfig, SimulatorConfig
from mobile_vla_sim.language import (
    COLOUR_ONLY,
    KIND_ONLY,
    LESSONS_ONLY,
    TRAINED,
    UNSEEN,
    instruction,
    named_pair,
    sentences,
)
from mobile_vla_sim.planner import FloorMap, Route, clearance, distance_to_block
from mobile_vla_sim.randomise import goal_reachable, random_scene
from mobile_vla_sim.scenario import load_scene, scene_from
from mobile_vla_sim.scene import UNSEEN_PAIRS, Block, Pose, Thing
from mobile_vla_sim.world import World

BASE = BaseConfig()
GOOD = {"instruction": "go to the red ball", "objects": [{"kind": "ball", "colour": "red", "x_m": 2.0, "y_m": 0.0}]}
SEEDS = range(40)


def test_a_seed_gives_one_room_and_another_seed_another() -> None:
    def signature(seed: int) -> tuple[object, ...]:
        scene = random_scene(RoomConfig(), BASE, seed)
        return scene.things, scene.blocks, scene.start, scene.instruction, scene.style.floor.tobytes()

    assert signature(1) == signature(1)
    assert len({signature(seed) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_room_has_a_way_to_the_goal_and_a_free_start(seed: int) -> None:
    room = RoomConfig()
    scene = random_scene(room, BASE, seed)
    assert goal_reachable(scene, BASE)
    assert clearance(scene, scene.start.x, scene.start.y) > BASE.radius_m
    assert len(scene.things) == room.objects
    assert len(scene.blocks) == room.crates
    assert room.goal_min_m <= math.dist((scene.target.x, scene.target.y), scene.start[:2]) <= room.goal_max_m
    assert named_pair(scene.instruction) == (scene.target.colour, scene.target.kind)
    assert len({thing.name for thing in scene.things}) == room.objects


@pytest.mark.parametrize("seed", [3, 12, 13, 14, 26, 27])
def test_rooms_without_a_path_are_rejected(seed: int) -> None:
    """The first layout of each of these seeds has no way to the goal."""
    crowded = RoomConfig(size_min_m=3.4, size_max_m=3.8, crates=7, objects=3, goal_min_m=1.2, look_alikes=False)
    assert goal_reachable(random_scene(crowded, BASE, seed), BASE)


def test_no_step_of_a_route_jumps_over_a_thin_wall() -> None:
    price = np.ones((9, 9))
    price[:, 4] = np.inf
    goal = np.zeros((9, 9), bool)
    goal[4, 1] = True
    cost = planner._cost_to_go(price, goal)
    assert np.isfinite(cost[:, :4]).all()
    assert np.isinf(cost[:, 4:]).all()


@pytest.mark.parametrize("seed", range(10))
def test_distractors_share_colour_and_kind_of_the_goal(seed: int) -> None:
    scene = random_scene(RoomConfig(), BASE, seed)
    others = [thing for thing in scene.things if thing is not scene.target]
    assert any(thing.colour == scene.target.colour for thing in others)
    assert any(thing.kind == scene.target.kind for thing in others)


def test_training_rooms_never_hold_an_unseen_pair_and_unseen_goals_always_are_one() -> None:
    for seed in SEEDS:
        trained = random_scene(RoomConfig(pairs="trained"), BASE, seed)
        assert not any((thing.colour, thing.kind) in UNSEEN_PAIRS for thing in trained.things)
        target = random_scene(RoomConfig(pairs="unseen"), BASE, seed).target
        assert (target.colour, target.kind) in UNSEEN_PAIRS


def test_varied_rooms_hold_more_colours_and_kinds_and_never_an_unseen_pair() -> None:
    things = [thing for seed in range(60) for thing in random_scene(RoomConfig(pairs="varied"), BASE, seed).things]
    pairs = {(thing.colour, thing.kind) for thing in things}
    assert {thing.colour for thing in things} == set(EVERY_COLOUR)
    assert {thing.kind for thing in things} == set(EVERY_KIND)
    assert not pairs & UNSEEN_PAIRS
    assert len(pairs) > 50


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_an_object_is_as_high_and_as_wide_as_it_says(kind: str) -> None:
    thing = Thing(kind, "red", 0.0, 0.0, 0.7, 0.14)
    with World(SimulatorConfig(), 0) as world:
        world.reset(0, dataclasses.replace(world.scene, things=(thing,), goal=0, blocks=(), walkers=()))
        room, geom = world._room, np.zeros(1, np.int32)

        def top(radius: float, angle: float) -> float:
            """Height of the object there; 0 where it is not."""
            above = np.array([radius * math.cos(angle), radius * math.sin(angle), 2.0])
            down = np.array([0.0, 0.0, -1.0])
            away = mujoco.mj_ray(room.model, world._data, above, down, None, 1, -1, geom)
            return 2.0 - away if world.geom_names[geom[0]] == "red " + kind + " 0" else 0.0

        angles = np.linspace(0.0, 2.0 * math.pi, 90)
        inside = [top(radius, angle) for angle in angles for radius in np.linspace(0.0, 0.999 * thing.footprint_m, 12)]
        outside = [top(1.01 * thing.footprint_m, angle) for angle in angles]
    assert max(inside) == pytest.approx(thing.height_m, abs=2e-3)
    assert max(outside) == 0.0


def test_unseen_pairs_leave_every_colour_and_kind_to_training() -> None:
    left = [(colour, kind) for colour in COLOURS for kind in KINDS if (colour, kind) not in UNSEEN_PAIRS]
    assert {colour for colour, _ in left} == set(COLOURS)
    assert {kind for _, kind in left} == set(KINDS)


def test_a_room_that_cannot_hold_everything_is_refused_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"lower room\.objects"):
        random_scene(RoomConfig(size_min_m=2.5, size_max_m=2.6, objects=12, crates=20), BASE, 0)


@pytest.mark.parametrize("wording", ["plain", "trained", "unseen"])
def test_every_wording_names_its_pair(wording: str) -> None:
    rng = np.random.default_rng(0)
    for colour in EVERY_COLOUR:
        for kind in EVERY_KIND:
            for _ in range(12):
                assert named_pair(instruction(colour, kind, wording, rng)) == (colour, kind)


def test_unseen_sentences_are_new_but_their_words_are_not() -> None:
    assert not set(TRAINED) & set(UNSEEN)
    known = {word for sentence in TRAINED for word in sentence.replace(":", "").split()}
    assert {word for sentence in UNSEEN for word in sentence.replace(":", "").split()} <= known


def test_lessons_use_more_wordings_without_held_out_ones() -> None:
    taught = sentences("red", "ball")
    assert {sentence.format(colour="red", kind="ball") for sentence in (*TRAINED, *LESSONS_ONLY)} <= set(taught)
    assert not {sentence.format(colour="red", kind="ball") for sentence in UNSEEN} & set(taught)
    assert _words(LESSONS_ONLY) <= _words((*TRAINED, *COLOUR_ONLY, *KIND_ONLY))


def _words(patterns: Iterable[str]) -> set[str]:
    return {word for pattern in patterns for word in pattern.split()}


@pytest.mark.parametrize("text", ["go to the ball", "go to the red and the blue ball", "", "fly away"])
def test_a_sentence_that_names_no_single_pair_names_none(text: str) -> None:
    assert named_pair(text) is None


@pytest.mark.parametrize("name", sorted(named_files("scenarios")))
def test_every_shipped_scenario_loads_and_starts(name: str) -> None:
    world = World(with_values(SimulatorConfig(), {"scenario": name}), 0)
    world.advance(0.1)
    assert not world.collided


def bad(**changes: object) -> dict[str, object]:
    return {**GOOD, **changes}


WALL = {"x_m": 0.5, "y_m": 0.0, "half_x_m": 0.05, "half_y_m": 2.6, "height_m": 2.0}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "a scenario is a mapping"),
        (None, "a scenario is a mapping"),
        (bad(objekts=[]), "unknown name 'objekts'; did you mean 'objects'"),
        (bad(objects={}), "objects must be a list"),
        (bad(objects=[{"kind": "bal"}]), r"objects\[0\]: kind must be one of ball"),
        (bad(objects=[{"knd": "ball"}]), r"objects\[0\]: unknown name 'knd' with value 'ball'; did you mean 'kind'"),
        (bad(objects=[{"kind": "ball", "colour": "red", "x_m": "far"}]), "x_m must be a number, got 'far'"),
        (bad(objects=[]), "there is no object to go to"),
        (bad(instruction="go to the blue cube"), "names none of the objects that are there .red ball."),
        (bad(instruction=7), "instruction must be a text"),
        (bad(room={"size_x_m": -1}), "room: size_x_m must be >= 1"),
        (bad(start={"x_m": 2.55}), "does not fit at its start"),
        (bad(blocks=[WALL]), "no way leads from the start to the red ball"),
        (bad(walkers=[{"path_m": [1.0, 2.0, 3.0]}]), "path_m must hold pairs"),
    ],
)
def test_a_wrong_scenario_is_one_sentence(document: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as raised:
        scene_from(document, "here.yaml", BASE, 0)
    assert str(raised.value).startswith("here.yaml")


def test_a_file_that_is_no_yaml_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("room: {size_x_m: 3\nobjects: [")
    with pytest.raises(UserError, match="is not valid YAML at line"):
        load_scene(path, BASE, 0)


def test_a_number_with_an_exponent_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("objects: [{kind: ball, colour: red, x_m: 1e0, y_m: 5e-2}]\ninstruction: go to the red ball\n")
    assert load_scene(path, BASE, 0).things[0].y == 5e-2


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_one_sentence_with_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "room.yaml"
    HOSTILE[kind](path)
    with pytest.raises(UserError) as refused:
        load_scene(path, BASE, 0)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("content", [b"\xff\xfe\x00rubbish", b"\x00\x01\x02"])
def test_a_binary_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"binary\.yaml"):
        load_scene(path, BASE, 0)


def test_an_unknown_scenario_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'clutter'"):
        World(with_values(SimulatorConfig(), {"scenario": "cluter"}))


def test_distance_to_a_turned_block() -> None:
    block = Block(1.0, 1.0, math.pi / 4, 0.2, 0.1, 0.3)
    ahead = 1.0 + 0.5 * math.cos(math.pi / 4)
    assert distance_to_block(ahead, ahead, block) == pytest.approx(0.3)
    assert distance_to_block(1.0, 1.0, block) == pytest.approx(-0.1)


def test_a_route_around_a_wall_is_as_long_as_geometry_says() -> None:
    document = bad(
        room={"size_x_m": 6, "size_y_m": 6},
        start={"x_m": -2, "y_m": 0},
        blocks=[{"x_m": 0, "y_m": -0.75, "half_x_m": 0.05, "half_y_m": 2.25, "height_m": 2}],
    )
    scene = scene_from(document, "here", BASE, 0)
    route = Route(FloorMap(scene), (2.0, 0.0), 0.5, 0.25)
    corner = math.hypot(2.0 - 0.05, 1.5) + math.hypot(2.0 - 0.05, 1.5) + 0.1 - 0.5
    # Rounding both corners at 0.25 m adds a little, the circle around the goal takes a little.
    assert route.length(-2.0, 0.0) == pytest.approx(corner, abs=0.5)
    assert route.length(-2.0, 0.0) > 4.3
    for x, y in route.path(-2.0, 0.0):
        assert clearance(scene, x, y) >= 0.24


def test_an_open_floor_route_is_the_straight_line() -> None:
    scene = scene_from(bad(start={"x_m": -2.0, "y_m": -1.5}), "here", BASE, 0)
    route = Route(FloorMap(scene), (2.0, 0.0), 0.5, 0.25)
    assert route.length(-2.0, -1.5) == pytest.approx(math.hypot(4.0, 1.5) - 0.5, abs=0.08)
    assert route.path(2.0, 0.4) == [(2.0, 0.4)]


def test_a_closed_room_has_no_route() -> None:
    scene = scene_from(GOOD, "here", BASE, 0)
    closed = Block(0.6, 0.0, 0.0, 0.05, 2.6, 2.0, wall=True)
    walled = dataclasses.replace(scene, blocks=(closed,), start=Pose(-1.0, 0.0, 0.0))
    route = Route(FloorMap(walled), (2.0, 0.0), 0.5, 0.25)
    assert route.path(-1.0, 0.0) == []
    assert not goal_reachable(walled, BASE)
