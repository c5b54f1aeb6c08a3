"""Drivers, episodes and their outcomes, with and without the safety gate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.policy.interface import Step
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import (
    Absent,
    Action,
    ActionScale,
    Blind,
    Deaf,
    Driver,
    PolicyDriver,
    RandomWalk,
    Straight,
    told_instead,
)
from mobile_vla_sim.episode import (
    ARRIVED,
    COLLIDED,
    OTHER,
    TIMED_OUT,
    Actuator,
    Direct,
    EpisodeResult,
    Rules,
    run_episode,
    scaled,
)
from mobile_vla_sim.expert import Expert, bearing_of, in_sight
from mobile_vla_sim.gated import Gated
from mobile_vla_sim.language import named_pair
from mobile_vla_sim.scene import Pose, Thing
from mobile_vla_sim.suites import SUITES
from mobile_vla_sim.world import World

Make = Callable[..., World]
RULES = Rules()
CONTROLLER = with_values(
    ControllerConfig(),
    {"limits.turn.velocity_radps": 1.5, "action.linear_mps": 0.4, "action.turn_radps": 1.2, "require.odometry": True},
)


class Scripted:
    """Plays a function of time."""

    def __init__(self, action: Callable[[float], Action]) -> None:
        self._action = action

    def begin(self, world: World) -> None:
        pass

    def act(self, world: World) -> Action:
        return self._action(world.time_s)


def drive(world: World, driver: Any, rules: Rules = RULES) -> EpisodeResult:
    return run_episode(world, driver, Direct(rules.scale), rules)


@pytest.fixture(scope="module")
def standard() -> World:
    return World(SUITES["standard"].config(SimulatorConfig()), 1_000_000)


@pytest.mark.parametrize("seed", range(1_000_000, 1_000_012))
def test_the_expert_arrives_without_a_collision(standard: World, seed: int) -> None:
    standard.reset(seed)
    result = drive(standard, Expert(RULES.scale))
    assert (result.outcome, result.contact) == (ARRIVED, "")
    assert result.goal_distance_m <= 0.57
    assert 0.6 < result.spl <= 1.0


@pytest.mark.parametrize("name", ["open_floor", "door", "clutter", "corridor_person"])
def test_the_expert_succeeds_in_every_scenario(name: str) -> None:
    world = World(with_values(SimulatorConfig(), {"scenario": name}), 0)
    assert drive(world, Expert(RULES.scale)).outcome == ARRIVED


@pytest.mark.parametrize("seed", range(1_000_000, 1_000_003))
def test_the_expert_arrives_through_the_safety_gate(standard: World, seed: int) -> None:
    standard.reset(seed)
    gate = Gated(CONTROLLER)
    assert run_episode(standard, Expert(RULES.scale), gate, RULES).outcome == ARRIVED
    assert gate.reasons["ok"] > 0


def test_the_expert_turns_left_until_the_goal_is_in_view(world: Make) -> None:
    one = world()
    one.reset(0, dataclasses.replace(one.scene, start=Pose(-3.0, 0.0, -2.0)))
    expert = Expert(RULES.scale)
    expert.begin(one)
    assert expert.act(one) == (0.0, 0.6)
    one.reset(0)
    expert.begin(one)
    assert expert.act(one)[0] > 0.5


def test_driving_into_the_object_is_a_collision(world: Make) -> None:
    result = drive(world(), Straight())
    assert result.outcome == COLLIDED
    assert result.contact == "blue ball 0"
    assert result.spl == 0.0


def test_standing_far_from_everything_ends_in_a_time_out(world: Make) -> None:
    result = drive(world(), Scripted(lambda time_s: (0.0, 0.0)))
    assert result.outcome == TIMED_OUT
    assert result.time_s < 12.0


def test_turning_on_the_spot_lasts_until_the_limit(world: Make) -> None:
    result = drive(world(), Scripted(lambda time_s: (0.0, 0.5)), Rules(limit_s=15.0))
    assert result.outcome == TIMED_OUT
    assert result.time_s == pytest.approx(15.0, abs=0.11)


def test_stopping_at_another_object_is_told_apart(world: Make) -> None:
    one = world()
    things = (*one.scene.things, Thing("cube", "red", -1.5, 0.0))
    one.reset(0, dataclasses.replace(one.scene, things=things))
    result = drive(one, Scripted(lambda time_s: (1.0 if time_s < 2.4 else 0.0, 0.0)))
    assert result.outcome == OTHER
    assert result.stopped_at == "red cube"


def test_driving_past_the_goal_is_not_success(world: Make) -> None:
    one = world()
    one.reset(0, dataclasses.replace(one.scene, start=Pose(-3.0, 0.45, 0.0)))
    assert drive(one, Straight()).outcome == COLLIDED  # it went past the ball into the wall


def test_spl_is_the_shortest_way_over_the_way_taken() -> None:
    result = EpisodeResult(1, ARRIVED, "", "", "blue ball", "", "", 10.0, 4.0, 3.0, 0.4)
    assert result.spl == 0.75
    assert result._replace(path_m=2.0).spl == 1.0
    assert result._replace(outcome=TIMED_OUT).spl == 0.0


def test_a_delayed_action_acts_later(world: Make) -> None:
    def moved_after(rules: Rules, seconds: float) -> float:
        one = world()
        run_episode(one, Straight(), Direct(rules.scale), dataclasses.replace(rules, limit_s=seconds))
        return one.path_m

    assert moved_after(RULES, 1.0) > 0.25
    assert moved_after(Rules(action_delay_s=0.5), 0.5) == pytest.approx(0.0, abs=1e-6)
    assert moved_after(Rules(action_delay_s=0.5), 1.0) > 0.05


def test_a_lost_frame_calls_no_driver(world: Make) -> None:
    asked: list[float] = []

    def count(time_s: float) -> Action:
        asked.append(time_s)
        return 0.0, 0.3

    drive(world(), Scripted(count), Rules(lost_share=0.5, limit_s=20.0))
    assert 70 < len(asked) < 130


def metres_after_two_actions(actuator: Actuator, one: World, seconds: float) -> float:
    actuator.begin(one)
    for _ in range(2):  # the gate refuses the first: its image was there before the arming
        actuator.drive(one, (1.0, 0.0), 0.1)
    for _ in range(round(seconds / 0.1)):
        actuator.drive(one, None, 0.1)
    return one.path_m


def test_without_new_actions_the_base_goes_on_and_the_gate_stops(world: Make) -> None:
    assert metres_after_two_actions(Direct(RULES.scale), world(), 2.0) > 0.6
    stopped = metres_after_two_actions(Gated(CONTROLLER), world(), 2.0)
    assert 0.0 < stopped < 0.3
    assert metres_after_two_actions(Gated(CONTROLLER), world(), 4.0) == pytest.approx(stopped, abs=1e-3)


def test_the_gate_knows_a_slow_policy_before_it_is_armed(world: Make) -> None:
    def metres(age_s: float) -> float:
        one = world()
        run_episode(one, Straight(), Gated(CONTROLLER, age_s), Rules(limit_s=4.0, action_delay_s=age_s))
        return one.path_m

    assert metres(0.6) > 0.5
    assert metres(1.5) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("action", "space", "expected"),
    [
        ((1.0, -1.0), "diff", (0.4, -1.2, 0.0)),
        ((5.0, -7.0), "diff", (0.4, -1.2, 0.0)),
        ((math.nan, 0.5), "diff", (0.0, 0.6, 0.0)),
        ((0.5, 1.0), "omni", (0.2, 0.0, 0.3)),
    ],
)
def test_an_action_becomes_a_velocity(action: Action, space: str, expected: tuple[float, ...]) -> None:
    assert scaled(action, ActionScale(space=space)) == pytest.approx(expected)


def test_the_gate_keeps_a_straight_driver_off_the_wall(world: Make) -> None:
    guarded = with_values(
        CONTROLLER, {"range_guard.use_scan": True, "range_guard.half_width_m": 0.2, "range_guard.slow_ttc_s": 1.5}
    )
    one = world(base__latency_s=0.1)
    result = run_episode(one, Straight(), Gated(guarded), Rules(limit_s=40.0))
    assert result.outcome != COLLIDED
    assert result.goal_distance_m < 0.8


class FakePolicy:
    """Remembers what it was shown and told."""

    card = SimpleNamespace(action_space="diff", untrained=True, control_rate_hz=5.0)

    def __init__(self) -> None:
        self.resets, self.frames, self.told = 0, [], []

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame: np.ndarray, instruction: str) -> Step:
        self.frames.append(frame)
        self.told.append(instruction)
        return Step((0.0, 0.2), {"step": 1.0})


def test_a_policy_sees_the_camera_hears_the_instruction_and_decides_at_its_rate() -> None:
    with World(with_values(SimulatorConfig(), {"camera.width_px": 64, "camera.height_px": 48}), 3) as world:
        policy = FakePolicy()
        result = drive(world, PolicyDriver(policy), Rules(limit_s=2.0))
        assert len(policy.frames) == 10
        assert policy.resets == 1
        assert set(policy.told) == {world.scene.instruction}
        assert {frame.shape for frame in policy.frames} == {(48, 64, 3)}
        assert any(not np.array_equal(policy.frames[0], frame) for frame in policy.frames)
        assert result.told == world.scene.target.name


def test_blind_deaf_and_absent_change_image_or_instruction() -> None:
    with World(with_values(SimulatorConfig(), {"camera.width_px": 64, "camera.height_px": 48}), 3) as world:
        there = {thing.name for thing in world.scene.things}
        told = {}
        for driver in (Blind, Deaf, Absent):
            policy = FakePolicy()
            world.reset(3)
            told[driver] = drive(world, driver(policy), Rules(limit_s=1.0)).told
            grey = all(len(np.unique(frame)) == 1 for frame in policy.frames)
            assert grey == (driver is Blind)
        assert told[Blind] == world.scene.target.name
        assert told[Deaf] == world.scene.things[told_instead(world)].name != world.scene.target.name
        assert told[Absent] not in there
        assert named_pair(told[Absent]) is not None


def actions_at_rest(driver: Driver, world: World, times: int, every_s: float) -> list[Action]:
    """What a driver says while the robot stands."""
    actions = []
    for _ in range(times):
        actions.append(driver.act(world))
        world.advance(every_s)
    return actions


def test_a_random_walk_repeats_with_its_seed(world: Make) -> None:
    def walk(seed: int) -> list[Action]:
        one = world()
        one.reset(seed)
        driver = RandomWalk()
        driver.begin(one)
        return actions_at_rest(driver, one, times=5, every_s=1.0)

    assert walk(1) == walk(1) != walk(2)
    assert len(set(walk(1))) == 5


def test_bearing_is_positive_to_the_left() -> None:
    assert bearing_of(Pose(0.0, 0.0, 0.0), 1.0, 1.0) == pytest.approx(math.pi / 4)
    assert bearing_of(Pose(0.0, 0.0, math.pi), -1.0, 1.0) == pytest.approx(-math.pi / 4)


def test_a_wall_and_an_object_hide_the_goal_but_a_crate_does_not(world: Make) -> None:
    door = World(with_values(SimulatorConfig(), {"scenario": "door"}), 0)
    assert not in_sight(door.scene, Pose(-2.2, 1.8, 0.0), 0)
    one = world()
    assert in_sight(one.scene, one.scene.start, 0)
    hiding = (*one.scene.things, Thing("cube", "red", 0.0, 0.02))
    assert not in_sight(dataclasses.replace(one.scene, things=hiding), one.scene.start, 0)
    clutter = World(with_values(SimulatorConfig(), {"scenario": "clutter"}), 0)
    assert in_sight(clutter.scene, Pose(-2.2, -2.0, 0.0), 0)


def test_a_goal_that_is_hidden_in_part_is_in_sight(world: Make) -> None:
    one = world()
    scene, start = one.scene, one.scene.start
    target = scene.target
    aside = 0.9 * target.radius_m
    before = Thing("cube", "red", (start.x + target.x) / 2.0, (start.y + target.y) / 2.0 + aside)
    assert in_sight(dataclasses.replace(scene, things=(*scene.things, before)), start, 0)
    beside = (before, dataclasses.replace(before, y=before.y - 2.0 * aside))
    assert not in_sight(dataclasses.replace(scene, things=(*scene.things, *beside)), start, 0)


def test_the_expert_resets_its_goal_with_the_student(world: Make) -> None:
    def actions_after_losing_it(remembers_s: float, lost: Pose) -> list[Action]:
        one = world()
        one.reset(0)
        one.place(Pose(one.scene.target.x - 3.0, 0.0, 0.0))
        expert = Expert(RULES.scale, remembers_s)
        expert.begin(one)
        assert expert.act(one)[0] > 0.5
        one.place(lost)
        return actions_at_rest(expert, one, times=30, every_s=0.1)

    knows, forgets = (actions_after_losing_it(seconds, Pose(-3.0, 0.0, -2.0)) for seconds in (math.inf, 2.0))
    assert forgets[:20] == knows[:20]
    assert len(set(knows)) == 1
    assert forgets[22:] == [(0.75, 0.33)] * 8, "it searches in arcs"
    before_a_wall = actions_after_losing_it(2.0, Pose(-3.4, 0.0, math.pi))
    assert before_a_wall[22:] == [(0.0, 0.6)] * 8


def test_the_expert_sees_no_farther_than_its_student(world: Make) -> None:
    def turns_at(remembers_s: float, start: Pose, times: int = 1) -> list[Action]:
        one = world()
        one.reset(0)
        one.place(start)
        expert = Expert(RULES.scale, remembers_s)
        expert.begin(one)
        actions = []
        for time in range(times):
            one.place(Pose(start.x, start.y, start.yaw + time * 0.1))
            actions.append(expert.act(one))
        return actions

    target = world().scene.target
    far, near = (Pose(target.x - away_m, target.y, 0.0) for away_m in (3.8, 3.2))
    assert turns_at(math.inf, far)[0][1] == pytest.approx(0.0, abs=0.1)
    assert turns_at(4.0, near)[0][1] == pytest.approx(0.0, abs=0.1)
    assert turns_at(4.0, far) == [(0.75, 0.33)], "it searches"
    twice_around = 130
    assert set(turns_at(4.0, far, twice_around)) == {(0.75, 0.33)}
    away = Pose(near.x, near.y, math.pi)
    assert (0.0, 0.6) not in turns_at(math.inf, away, twice_around)[70:], "after one turn it knows the way"


def test_the_person_in_the_corridor_is_hit_by_whoever_does_not_wait() -> None:
    corridor = World(with_values(SimulatorConfig(), {"scenario": "corridor_person"}), 0)
    heedless = Expert(RULES.scale)
    heedless._person_ahead = lambda world, pose: False  # type: ignore[method-assign]
    result = drive(corridor, heedless)
    assert (result.outcome, result.contact) == (COLLIDED, "person 0")
    corridor.reset(0)
    assert drive(corridor, Expert(RULES.scale)).outcome == ARRIVED
