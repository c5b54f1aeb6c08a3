"""The judge of the benchmark through the graph, with a graph that is played."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError
from mobile_vla_bench.closed_loop import through_graph
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob
from mobile_vla_bench.closed_loop.through_graph import _Judge, bench_through_graph
from mobile_vla_bringup.graph import Choice, describe
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.episode import ARRIVED, COLLIDED, OTHER, TIMED_OUT, EpisodeResult, Rules
from mobile_vla_sim.truth import truth_values
from mobile_vla_sim.world import World

SEED = 1_000_000
JOB = BenchmarkJob("policy", episodes=1, rules=Rules(limit_s=30.0), inference=InferenceConfig())
Played = Callable[[float], dict[str, str]]


class PlayedGraph:
    """An operator whose simulator reports once a second what a function of the time since arming says."""

    def __init__(self, room: World, played: Played) -> None:
        self._room = room
        self._played = played
        self.now = 100.0
        self.armed: float | None = None
        self.told = ""
        self.asked: list[tuple[str, Any]] = []
        self.diagnostics: dict[str, dict[str, str]] = {}

    def value(self, node: str, key: str) -> str:
        if (node, key) == ("inference", "instruction"):
            return self.told
        return self.diagnostics.get(node, {}).get(key, "")

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str, also: Any = None) -> None:
        for _ in range(int(timeout_s) + 1):
            if condition():
                return
            self.now += 1.0
            driven_s = 0.0 if self.armed is None else self.now - self.armed
            self.diagnostics["simulator"] = {**truth_values(self._room, 0.0), **self._played(driven_s)}
        raise UserError(f"{what} did not happen")

    def instruct(self, text: str) -> None:
        self.told = text

    def set_parameter(self, node: str, name: str, value: Any, timeout_s: float) -> None:
        self.asked.append((name, value))

    def call(self, *_: object) -> None:
        self.asked.append(("reset", self.told))

    def arm(self, *_: object) -> None:
        self.armed = self.now

    def disarm(self) -> None:
        self.armed = None


@pytest.fixture(scope="module")
def room() -> Iterator[World]:
    with World(SimulatorConfig(), SEED) as world:
        yield world


def judged(
    room: World, played: Played, monkeypatch: pytest.MonkeyPatch, driver: str = "policy"
) -> tuple[EpisodeResult, Any]:
    graph = PlayedGraph(room, played)
    monkeypatch.setattr(through_graph, "time", SimpleNamespace(monotonic=lambda: graph.now))
    session: Any = SimpleNamespace(supervisor=SimpleNamespace(poll=lambda: None))
    return _Judge(session, graph, room, JOB).episode(SEED, driver), graph  # type: ignore[arg-type]


def standing_at(room: World, name: str, since_s: float) -> Played:
    distances = "; ".join(
        f"{thing.name} {0.4 if thing.name == name else 3.0 + index}" for index, thing in enumerate(room.scene.things)
    )
    return lambda driven_s: {
        "objects": distances,
        "still_s": str(max(0.0, driven_s - since_s)),
        "path_m": "4.0",
    }


def test_stopping_at_the_goal_is_arriving_when_it_had_stood_for_a_second(
    room: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, graph = judged(room, standing_at(room, room.scene.target.name, 7.5), monkeypatch)
    assert (result.outcome, result.stopped_at, result.goal) == (ARRIVED, room.scene.target.name, room.scene.target.name)
    assert result.time_s == pytest.approx(8.5)
    assert result.instruction == room.scene.instruction
    assert 0.0 < result.spl <= 1.0
    assert graph.asked == [("reset", room.scene.instruction)]
    assert graph.armed is None


def test_standing_before_arming_does_not_count(room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = judged(room, standing_at(room, room.scene.target.name, -50.0), monkeypatch)
    assert (result.outcome, result.time_s) == (ARRIVED, 1.0)
    far = standing_at(room, "nothing", -50.0)
    assert judged(room, far, monkeypatch)[0].time_s == pytest.approx(10.0, abs=1.0)


def test_deaf_is_told_another_object_and_the_room_keeps_its_goal(room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [thing.name for thing in room.scene.things]
    other = next(name for name in names if name != room.scene.target.name)
    result, graph = judged(room, standing_at(room, other, 3.0), monkeypatch, "deaf")
    assert (result.outcome, result.stopped_at, result.goal) == (OTHER, other, room.scene.target.name)
    assert result.told in names
    assert result.told != room.scene.target.name
    assert graph.told == result.instruction


def test_a_touch_ends_the_episode(room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    moving = standing_at(room, "nothing", 1e9)
    result, _ = judged(room, lambda t: {**moving(t), "contact": "crate 1 at 3.20 s" if t > 3.2 else ""}, monkeypatch)
    assert (result.outcome, result.contact, result.time_s) == (COLLIDED, "crate 1", 4.0)


@pytest.mark.parametrize(("still_from_s", "lasts_s"), [(1e9, 30.0), (2.0, 12.0)])
def test_patience_ends(still_from_s: float, lasts_s: float, room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = judged(room, standing_at(room, "nothing", still_from_s), monkeypatch)
    assert result.outcome == TIMED_OUT
    assert result.time_s == pytest.approx(lasts_s)


def test_the_next_episode_gets_a_fresh_room_even_with_the_same_seed(
    room: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = PlayedGraph(room, standing_at(room, room.scene.target.name, 2.0))
    monkeypatch.setattr(through_graph, "time", SimpleNamespace(monotonic=lambda: graph.now))
    session: Any = SimpleNamespace(supervisor=SimpleNamespace(poll=lambda: None))
    judge = _Judge(session, graph, room, JOB)  # type: ignore[arg-type]
    first, second = (judge.episode(SEED, "policy") for _ in itertools.repeat(None, 2))
    assert first == second
    assert [entry for entry in graph.asked if entry[0] == "seed"] == [("seed", SEED + 1), ("seed", SEED)]


def test_a_driver_that_needs_another_picture_is_refused(tmp_path: Any) -> None:
    described = describe(Choice(robot="sim"))
    with pytest.raises(UserError, match="driver 'blind' cannot be run through the graph"):
        bench_through_graph(JOB, ["blind"], described, tmp_path, say=print, progress=lambda *_: None)
