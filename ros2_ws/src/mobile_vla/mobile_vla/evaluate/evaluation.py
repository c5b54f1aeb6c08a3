"""Bags and policies in, figures out: what `vla eval` does, without its printing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import IMAGE_TYPES, Roles, find_roles
from mobile_vla.control import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla.evaluate import metrics
from mobile_vla.evaluate.closed import recorded_sensors, sensors_of
from mobile_vla.evaluate.columns import Columns
from mobile_vla.evaluate.frames import Selection, pixels_of, samples_of
from mobile_vla.evaluate.metrics import Agreement, Character, Interval, Values
from mobile_vla.evaluate.rollout import UNITS, Moment, Rollout
from mobile_vla.evaluate.schedule import Options
from mobile_vla.policy.interface import Policy

BASELINES = ("mean", "repeat", "zero")
_TURNING = 0.15
"""Share of full turning speed above which the recorded robot counts as turning."""


class NamedPolicy(NamedTuple):
    """A policy under the name that reports use."""

    name: str
    policy: Policy


class AxisResult(NamedTuple):
    """One axis of one policy, with what each baseline gets on the same frames."""

    axis: str
    unit: str
    full: float
    policy: Agreement
    baselines: dict[str, Agreement]
    intervals: dict[str, Interval | None]
    lag_ms: float
    lag_curve: list[tuple[float, float]]
    character: Character
    recorded_character: Character
    turning_mae: float
    straight_mae: float


class Group(NamedTuple):
    """One line of the table per episode or per instruction: mean absolute error per axis."""

    name: str
    frames: int
    seconds: float
    mae: tuple[float, float]
    baseline_mean: tuple[float, float]


class PolicyResult(NamedTuple):
    """Everything about one policy."""

    name: str
    axes: list[AxisResult]
    by_episode: list[Group]
    by_instruction: list[Group]
    model_ms: float
    digest: str


class BagFacts(NamedTuple):
    """What was read of one bag."""

    path: str
    seconds: float
    topics: Roles
    damage: str
    missing: tuple[str, ...] = ()
    """Sensors that the gate listens to on the robot and that were not recorded (`closed` only)."""


@dataclass
class Evaluation:
    """The result. `notes` are sentences about what could not be computed or must be known to read the figures."""

    results: list[PolicyResult]
    bags: list[BagFacts]
    columns: Columns
    axes: tuple[str, str]
    full: tuple[float, float]
    paired: list[tuple[str, float, Interval | None]]
    wall_s: float
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(bag.seconds for bag in self.bags)

    @property
    def times_real_time(self) -> float:
        return self.seconds / self.wall_s if self.wall_s else float("nan")


def evaluate(
    bags: Sequence[Path],
    policies: Sequence[NamedPolicy],
    controller: ControllerConfig,
    options: Options,
    selection: Selection,
    *,
    chosen: Mapping[str, str] | None = None,
    on_moment: Callable[[Moment], None] = lambda moment: None,
    on_bag: Callable[[str, float], None] = lambda path, seconds: None,
) -> Evaluation:
    """Run every policy over every bag. `chosen` names topics by role; `on_moment` sees every counted frame."""
    rollout = Rollout([one.policy for one in policies], controller, options)
    facts: list[BagFacts] = []
    started = time.perf_counter()
    for path in bags:
        with BagReader(path) as reader:
            roles = _roles(reader, path, chosen, options, controller)
            seconds = (selection.end_s or reader.duration_s) - selection.start_s
            if selection.start_s >= reader.duration_s:
                raise UserError(f"{path} ends at {reader.duration_s:.1f} s, --start-s is {selection.start_s:g}")
            on_bag(str(path), min(seconds, reader.duration_s - selection.start_s))
            samples = samples_of(reader, roles, selection)
            sensors = recorded_sensors(controller, roles)
            for moment in rollout.feed(str(path), reader.start_ns, samples, partial(pixels_of, reader), sensors):
                on_moment(moment)
            damage = reader.damage.sentence if reader.damage is not None else ""
            missing = [role for role, used in sensors_of(controller).items() if used and role not in sensors]
            length = min(seconds, reader.duration_s - selection.start_s)
            facts.append(BagFacts(str(path), length, roles, damage, tuple(missing) if options.closed else ()))
    columns = rollout.columns
    _refuse_nothing(columns, bags)
    return summarise(rollout, policies, facts, time.perf_counter() - started)


def _roles(
    reader: BagReader, path: Path, chosen: Mapping[str, str] | None, options: Options, controller: ControllerConfig
) -> Roles:
    sensors = [role for role, used in sensors_of(controller).items() if used and options.closed]
    try:
        roles = find_roles(
            reader.topics.values(), chosen, {"image", "command", "instruction", "odometry", "mode", *sensors}
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if roles.image is None:
        empty = [topic.name for topic in reader.topics.values() if topic.type in IMAGE_TYPES]
        if empty:
            raise UserError(f"{path} holds no picture: its camera topic {empty[0]} is empty; record it again")
        known = ", ".join(sorted(reader.topics)) or "none"
        raise UserError(f"{path} has no camera topic (Image or CompressedImage); its topics: {known}")
    if roles.instruction is None and not options.instruction:
        raise UserError(f"{path} has no instruction; give one with --instruction")
    return roles


def _refuse_nothing(columns: Columns, bags: Sequence[Path]) -> None:
    if len(columns.t):
        return
    names = ", ".join(str(path) for path in bags)
    if columns.frames == 0:
        raise UserError(f"{names}: no camera frame lies in the chosen part; check --start-s and --end-s")
    if columns.not_counted:
        raise UserError(
            f"{names}: in none of {columns.frames} frames was the robot driven; count all with --every-frame"
        )
    raise UserError(f"{names}: no frame comes after an instruction; give one with --instruction")


class _Compared(NamedTuple):
    """The frames that have a recorded command."""

    known: NDArray[np.bool_]
    recorded: list[Values]
    t: Values
    episode: NDArray[np.int64]


def summarise(rollout: Rollout, policies: Sequence[NamedPolicy], facts: list[BagFacts], wall_s: float) -> Evaluation:
    """Figures from what a rollout collected."""
    columns = rollout.columns
    known = np.frombuffer(columns.has_command, np.int8).astype(bool)
    recorded = [np.frombuffer(column)[known] for column in columns.recorded]
    frames = _Compared(known, recorded, np.frombuffer(columns.t), np.frombuffer(columns.episode, np.int64))
    results = []
    for index, one in enumerate(policies):
        predicted = [np.frombuffer(column) for column in columns.predicted[index]]
        axes = [_axis(rollout, axis, predicted[axis], frames) for axis in (0, 1)]
        compared = [column[known] for column in predicted]
        by_episode = _groups(*_episode_keys(columns, known), compared, frames)
        by_instruction = _groups(*_instruction_keys(columns, known), compared, frames)
        timed = columns.model_ms[index].summary()
        model_ms = timed.p50_ms if timed.total else float("nan")
        results.append(PolicyResult(one.name, axes, by_episode, by_instruction, model_ms, columns.digest()))
    paired = []
    if len(policies) == 2:
        for axis, name in enumerate(rollout.axes):
            first, second = (np.frombuffer(columns.predicted[index][axis])[known] for index in (0, 1))
            paired.append((name, *metrics.paired_difference(first, second, recorded[axis], frames.episode[known])))
    evaluation = Evaluation(results, facts, columns, rollout.axes, rollout.full, paired, wall_s)
    evaluation.notes = _notes(evaluation, known)
    return evaluation


def _axis(rollout: Rollout, axis: int, predicted: Values, frames: _Compared) -> AxisResult:
    known, full, recorded = frames.known, rollout.full[axis], frames.recorded[axis]
    compared, episode = predicted[known], frames.episode[known]
    steps = np.diff(frames.t)[np.diff(frames.episode) == 0]
    lag_ms, curve = metrics.best_lag_ms(compared, recorded, episode, float(np.median(steps)) if len(steps) else 0.0)
    turning = np.abs(frames.recorded[1]) > _TURNING * rollout.full[1]
    trivial = {
        "mean": metrics.mean_baseline(recorded),
        "repeat": metrics.repeat_baseline(recorded, episode),
        "zero": np.zeros_like(recorded),
    }
    return AxisResult(
        rollout.axes[axis],
        UNITS[rollout.axes[axis]],
        full,
        metrics.agreement(compared, recorded, full),
        {name: metrics.agreement(values, recorded, full) for name, values in trivial.items()},
        metrics.bootstrap(compared, recorded, episode),
        lag_ms,
        curve,
        metrics.character(predicted, frames.t, frames.episode, full),
        metrics.character(recorded, frames.t[known], episode, full),
        *metrics.by_turning(compared, recorded, turning),
    )


def _episode_keys(columns: Columns, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], dict[int, str]]:
    names = {
        one.number: f"{one.number + 1}: {one.instruction} ({Path(one.bag).name}, from {one.start_s:.1f} s)"
        for one in columns.episodes
    }
    return np.frombuffer(columns.episode, np.int64)[known], names


def _instruction_keys(columns: Columns, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], dict[int, str]]:
    texts = sorted({one.instruction for one in columns.episodes})
    number = np.array([texts.index(one.instruction) for one in columns.episodes], np.int64)
    return number[np.frombuffer(columns.episode, np.int64)[known]], dict(enumerate(texts))


def _groups(keys: NDArray[np.int64], names: dict[int, str], predicted: list[Values], frames: _Compared) -> list[Group]:
    t, episode = frames.t[frames.known], frames.episode[frames.known]
    groups = []
    for key in np.unique(keys):
        part = keys == key
        seconds = sum(float(np.ptp(t[part & (episode == number)])) for number in np.unique(episode[part]))
        mae = [float(np.mean(np.abs(p[part] - r[part]))) for p, r in zip(predicted, frames.recorded, strict=True)]
        base = [float(np.mean(np.abs(np.mean(r) - r[part]))) for r in frames.recorded]
        groups.append(Group(names[int(key)], int(part.sum()), seconds, (mae[0], mae[1]), (base[0], base[1])))
    return groups


def _notes(evaluation: Evaluation, known: NDArray[np.bool_]) -> list[str]:
    columns, frames = evaluation.columns, evaluation.columns.frames
    notes = [f"{Path(bag.path).name} is damaged: {bag.damage}." for bag in evaluation.bags if bag.damage]
    notes += [
        f"{Path(bag.path).name} has no {' and no '.join(bag.missing)}: the gate ran without, the robot would not."
        for bag in evaluation.bags
        if bag.missing
    ]
    for result, guarded in zip(evaluation.results, columns.guarded, strict=True):
        if guarded:
            notes.append(f"The range guard held {result.name} back in {guarded} of {len(known)} frames.")
    if not known.any():
        notes.append(
            "No recorded command lies near any frame: errors and baselines cannot be computed, "
            "only how the policy behaves."
        )
    elif not known.all():
        missing = int((~known).sum())
        notes.append(f"{missing} of {len(known)} frames have no recorded command within the tolerance: not compared.")
    if columns.not_counted:
        notes.append(
            f"{columns.not_counted} of {frames} frames were recorded while the robot was not armed: not counted."
        )
    if columns.without_instruction:
        notes.append(f"{columns.without_instruction} frames came before the first instruction: not counted.")
    if columns.repeated:
        notes.append(
            f"{columns.repeated} of {frames} frames repeat the stamp before them: either the camera repeats itself, "
            "or the clock was set back while recording and two drives are mixed."
        )
    if len(columns.episodes) < 2 and known.any():
        notes.append("There is only one episode, so nothing says how far the figures would vary: no intervals.")
    return notes


def as_dict(value: Any) -> Any:
    """Plain JSON: named tuples become objects, NaN becomes null."""
    if hasattr(value, "_asdict"):
        return {key: as_dict(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: as_dict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_dict(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
