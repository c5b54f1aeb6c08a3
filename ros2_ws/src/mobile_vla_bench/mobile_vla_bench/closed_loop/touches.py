"""How often a robot that obeys its safety gate touches a post: layouts of BARN, reckless drivers, no policy.

A run depends on its layout and driver only, so the work may be split over processes without changing a figure.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import math
import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla.metrics import Metric
from mobile_vla_bench.closed_loop.estimates import mean, share
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import Hunter, RandomWalk, Straight
from mobile_vla_sim.episode import DECISIONS_HZ
from mobile_vla_sim.gated import Gated
from mobile_vla_sim.post_world import PostWorld
from mobile_vla_sim.posts import PostLayout, barn_file, layouts

DRIVERS: dict[str, Callable[[], Any]] = {"straight": Straight, "random": RandomWalk, "hunter": Hunter}
LAYOUTS = 300
# Farther posts matter to no guard that moves at these speeds, and cost most of the rays.
SIGHT_M = 2.5


@dataclasses.dataclass(frozen=True)
class Trial:
    """Everything that decides a run, besides its layout."""

    driver: str
    simulator: SimulatorConfig
    gate: ControllerConfig
    count: int = LAYOUTS
    limit_s: float = 30.0


class Run(NamedTuple):
    """One layout driven: when it was touched (None: never), the least gap to a post, how far and how it drove."""

    layout: str
    touched_s: float | None
    least_gap_m: float
    time_s: float
    path_m: float
    turned_rad: float
    reasons: dict[str, int]


def drive(trial: Trial, index: int) -> Run:
    """One layout from its start to the first touch, or to the end of the time."""
    guard = trial.gate.range_guard
    body_m = math.hypot(max(guard.front_m, guard.rear_m), guard.half_width_m)
    layout = _layouts(trial.count, guard.half_width_m if guard.round else body_m, barn_file())[index]
    config = with_values(trial.simulator, {"lidar.max_m": SIGHT_M})
    world = PostWorld(config, guard, layout)
    driver, gate = DRIVERS[trial.driver](), Gated(trial.gate)
    gate.begin(world)
    driver.begin(world)
    while world.time_s < trial.limit_s and world.touched_s is None:
        gate.drive(world, driver.act(world), 1.0 / DECISIONS_HZ)
    return Run(
        layout.name, world.touched_s, world.least_gap_m, world.time_s, world.path_m, world.turned_rad, gate.reasons
    )


def drive_all(trial: Trial, workers: int = 1, progress: Callable[[], None] = lambda: None) -> list[Run]:
    """Every layout, in their order, whatever the number of workers."""
    runs: list[Run] = []
    if workers <= 1:
        for index in range(trial.count):
            runs.append(drive(trial, index))
            progress()
        return runs
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        for run in pool.map(functools.partial(drive, trial), range(trial.count), chunksize=5):
            runs.append(run)
            progress()
    return runs


def kinds(runs: Sequence[Run]) -> dict[str, int]:
    """How many layouts of each kind were driven."""
    counted = Counter(run.layout.split()[0] for run in runs)
    return {kind: counted[kind] for kind in ("barn", "generated")}


def metrics_of(driver: str, runs: Sequence[Run]) -> list[Metric]:
    """Touches, and what shows that the robot did not just stand still."""
    touches = sum(run.touched_s is not None for run in runs)
    total, estimate = len(runs), share(touches, len(runs))
    ticks = sum(sum(run.reasons.values()) for run in runs)
    speed = mean([run.path_m / run.time_s for run in runs])
    per_100 = (100 * estimate.low, 100 * estimate.high)
    return [
        Metric(f"{driver}_touches", touches, "layouts", target=0.0, n=total),
        Metric(f"{driver}_touches_per_100", 100 * touches / total, "layouts", target=0.0, n=total, spread=per_100),
        Metric(f"{driver}_least_gap_m", min(run.least_gap_m for run in runs), "m", "higher", n=total),
        Metric(f"{driver}_speed_mps", speed.value, "m/s", "higher", n=total, spread=(speed.low, speed.high)),
        Metric(f"{driver}_distance_m", sum(run.path_m for run in runs), "m", "higher", n=total),
        Metric(f"{driver}_turned_rad", sum(run.turned_rad for run in runs), "rad", "higher", n=total),
        *(
            Metric(f"{driver}.{reason}", sum(run.reasons.get(reason, 0) for run in runs) / ticks, "share of ticks")
            for reason in ("range_slow", "range_stop", "range_unseen")
        ),
    ]


@functools.lru_cache(maxsize=2)
def _layouts(count: int, body_m: float, barn: Path | None) -> list[PostLayout]:
    """Made once per process and file."""
    return layouts(count, body_m)
