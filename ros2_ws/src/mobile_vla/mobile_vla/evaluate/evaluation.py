"""Bags and policies in, figures out: what `vla eval` does, without its printing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.align import AlignedFrame
from mobile_vla.bags.damage import UndecodableCount
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles, find_camera_and
from mobile_vla.control import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla.evaluate import metrics
from mobile_vla.evaluate.bag_gate import recorded_sensors, sensors_of
from mobile_vla.evaluate.columns import Columns
from mobile_vla.evaluate.frames import Selection, samples_of
from mobile_vla.evaluate.metrics import Values
from mobile_vla.evaluate.own_actions import OwnActions
from mobile_vla.evaluate.results import (
    AxisResult,
    BagFacts,
    Evaluation,
    GroupError,
    PolicyResult,
    SelfReference,
    notes_on,
)
from mobile_vla.evaluate.rollout import UNITS, Rollout, RolloutFrame
from mobile_vla.evaluate.schedule import EvaluationOptions
from mobile_vla.policy.interface import Policy

_TURNING = 0.15
"""Share of full turning speed above which the recorded robot counts as turning."""


class NamedPolicy(NamedTuple):
    """A policy under the name that reports use."""

    name: str
    policy: Policy


def evaluate(
    bags: Sequence[Path],
    policies: Sequence[NamedPolicy],
    controller: ControllerConfig,
    options: EvaluationOptions,
    selection: Selection,
    *,
    chosen: Mapping[str, str] | None = None,
    on_moment: Callable[[RolloutFrame], None] = lambda moment: None,
    on_bag: Callable[[str, float], None] = lambda path, seconds: None,
) -> Evaluation:
    """Run every policy over every bag. `chosen` names topics by role; `on_moment` sees every counted frame."""
    rollout = Rollout([one.policy for one in policies], controller, options)
    facts: list[BagFacts] = []
    started = time.perf_counter()
    for path in bags:
        with BagReader(path) as reader:
            roles = _roles(reader, chosen, options, controller, selection)
            seconds = (selection.end_s or reader.duration_s) - selection.start_s
            on_bag(str(path), min(seconds, reader.duration_s - selection.start_s))
            own = OwnActions(controller)
            samples = samples_of(reader, roles, selection, own.watch)
            sensors = recorded_sensors(controller, roles)
            counted = len(rollout.columns.t)

            def damaged(sample: AlignedFrame, why: str, reader: BagReader = reader) -> None:
                at_s = (sample.frame.stamp_ns - reader.start_ns) / 1e9
                reader.undecodable.skip(sample.frame.topic, at_s, why)

            for moment in rollout.feed(str(path), reader.start_ns, samples, sensors, damaged):
                on_moment(moment)
            own.note(rollout.columns, counted)
            if len(rollout.columns.t) == counted:
                _refuse_undecodable(path, reader.undecodable, roles, options)
            damage = reader.damage.message if reader.damage is not None else ""
            missing = [role for role, used in sensors_of(controller).items() if used and role not in sensors]
            length = min(seconds, reader.duration_s - selection.start_s)
            absent = tuple(missing) if options.gate else ()
            facts.append(BagFacts(str(path), length, roles, damage, absent, reader.undecodable, reader.unreadable))
    columns = rollout.columns
    _refuse_nothing(columns, bags)
    return summarise(rollout, policies, facts, time.perf_counter() - started)


def check_bags(
    bags: Sequence[Path],
    controller: ControllerConfig,
    options: EvaluationOptions,
    selection: Selection,
    chosen: Mapping[str, str] | None = None,
) -> None:
    """Raise `UserError` for a bag that `evaluate` would refuse by its topics or its length, without any policy."""
    for path in bags:
        with BagReader(path) as reader:
            _roles(reader, chosen, options, controller, selection)


def _roles(
    reader: BagReader,
    chosen: Mapping[str, str] | None,
    options: EvaluationOptions,
    controller: ControllerConfig,
    selection: Selection,
) -> Roles:
    path = reader.path
    sensors = [role for role, used in sensors_of(controller).items() if used and options.gate]
    wanted = {"image", "command", "action", "instruction", "odometry", "mode", *sensors}
    try:
        roles = find_camera_and(reader.topics.values(), chosen, wanted)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if roles.instruction is None and not options.instruction:
        raise UserError(f"{path} has no instruction; give one with --instruction")
    if selection.start_s >= reader.duration_s:
        raise UserError(f"{path} ends at {reader.duration_s:.1f} s, --start-s is {selection.start_s:g}")
    return roles


def _refuse_undecodable(path: Path, undecodable: UndecodableCount, roles: Roles, options: EvaluationOptions) -> None:
    """A bag of which no frame counts, because nothing of a topic it takes could be decoded."""
    if roles.image is not None and undecodable.skipped[roles.image]:
        raise UserError(
            f"{path}: {undecodable.about(roles.image)}; record it again, or choose another camera with --image-topic"
        )
    if undecodable.all_of(roles.instruction) and not options.instruction:
        raise UserError(f"{path}: {undecodable.about(str(roles.instruction))}; give one with --instruction")


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
    evaluation.notes = notes_on(evaluation, known)
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
        _self_reference(rollout.columns, axis, compared, frames, full),
        {name: metrics.agreement(values, recorded, full) for name, values in trivial.items()},
        metrics.bootstrap(compared, recorded, episode),
        lag_ms,
        curve,
        metrics.character(predicted, frames.t, frames.episode, full),
        metrics.character(recorded, frames.t[known], episode, full),
        *metrics.by_turning(compared, recorded, turning),
    )


def _self_reference(
    columns: Columns, axis: int, compared: Values, frames: _Compared, full: float
) -> SelfReference | None:
    """On the frames of which it is known what the recorded policy said."""
    at_image = np.frombuffer(columns.own_at_image[axis])[frames.known]
    in_force = np.frombuffer(columns.own_in_force[axis])[frames.known]
    there = np.isfinite(at_image) & np.isfinite(in_force)
    if not there.any():
        return None
    recorded = frames.recorded[axis][there]
    own = metrics.agreement(at_image[there], recorded, full)
    in_time = metrics.agreement(in_force[there], recorded, full)
    return SelfReference(
        own,
        metrics.agreement(compared[there], at_image[there], full),
        metrics.agreement(compared[there], recorded, full),
        in_time.r2 - own.r2,
        1.0 - in_time.r2,
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


def _groups(
    keys: NDArray[np.int64], names: dict[int, str], predicted: list[Values], frames: _Compared
) -> list[GroupError]:
    t, episode = frames.t[frames.known], frames.episode[frames.known]
    groups = []
    for key in np.unique(keys):
        part = keys == key
        seconds = sum(float(np.ptp(t[part & (episode == number)])) for number in np.unique(episode[part]))
        mae = [float(np.mean(np.abs(p[part] - r[part]))) for p, r in zip(predicted, frames.recorded, strict=True)]
        base = [float(np.mean(np.abs(np.mean(r) - r[part]))) for r in frames.recorded]
        groups.append(GroupError(names[int(key)], int(part.sum()), seconds, (mae[0], mae[1]), (base[0], base[1])))
    return groups
