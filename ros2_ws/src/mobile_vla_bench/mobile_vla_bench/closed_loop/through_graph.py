"""The closed-loop benchmark through the real graph: simulator, inference and controller as processes, in real time.

The rooms, the rules and the figures are those of the benchmark without a graph. The judge reads what the simulator
knows from its diagnostics, which come once a second: an episode lasts up to a second longer than its result says.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from mobile_vla.errors import UserError
from mobile_vla.metrics import Metric
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob
from mobile_vla_bench.closed_loop.report import DriverOutcome
from mobile_vla_bench.operator import Operator
from mobile_vla_bringup.graph import Graph
from mobile_vla_bringup.session import Session, open_session
from mobile_vla_ros.domain import borrowed
from mobile_vla_ros.topics import POLICY_RESET
from mobile_vla_sim.drivers import tell_absent, tell_goal, tell_other
from mobile_vla_sim.episode import ARRIVED, COLLIDED, OTHER, TIMED_OUT, EpisodeResult, shortest_path_m
from mobile_vla_sim.language import named_pair
from mobile_vla_sim.standing import GIVE_UP_S, STILL_FOR_S
from mobile_vla_sim.suites import suite_named
from mobile_vla_sim.truth import GroundTruth, read_truth
from mobile_vla_sim.world import World

ANSWER_TIMEOUT_S = 20.0
TOLD = {"policy": tell_goal, "deaf": tell_other, "absent": tell_absent}
"""Drivers that differ in what they are told only. What they are shown comes from the camera topic."""


@dataclasses.dataclass
class GraphRun:
    """Results by driver, and what only the graph can say."""

    outcomes: dict[str, DriverOutcome]
    metrics: list[Metric]
    executed: dict[str, Any]


def bench_through_graph(
    job: BenchmarkJob,
    drivers: Sequence[str],
    graph: Graph,
    folder: Path,
    *,
    say: Callable[[str], None],
    progress: Callable[[str, EpisodeResult], None],
) -> GraphRun:
    """Drive the job's rooms with every driver, one room after the other, on a ROS domain of their own.

    Bounded: no episode lasts longer than its rules allow plus the time for a new room, and a node that ends, ends it.
    """
    for name in drivers:
        if name not in TOLD:
            raise UserError(f"driver '{name}' cannot be run through the graph; choose among {', '.join(TOLD)}")
    simulator = suite_named(job.suite).config(job.simulator)
    nodes = tuple(_with_room(node, simulator, job.seeds[0]) for node in graph.nodes if node.name != "recorder")
    with (
        borrowed() as domain_id,
        open_session(Graph("", nodes, respawn=False), lambda *_: None, domain_id=domain_id, folder=folder) as session,
        Operator(domain_id, name="judge") as operator,
        World(simulator, job.seeds[0]) as room,
    ):
        say(f"{len(nodes)} processes on ROS domain {domain_id}: {', '.join(node.name for node in nodes)}")
        operator.wait_for_policy(lambda: session.supervisor.pid("inference"), session.supervisor.poll, say)
        judge = _Judge(session, operator, room, job)
        outcomes = {}
        for name in drivers:
            results = []
            for seed in job.seeds:
                results.append(judge.episode(seed, name))
                progress(name, results[-1])
            outcomes[name] = DriverOutcome(dataclasses.replace(job, driver=name), results)
        operator.disarm()
        return GraphRun(outcomes, _metrics(operator), _facts(operator))


def _with_room(node: Any, simulator: Any, seed: int) -> Any:
    if node.name != "simulator":
        return node
    return dataclasses.replace(node, config=dataclasses.replace(simulator, seed=seed))


class _Judge:
    """Puts the robot into a room, lets it drive, says what came of it. `room` is the same room, to look things up."""

    def __init__(self, session: Session, operator: Operator, room: World, job: BenchmarkJob) -> None:
        self._session = session
        self._operator = operator
        self._room = room
        self._job = job
        self._fresh = True

    def episode(self, seed: int, driver: str) -> EpisodeResult:
        self._enter(seed)
        instruction = TOLD[driver](self._room)
        operator = self._operator
        operator.instruct(instruction)
        operator.wait(
            lambda: operator.value("inference", "instruction") == instruction,
            ANSWER_TIMEOUT_S,
            "taking the instruction",
            self._session.supervisor.poll,
        )
        operator.call(POLICY_RESET, Trigger.Request(), ANSWER_TIMEOUT_S)
        operator.arm(ANSWER_TIMEOUT_S, self._session.supervisor.poll)
        armed = time.monotonic()
        truth, outcome = self._drive(armed)
        time_s = time.monotonic() - armed
        if outcome in (ARRIVED, OTHER):  # when it had stopped for long enough, not when we heard of it
            time_s -= max(0.0, min(truth.still_s, time_s) - STILL_FOR_S)
        operator.disarm()
        return EpisodeResult(
            seed=seed,
            outcome=outcome,
            instruction=instruction,
            told=" ".join(named_pair(instruction) or ("", "")),
            goal=self._room.scene.target.name,
            stopped_at=truth.nearest if outcome in (ARRIVED, OTHER) else "",
            contact=truth.contact.partition(" at ")[0],
            time_s=round(time_s, 2),
            path_m=truth.path_m,
            shortest_m=shortest_path_m(self._room),
            goal_distance_m=truth.objects[self._room.scene.target.name],
        )

    def _enter(self, seed: int) -> None:
        """A fresh room. The seed that is already there would not be one, unless nothing has happened in it."""
        operator = self._operator
        if not self._fresh:
            if operator.value("simulator", "seed") == str(seed):
                operator.set_parameter("simulator", "seed", seed + 1, ANSWER_TIMEOUT_S)
            operator.set_parameter("simulator", "seed", seed, ANSWER_TIMEOUT_S)
            operator.diagnostics.pop("simulator", None)
        self._fresh = False
        self._room.reset(seed)
        operator.wait(
            lambda: (truth := self._truth()) is not None and truth.seed == seed,
            ANSWER_TIMEOUT_S,
            f"room {seed}",
            self._session.supervisor.poll,
        )

    def _drive(self, armed: float) -> tuple[GroundTruth, str]:
        limit_s = self._job.rules.limit_s
        goal = self._room.scene.target.name
        while True:
            self._operator.diagnostics.pop("simulator", None)
            self._operator.wait(
                lambda: self._truth() is not None, ANSWER_TIMEOUT_S, "a report", self._session.supervisor.poll
            )
            truth = self._truth()
            assert truth is not None
            driven_s = time.monotonic() - armed
            if truth.contact:
                return truth, COLLIDED
            at = truth.stopped_at(driven_s)
            if at:
                return truth, ARRIVED if at == goal else OTHER
            if min(truth.still_s, driven_s) >= GIVE_UP_S or driven_s >= limit_s:
                return truth, TIMED_OUT

    def _truth(self) -> GroundTruth | None:
        return read_truth(self._operator.diagnostics.get("simulator", {}))


def _metrics(operator: Operator) -> list[Metric]:
    controller, simulator = operator.diagnostics["controller"], operator.diagnostics.get("simulator", {})
    metrics = [
        Metric(f"camera_to_command_{part}_ms", float(controller[key]), "ms")
        for part in ("p50", "p99")
        if (key := f"camera_to_command_{part}_ms") in controller
    ]
    if "lost_time_s" in simulator:
        lost = float(simulator["lost_time_s"])
        metrics.append(Metric("simulator_lost_s", lost, "s", baseline="simulated time that was given up to stay real"))
    return metrics


def _facts(operator: Operator) -> dict[str, Any]:
    said = operator.diagnostics.get("inference", {})
    return {key: said[key] for key in ("engine", "device", "dtype", "threads") if key in said}
