"""Closed-loop benchmark without a graph: drivers through the rooms of a suite, one result per episode.

An episode depends on its seed only, so the work may be split over processes without changing a figure.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mobile_vla.control.config import ControllerConfig
from mobile_vla.errors import UserError, nearest
from mobile_vla.policy.config import InferenceConfig
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import Absent, Blind, Deaf, Driver, PolicyDriver, RandomWalk, Straight
from mobile_vla_sim.episode import ARRIVED, COLLIDED, OTHER, TIMED_OUT, Actuator, Direct, Result, Rules, run_episode
from mobile_vla_sim.estimates import Estimate, mean, share
from mobile_vla_sim.expert import Expert
from mobile_vla_sim.gated import Gated
from mobile_vla_sim.suites import SUITES, suite_named
from mobile_vla_sim.world import World

OF_POLICY = {"policy": PolicyDriver, "blind": Blind, "deaf": Deaf, "absent": Absent}
REFERENCES = ("expert", "straight", "random")
DRIVERS = (*OF_POLICY, *REFERENCES)
_CHUNK = 5


@dataclasses.dataclass(frozen=True)
class Job:
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


class Summary(NamedTuple):
    """What the results of one driver say."""

    success: Estimate
    spl: Estimate
    collisions: Estimate
    other_object: Estimate
    timed_out: Estimate
    time_s: Estimate
    """Of the successful episodes; of all when there is none."""
    by_colour: dict[str, Estimate]
    by_kind: dict[str, Estimate]
    contacts: dict[str, int]


def run_job(job: Job, workers: int = 1, progress: Callable[[Result], None] | None = None) -> list[Result]:
    """Every episode of a job, in the order of the seeds."""
    if workers <= 1:
        return list(_watched(_episodes(job, job.seeds), progress))
    parts = [job.seeds[start : start + _CHUNK] for start in range(0, job.episodes, _CHUNK)]
    context = multiprocessing.get_context("spawn")
    results: list[Result] = []
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        futures = [pool.submit(_part, job, part) for part in parts]
        try:
            for future in concurrent.futures.as_completed(futures):
                results += _watched(future.result(), progress)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return sorted(results, key=lambda result: result.seed)


def summarise(results: Sequence[Result]) -> Summary:
    """Shares and means over one driver's results."""
    outcomes = Counter(result.outcome for result in results)
    total = len(results)
    times = [result.time_s for result in results if result.success] or [result.time_s for result in results]
    return Summary(
        success=share(outcomes[ARRIVED], total),
        spl=mean([result.spl for result in results]),
        collisions=share(outcomes[COLLIDED], total),
        other_object=share(outcomes[OTHER], total),
        timed_out=share(outcomes[TIMED_OUT], total),
        time_s=mean(times),
        by_colour=_success_by(results, 0),
        by_kind=_success_by(results, 1),
        contacts=dict(
            Counter(result.contact.rstrip("0123456789 ") for result in results if result.contact).most_common()
        ),
    )


def went_as_told(results: Sequence[Result]) -> Estimate:
    """The share of `deaf` episodes that ended at the object that was told instead of the goal."""
    return share(sum(bool(result.stopped_at) and result.stopped_at == result.told for result in results), len(results))


def stopped_somewhere(results: Sequence[Result]) -> Estimate:
    """The share of episodes that ended at any object: what `absent` should not do."""
    return share(sum(bool(result.stopped_at) for result in results), len(results))


def _success_by(results: Sequence[Result], word: int) -> dict[str, Estimate]:
    names = sorted({result.goal.split()[word] for result in results})
    groups = {name: [result.success for result in results if result.goal.split()[word] == name] for name in names}
    return {name: share(sum(group), len(group)) for name, group in groups.items()}


def _watched(
    results: Sequence[Result] | Iterator[Result], progress: Callable[[Result], None] | None
) -> Iterator[Result]:
    for result in results:
        if progress is not None:
            progress(result)
        yield result


def _part(job: Job, seeds: range) -> list[Result]:
    return list(_episodes(job, seeds))


def _one_thread() -> None:
    """One arithmetic thread per process: two processes with two threads each slow each other down."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _episodes(job: Job, seeds: range) -> Iterator[Result]:
    driver = _driver(job)
    actuator: Actuator = Direct(job.rules.scale) if job.gate is None else Gated(job.gate, job.rules.action_delay_s)
    with World(suite_named(job.suite).config(job.simulator), seeds[0]) as world:
        for seed in seeds:
            world.reset(seed)
            yield run_episode(world, driver, actuator, job.rules)


# One policy per process is kept: opening it costs more than an episode.
_opened: dict[InferenceConfig, object] = {}


def _driver(job: Job) -> Driver:
    if job.driver == "expert":
        return Expert(job.rules.scale)
    if job.driver == "straight":
        return Straight()
    if job.driver == "random":
        return RandomWalk()
    assert job.inference is not None
    if job.inference not in _opened:
        from mobile_vla.engine import open_policy

        _opened[job.inference] = open_policy(job.inference)
    policy = _opened[job.inference]
    space, kind = policy.card.action_space, job.simulator.base.kind  # type: ignore[attr-defined]
    if space != kind:
        raise UserError(
            f"the policy's action space is {space} and the simulated base is {kind}; choose a base of kind {space}"
        )
    return OF_POLICY[job.driver](policy)  # type: ignore[arg-type]
