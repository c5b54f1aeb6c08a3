"""Closed-loop benchmark without a graph: drivers through the rooms of a suite, one result per episode.

An episode depends on its seed only, so the work may be split over processes without changing a figure.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mobile_vla.control.config import ControllerConfig
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError, nearest
from mobile_vla.train.config import TinySize
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import Absent, Blind, Deaf, Driver, PolicyDriver, RandomWalk, Straight
from mobile_vla_sim.episode import Actuator, Direct, EpisodeResult, Rules, run_episode
from mobile_vla_sim.expert import Expert
from mobile_vla_sim.gated import Gated
from mobile_vla_sim.suites import SUITES, suite_named
from mobile_vla_sim.world import World

if TYPE_CHECKING:
    from mobile_vla.policy.interface import Policy

OF_POLICY = {"policy": PolicyDriver, "blind": Blind, "deaf": Deaf, "absent": Absent}
REFERENCES = ("expert", "teacher", "straight", "random")
DRIVERS = (*OF_POLICY, *REFERENCES)
_CHUNK = 5


@dataclasses.dataclass(frozen=True)
class BenchmarkJob:
    """Everything that decides the results of one driver on one suite."""

    driver: str
    suite: str = "standard"
    episodes: int = 100
    first: int = 0
    rules: Rules = dataclasses.field(default_factory=Rules)
    simulator: SimulatorConfig = dataclasses.field(default_factory=SimulatorConfig)
    inference: InferenceConfig | None = None
    gate: ControllerConfig | None = None

    def __post_init__(self) -> None:
        if self.driver not in DRIVERS:
            raise UserError(f"unknown driver '{self.driver}'; {nearest(self.driver, DRIVERS)}")
        if self.driver in OF_POLICY and self.inference is None:
            raise UserError(f"driver '{self.driver}' needs a policy; name one with --policy")
        if self.suite not in SUITES:
            suite_named(self.suite)
        if self.episodes < 1:
            raise UserError(f"--episodes must be >= 1, got {self.episodes}")

    @property
    def seeds(self) -> range:
        start = suite_named(self.suite).first_seed + self.first
        return range(start, start + self.episodes)


class Workers:
    """Processes that share the episodes of one job after the other, as a context manager.

    They stay from job to job, since starting one costs as much as several episodes. One worker is this process.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.count > 1:
            context = multiprocessing.get_context("spawn")
            self._pool = concurrent.futures.ProcessPoolExecutor(self.count, mp_context=context, initializer=_one_thread)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def run(self, job: BenchmarkJob, progress: Callable[[EpisodeResult], None] | None = None) -> list[EpisodeResult]:
        """Every episode of a job, in the order of the seeds, whatever the number of workers."""
        if self._pool is None:
            return list(_watched(_episodes(job, job.seeds), progress))
        parts = [job.seeds[start : start + _CHUNK] for start in range(0, job.episodes, _CHUNK)]
        futures = [self._pool.submit(_part, job, part) for part in parts]
        results: list[EpisodeResult] = []
        for future in concurrent.futures.as_completed(futures):
            results += _watched(future.result(), progress)
        return sorted(results, key=lambda result: result.seed)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _watched(
    results: Sequence[EpisodeResult] | Iterator[EpisodeResult], progress: Callable[[EpisodeResult], None] | None
) -> Iterator[EpisodeResult]:
    for result in results:
        if progress is not None:
            progress(result)
        yield result


def _part(job: BenchmarkJob, seeds: range) -> list[EpisodeResult]:
    return list(_episodes(job, seeds))


def _one_thread() -> None:
    """One arithmetic thread per process: two processes with two threads each slow each other down."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _episodes(job: BenchmarkJob, seeds: range) -> Iterator[EpisodeResult]:
    driver, actuator = equipment(job)
    with World(suite_named(job.suite).config(job.simulator), seeds[0]) as world:
        for seed in seeds:
            world.reset(seed)
            yield run_episode(world, driver, actuator, job.rules)


def equipment(job: BenchmarkJob) -> tuple[Driver, Actuator]:
    """Who drives, and what is between that driver and the base."""
    gate = Direct(job.rules.scale) if job.gate is None else Gated(job.gate, job.rules.action_delay_s)
    return _driver(job), gate


# One policy per process is kept: opening it costs more than an episode.
_opened: dict[InferenceConfig, Policy] = {}


def _driver(job: BenchmarkJob) -> Driver:
    if job.driver == "expert":
        return Expert(job.rules.scale)
    if job.driver == "teacher":
        return Expert(job.rules.scale, memory_s(job))
    if job.driver == "straight":
        return Straight()
    if job.driver == "random":
        return RandomWalk()
    return OF_POLICY[job.driver](open_for(job))


def open_for(job: BenchmarkJob) -> Policy:
    """The job's policy, opened once per process. Raises `UserError` when its actions mean something else here."""
    assert job.inference is not None
    if job.inference not in _opened:
        from mobile_vla.engine import open_policy

        _opened.clear()
        _opened[job.inference] = open_policy(job.inference)
    policy = _opened[job.inference]
    space, wanted = policy.card.action_space, job.rules.scale.space
    if space != wanted:
        raise UserError(
            f"the policy's action space is {space} and the robot takes {wanted}; name a policy for {wanted}, or set "
            f"controller.action.space={space} where the base can do it"
        )
    return policy


def memory_s(job: BenchmarkJob) -> float:
    """How long the job's policy remembers what it saw; without a policy, how long one of the recipe would."""
    if job.inference is None:
        return TinySize().memory_s
    card = open_for(job).card
    return card.window / card.control_rate_hz


def step_times_ms(policy: Policy, count: int = 60) -> list[float]:
    """How long a decision takes in this process, from picture to action. The first ones only fill the window."""
    warm_up = policy.card.window
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    policy.reset()
    times = [sum(policy.step(picture, "go to the red ball").timings_ms.values()) for _ in range(warm_up + count)]
    policy.reset()
    return times[warm_up:]
