"""Pictures with labels for training, made in simulated rooms and stored in shards.

Three kinds of shards: `poses` (many rooms, random places, no actions: for the towers), `episodes` (the pushed expert)
and `corrected` (the policy drives through the safety gate, as it will later, and the expert says what would have been
right: where the gate stops it in front of an obstacle it learns the way around). A shard is decided by its kind and
number; it is written under a temporary name and renamed when complete, so making a data set can be interrupted and
goes on where it stopped.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.files import replacing_folder
from mobile_vla.policy.preprocess import Preprocess
from mobile_vla.train.config import TinySize
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.drivers import Action, ActionScale, Driver, PolicyDriver
from mobile_vla_sim.episode import Actuator, Direct, Rules, run_episode
from mobile_vla_sim.gated import Gated
from mobile_vla_sim.labels import Labeller, clear_of_all
from mobile_vla_sim.noisy import CorrectedPolicy, NoisyExpert
from mobile_vla_sim.scene import Block, Pose, Thing
from mobile_vla_sim.suites import FIRST_BENCHMARK_SEED, SUITES
from mobile_vla_sim.world import World

POSES, EPISODES, CORRECTED = "poses", "episodes", "corrected"
# Rooms of two kinds never meet, and all stay below the benchmark's. (`vla sim record` starts at 0.)
SEEDS = {
    EPISODES: range(10_000, 60_000),
    CORRECTED: range(60_000, 100_000),
    POSES: range(100_000, FIRST_BENCHMARK_SEED),
}
_POSE_ROOMS_PER_SHARD, _EPISODES_PER_SHARD = 80, 10


class LabelledDriver(Driver, Protocol):
    """A driver that also says what the expert would have done."""

    @property
    def label(self) -> Action:
        """The expert's action for the moment of the last `act`."""


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """What decides a data set."""

    image_px: int = 96
    patches: int = 8
    pictures_per_room: int = 12
    push_share: float = 0.35
    remembers_s: float = TinySize().memory_s
    """How long the expert knows where a goal is that it does not see: as long as the policy that learns from it."""
    scale: ActionScale = dataclasses.field(default_factory=ActionScale)
    simulator: SimulatorConfig = dataclasses.field(default_factory=SimulatorConfig)

    def rooms(self, shard: Shard) -> SimulatorConfig:
        """Training rooms as the camera sees them: the standard suite's, and as many with more colours and kinds."""
        standard = SUITES["standard"].config(self.simulator)
        return with_values(standard, {"room.pairs": "varied"}) if shard.number % 2 else standard


@dataclasses.dataclass(frozen=True)
class Correction:
    """Who drives corrected shards."""

    checkpoint: Path
    expert_share: float
    gate: ControllerConfig

    def driver(self, spec: DatasetSpec) -> LabelledDriver:
        """The policy with an expert beside it, opened in this process."""
        from mobile_vla.engine import open_policy

        policy = open_policy(InferenceConfig(checkpoint=str(self.checkpoint), threads=1))
        return CorrectedPolicy(PolicyDriver(policy), spec.scale, self.expert_share, remembers_s=spec.remembers_s)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One piece of a data set."""

    kind: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number:05d}"

    @property
    def seeds(self) -> range:
        count = _POSE_ROOMS_PER_SHARD if self.kind == POSES else _EPISODES_PER_SHARD
        start = SEEDS[self.kind].start + self.number * count
        if start + count > SEEDS[self.kind].stop:
            raise ValueError(f"{self.name} would use rooms that are kept for something else")
        return range(start, start + count)


def make(
    folder: Path,
    shards: Sequence[Shard],
    spec: DatasetSpec,
    image: Preprocess,
    correction: Correction | None = None,
    *,
    workers: int = 1,
    progress: Callable[[Shard], None] = lambda shard: None,
) -> None:
    """Make the shards that are not there yet; corrected ones need a `correction`."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [shard for shard in shards if not (folder / shard.name).is_dir()]
    if workers <= 1:
        for shard in missing:
            make_shard(folder, shard, spec, image, correction)
            progress(shard)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(make_shard, folder, shard, spec, image, correction): shard for shard in missing}
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                progress(futures[future])
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def make_shard(
    folder: Path, shard: Shard, spec: DatasetSpec, image: Preprocess, correction: Correction | None = None
) -> Path:
    """Make one shard and give it its name."""
    if shard.kind == POSES:
        rows = list(_poses(shard, spec, image))
    elif shard.kind == EPISODES:
        expert = NoisyExpert(spec.scale, spec.push_share, remembers_s=spec.remembers_s)
        rows = list(_episodes(shard, spec, image, expert, Direct(spec.scale)))
    else:
        assert correction is not None, f"{shard.name} needs a policy that drives"
        rows = list(_episodes(shard, spec, image, correction.driver(spec), Gated(correction.gate)))
    labels: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0] if name != "image"}
    with replacing_folder(folder / shard.name) as unfinished:
        np.save(unfinished / "images.npy", np.stack([row["image"] for row in rows]))
        np.savez(unfinished / "labels.npz", **labels)
    return folder / shard.name


