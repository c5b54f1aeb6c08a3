"""What a simulated robot was told during a demonstration, and what came of each instruction. Pure; time is given."""

from __future__ import annotations

import dataclasses
from typing import Any

from mobile_vla_sim.randomise import ARRIVED_M
from mobile_vla_sim.standing import STILL_FOR_S
from mobile_vla_sim.truth import GroundTruth

ANOTHER, NONE = "another", "none"
MOVING_S = 0.5
"""Standing for less than this counts as still on its way."""


@dataclasses.dataclass
class Task:
    """One instruction from when it was given. Seconds count from arming."""

    instruction: str
    given_s: float
    object: str
    """The object of the room that it names; empty: none."""
    start_m: float = 0.0
    touched_before: str = ""
    until_s: float = 0.0
    arrived_s: float | None = None
    why_not: str = ""
    replaced: str = ""
    """Set when the next instruction came while it was being followed: where the robot was then."""

    def sentence(self) -> str:
        """For the report."""
        when = f"{self.given_s:.1f} s after it was armed" if self.given_s else "at the start"
        told = f'Told "{self.instruction}" {when}'
        if self.arrived_s is not None:
            return f"{told}: arrived at the {self.object} after {self.arrived_s - self.given_s:.1f} s."
        if self.replaced:
            return f"{told}: replaced by the next instruction {self.replaced}."
        return f"{told}: did not arrive {self.why_not}."


class Tasks:
    """Follows the instructions of one drive through what the simulator says."""

    def __init__(self) -> None:
        self.told: list[Task] = []

    def tell(self, now_s: float, instruction: str, truth: GroundTruth | None) -> Task:
        """A new instruction; the one before it ends here."""
        if self.told and self.told[-1].arrived_s is None:
            self._replace(now_s, truth)
        name = truth.named(instruction) if truth is not None else ""
        task = Task(instruction, now_s, name, until_s=now_s)
        if truth is not None:
            task.start_m, task.touched_before = truth.objects.get(name, 0.0), truth.contact
        self.told.append(task)
        return task

    def observe(self, now_s: float, truth: GroundTruth) -> None:
        """Something new is known."""
        task = self.told[-1]
        if task.arrived_s is None:
            task.until_s = now_s
            if task.object and truth.stopped_at(now_s - task.given_s) == task.object:
                task.arrived_s = now_s - max(0.0, min(truth.still_s, now_s - task.given_s) - STILL_FOR_S)

    def half_way(self, truth: GroundTruth) -> bool:
        """Whether the robot has come half the way to what it was told, or is there."""
        task = self.told[-1]
        return bool(task.object) and (
            task.arrived_s is not None or truth.objects[task.object] <= (task.start_m + ARRIVED_M) / 2.0
        )

    def finish(self, now_s: float, truth: GroundTruth | None, ended: str, held_by: str) -> None:
        """The drive is over. `held_by` is the controller's reason when it held the robot back; may be empty."""
        if self.told and self.told[-1].arrived_s is None:
            self._end(now_s, truth, f"because {ended}", held_by)

    def facts(self) -> list[dict[str, Any]]:
        """For the report and its metrics."""
        return [
            {
                "instruction": task.instruction,
                "object": task.object,
                "given_s": round(task.given_s, 2),
                "until_s": round(task.until_s, 2),
                "arrived": task.arrived_s is not None,
                "replaced": bool(task.replaced),
                "arrived_s": None if task.arrived_s is None else round(task.arrived_s, 2),
                "sentence": task.sentence(),
            }
            for task in self.told
        ]

    def _replace(self, now_s: float, truth: GroundTruth | None) -> None:
        """The next instruction ends this one, which has failed only where something else had already ended it."""
        task = self.told[-1]
        task.until_s = now_s
        if truth is None:
            task.replaced = f"after {now_s - task.given_s:.1f} s"
        elif failure := _failure(task, truth):
            task.why_not = failure
        else:
            task.replaced = f"when it was {_away(task, truth)}"

    def _end(self, now_s: float, truth: GroundTruth | None, ended: str, held_by: str) -> None:
        task = self.told[-1]
        task.until_s = now_s
        task.why_not = _reason(task, truth, ended, held_by)


def another_object(truth: GroundTruth, than: str) -> str:
    """The object to name next: one that shares neither colour nor kind with `than`, where there is one."""
    others = [name for name in truth.objects if name != than]
    unlike = [name for name in others if not set(name.split()) & set(than.split())]
    return (unlike or others or [than])[0]


def _reason(task: Task, truth: GroundTruth | None, ended: str, held_by: str) -> str:
    if truth is None:
        return "as far as is known: the simulator said nothing"
    if failure := _failure(task, truth):
        return failure
    held = f"; the controller held it back: {held_by}" if held_by else ""
    moving = "still on its way" if truth.still_s < MOVING_S else f"having stood still for {truth.still_s:.0f} s"
    return f"{ended}, {moving}, {_away(task, truth)}{held}"


def _failure(task: Task, truth: GroundTruth) -> str:
    """What kept it from arriving, whenever the drive ended; empty: nothing did."""
    if not task.object:
        there = ", ".join(truth.objects)
        return f"because nothing here is called that (there are: {there}){_and_where(truth)}"
    away = _away(task, truth)
    if truth.contact and truth.contact != task.touched_before:
        return f"because it touched {truth.contact.partition(' at ')[0]} on its way; it ended {away}"
    at = truth.stopped_at()
    if at and at != task.object:
        return f"because it stopped at the {at} instead, {away}"
    return ""


def _away(task: Task, truth: GroundTruth) -> str:
    return f"{truth.objects[task.object]:.2f} m from the {task.object}"


def _and_where(truth: GroundTruth) -> str:
    at = truth.stopped_at()
    return f"; it stopped at the {at}" if at else ""
