"""A drive written down moment by moment, with what the expert would have done: why a policy does not arrive."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mobile_vla_bench.closed_loop.benchmark import OF_POLICY, BenchmarkJob, equipment, memory_s
from mobile_vla_sim.drivers import Action
from mobile_vla_sim.episode import Actuator, EpisodeResult, run_episode
from mobile_vla_sim.expert import Expert, bearing_of, in_view
from mobile_vla_sim.gated import Gated
from mobile_vla_sim.scene import Scene
from mobile_vla_sim.suites import suite_named
from mobile_vla_sim.world import World

_SLOW_MPS, _TURNING_RADPS = 0.05, 0.1


class Moment(NamedTuple):
    """One decision. Actions are normalised; bearings are positive to the left."""

    time_s: float
    x: float
    y: float
    yaw: float
    linear_mps: float
    angular_radps: float
    goal_in_view: bool
    goal_bearing_rad: float
    goal_distance_m: float
    action_first: float
    action_second: float
    expert_first: float
    expert_second: float
    gate: str
    """What the safety gate said most often until the next decision; empty without a gate."""

    @property
    def doing(self) -> str:
        """Standing, turning on the spot, or driving."""
        if abs(self.linear_mps) >= _SLOW_MPS:
            return "drives"
        return "turns" if abs(self.angular_radps) >= _TURNING_RADPS else "stands"


@dataclasses.dataclass(frozen=True)
class Trace:
    """One drive from its start to its end."""

    result: EpisodeResult
    scene: Scene
    moments: list[Moment]

    def seconds(self, where: Iterable[bool]) -> float:
        """How long something was so that is given for every moment."""
        return sum(self.period_s for one in where if one)

    @property
    def period_s(self) -> float:
        return self.moments[1].time_s - self.moments[0].time_s if len(self.moments) > 1 else 0.0


class Tracer:
    """Watches one drive. The expert that it asks remembers as long as the policy does, and drives nothing."""

    def __init__(self, world: World, actuator: Actuator, expert: Expert) -> None:
        self._gate = actuator if isinstance(actuator, Gated) else None
        self._expert = expert
        self._expert.begin(world)
        self._said = self._reasons()
        self.moments: list[Moment] = []

    def __call__(self, world: World, action: Action) -> None:
        """Before every control period: what is seen, what was decided."""
        self.close()
        pose, velocity, goal = world.pose, world.velocity, world.scene.goal
        self.moments.append(
            Moment(
                world.time_s,
                *pose,
                velocity.linear_mps,
                velocity.angular_radps,
                in_view(world, goal),
                bearing_of(pose, world.scene.target.x, world.scene.target.y),
                world.distance_to(goal),
                *action,
                *self._expert.act(world),
                gate="",
            )
        )

    def close(self) -> None:
        """The last moment is over: what the gate said in it is known now."""
        said = self._reasons()
        counts = {reason: count - self._said.get(reason, 0) for reason, count in said.items()}
        self._said = said
        if self.moments and any(counts.values()):
            self.moments[-1] = self.moments[-1]._replace(gate=max(counts, key=counts.__getitem__))

    def _reasons(self) -> dict[str, int]:
        return dict(self._gate.reasons) if self._gate is not None else {}


def traces(job: BenchmarkJob, seeds: Iterable[int]) -> Iterator[Trace]:
    """Drive rooms of the job's suite as the benchmark does, and write them down."""
    driver, actuator = equipment(job)
    remembers_s = memory_s(job) if job.driver in (*OF_POLICY, "teacher") else math.inf
    with World(suite_named(job.suite).config(job.simulator), 0) as world:
        for seed in seeds:
            world.reset(seed)
            tracer = Tracer(world, actuator, Expert(job.rules.scale, remembers_s))
            result = run_episode(world, driver, actuator, job.rules, tracer)
            tracer.close()
            yield Trace(result, world.scene, tracer.moments)


def csv_of(trace: Trace) -> str:
    """One line per decision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Moment._fields)
    writer.writerows([_short(value) for value in moment] for moment in trace.moments)
    return text.getvalue()


def _short(value: float | str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