class Shards:
    """Shards, one after the other: labels in memory, pictures where the disk's cache has them."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self._images = [np.load(folder / shard.name / "images.npy", mmap_mode="r") for shard in shards]
        self._ends = np.cumsum([len(images) for images in self._images])
        parts: dict[str, list[np.ndarray]] = {}
        for shard in shards:
            with np.load(folder / shard.name / "labels.npz") as labels:
                for name in labels.files:
                    parts.setdefault(name, []).append(labels[name])
                if "action" not in labels.files:
                    parts.setdefault("action", []).append(np.full((len(labels["seed"]), 2), np.nan, np.float32))
        self.labels = {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def images(self, rows: np.ndarray) -> np.ndarray:
        """The pictures of some rows, (rows, side, side, 3)."""
        shards = np.searchsorted(self._ends, rows, side="right")
        starts = self._ends - [len(images) for images in self._images]
        return np.stack([self._images[shard][row - starts[shard]] for shard, row in zip(shards, rows, strict=True)])


def _poses(shard: Shard, spec: DatasetSpec, image: Preprocess) -> Iterator[dict[str, Any]]:
    with World(spec.rooms(shard), shard.seeds[0]) as world:
        labeller = Labeller(world, spec.patches)
        for seed in shard.seeds:
            world.reset(seed)
            labeller.begin()
            rng = np.random.default_rng((seed, 20))
            for _ in range(spec.pictures_per_room):
                world.place(random_pose(world, rng))
                yield _row(world, labeller, image, seed)


def _episodes(
    shard: Shard, spec: DatasetSpec, image: Preprocess, driver: LabelledDriver, actuator: Actuator
) -> Iterator[dict[str, Any]]:
    rules = Rules(scale=spec.scale, limit_s=45.0)
    with World(spec.rooms(shard), shard.seeds[0]) as world:
        labeller = Labeller(world, spec.patches)
        for seed in shard.seeds:
            world.reset(seed)
            labeller.begin()
            rows: list[dict[str, Any]] = []

            def note(one: World, action: Action, rows: list[dict[str, Any]] = rows, seed: int = seed) -> None:
                rows.append({**_row(one, labeller, image, seed), "action": np.array(driver.label, np.float32)})

            run_episode(world, driver, actuator, rules, note)
            yield from rows


def _row(world: World, labeller: Labeller, image: Preprocess, seed: int) -> dict[str, Any]:
    return {
        "image": image.geometry(world.render()),
        **labeller.label()._asdict(),
        "seed": np.int64(seed),
        "goal": np.int64(world.scene.goal),
    }


def random_pose(world: World, rng: np.random.Generator) -> Pose:
    """Anywhere free; often looking at an object, sometimes near one or near a crate, as near as the robot stops."""
    scene, radius = world.scene, world.config.base.radius_m
    while True:
        thing: Thing | Block = scene.things[int(rng.integers(len(scene.things)))]
        luck = rng.random()
        if luck < 0.45:
            if luck > 0.3 and scene.blocks:
                thing = scene.blocks[int(rng.integers(len(scene.blocks)))]
            away, side = rng.uniform(0.35, 1.2), rng.uniform(-math.pi, math.pi)
            x, y = thing.x + away * math.cos(side), thing.y + away * math.sin(side)
        else:
            x, y = (rng.uniform(-size / 2.0, size / 2.0) for size in (scene.size_x_m, scene.size_y_m))
        if clear_of_all(scene, x, y, radius + 0.02):
            break
    yaw = rng.uniform(-math.pi, math.pi)
    if rng.random() < 0.6:
        yaw = math.atan2(thing.y - y, thing.x - x) + rng.uniform(-0.75, 0.75)
    return Pose(float(x), float(y), float(yaw))


def small_camera(simulator: SimulatorConfig, width_px: int = 320, height_px: int = 240) -> SimulatorConfig:
    """The same simulator with a camera that is fast to draw."""
    return with_values(simulator, {"camera.width_px": width_px, "camera.height_px": height_px})
