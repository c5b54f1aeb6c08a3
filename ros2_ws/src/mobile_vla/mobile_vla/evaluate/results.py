"""What an evaluation found: per axis, policy and bag, and what must be known to read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.damage import UndecodableCount
from mobile_vla.bags.roles import Roles
from mobile_vla.evaluate.columns import Columns
from mobile_vla.evaluate.metrics import Agreement, Character, Interval

BASELINES = ("mean", "repeat", "zero")


class SelfReference(NamedTuple):
    """What the policy that drove scores on its own drive: perfect, for a copy of it."""

    own: Agreement
    """Its recorded actions, in place of the evaluated policy's."""
    reproduced: Agreement
    """The evaluated policy against those actions: does it answer as the recorded one did?"""
    same_frames: Agreement
    """The evaluated policy against the recorded commands, on these frames alone: what `own` may be compared with."""
    r2_lost_to_delay: float
    r2_lost_to_gate: float


class AxisResult(NamedTuple):
    """One axis of one policy, with what each baseline gets on the same frames."""

    axis: str
    unit: str
    full: float
    policy: Agreement
    itself: SelfReference | None
    """None where the bag does not say what the policy that drove wanted."""
    baselines: dict[str, Agreement]
    intervals: dict[str, Interval | None]
    lag_ms: float
    lag_curve: list[tuple[float, float]]
    character: Character
    recorded_character: Character
    turning_mae: float
    straight_mae: float


class GroupError(NamedTuple):
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
    by_episode: list[GroupError]
    by_instruction: list[GroupError]
    model_ms: float
    digest: str


class BagFacts(NamedTuple):
    """What was read of one bag."""

    path: str
    seconds: float
    topics: Roles
    damage: str
    missing: tuple[str, ...]
    """Sensors that the gate listens to on the robot and that were not recorded (`gate` only)."""
    undecodable: UndecodableCount
    """Messages that were skipped."""
    unreadable: str = ""
    """Topics of which nothing can be decoded."""


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


def notes_on(evaluation: Evaluation, known: NDArray[np.bool_]) -> list[str]:
    """Sentences in the order a reader asks for them; `known` are the frames that have a recorded command."""
    columns, frames = evaluation.columns, evaluation.columns.frames
    notes = [f"{Path(bag.path).name} is damaged: {bag.damage}." for bag in evaluation.bags if bag.damage]
    notes += [
        f"{Path(bag.path).name}: {bag.undecodable.message}; skipped."
        for bag in evaluation.bags
        if bag.undecodable.skipped
    ]
    notes += [f"{Path(bag.path).name}: {bag.unreadable}." for bag in evaluation.bags if bag.unreadable]
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
    notes += _notes_on_own_actions(evaluation, int(known.sum()))
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


def _notes_on_own_actions(evaluation: Evaluation, compared: int) -> list[str]:
    """Where there is no self reference, or only of a part."""
    reference = evaluation.results[0].axes[0].itself
    if not compared:
        return []
    if reference is None:
        silent = all(bag.topics.action is None for bag in evaluation.bags)
        why = "no policy/action is recorded" if silent else "no frame was driven by a recorded action"
        return [f"There is no self reference: {why}, so nothing says what the policy that drove would score."]
    if reference.own.n < compared:
        part = f"{reference.own.n} of {compared} compared frames"
        return [f"The self reference is of {part}: for the others no recorded action is known, or a person drove."]
    return []
