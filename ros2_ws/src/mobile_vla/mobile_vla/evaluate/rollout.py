"""Open-loop rollout of a policy on a bag: same steps as live, no graph, no clock, deterministic.

Per frame: what the policy would have commanded (held, delayed and dropped as asked) beside what was recorded. With
`gate`, the action goes through the controller's gate on the bag's time. One thread owns a rollout; frames are decoded
and prepared on others, and a small policy encodes several at once. What goes together depends on the recording only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.align import AlignedFrame
from mobile_vla.bags.images import rgb
from mobile_vla.bags.types import SensorReading
from mobile_vla.camera.encodings import ImageError
from mobile_vla.config.action_space import ACTION_SPACES
from mobile_vla.control import ControllerConfig, Velocity
from mobile_vla.control.decode import as_output, decode_action
from mobile_vla.errors import UserError
from mobile_vla.evaluate.bag_gate import GateOnBagTime
from mobile_vla.evaluate.columns import Columns
from mobile_vla.evaluate.frames import prefetched
from mobile_vla.evaluate.schedule import ONE_SIDE, EvaluationOptions, FrameSchedule, PlannedFrame
from mobile_vla.policy.interface import AheadPolicy, Policy, Step, StepError

UNITS = {"linear": "m/s", "lateral": "m/s", "angular": "rad/s"}
Pixels = NDArray[np.uint8]
_HELD_BACK = ("range_slow", "range_stop", "range_unseen", "range_timeout")


class RolloutFrame(NamedTuple):
    """One counted frame as it is handed to whoever draws it. `commands` has one pair per policy."""

    t: float
    rgb: Pixels
    instruction: str
    recorded: tuple[float, float] | None
    commands: list[tuple[float, float]]
    actions: list[tuple[float, float]]
    sample: AlignedFrame


class _Ready(NamedTuple):
    """A frame with its pixels, and what each policy's `prepare` made of them where the policy sees it."""

    planned: PlannedFrame
    rgb: Pixels
    prepared: dict[Callable[[Pixels], Any], Any]


class _Damaged(NamedTuple):
    """A frame that cannot be decoded, and why."""

    sample: AlignedFrame
    why: str


class Rollout:
    """Runs policies over bags and collects. `feed` one bag after the other."""

    def __init__(self, policies: list[Policy], controller: ControllerConfig, options: EvaluationOptions) -> None:
        self.space = ACTION_SPACES[controller.action.space]
        for policy in policies:
            if policy.card.action_space != self.space.name:
                raise UserError(
                    f"the policy acts in space {policy.card.action_space}, the robot's controller is configured for "
                    f"{self.space.name}; choose the robot the policy was made for"
                )
        self.axes = self.space.axes
        self.full = full_speed(controller)
        self.columns = Columns(len(policies))
        self._schedule = FrameSchedule(options, self.columns)
        self._policies = policies
        self._ahead = [policy if isinstance(policy, AheadPolicy) else None for policy in policies]
        self._prepares = {ahead.prepare for ahead in self._ahead if ahead is not None}
        self._at_once = min(1 if ahead is None else ahead.frames_at_once for ahead in self._ahead)
        self._controller = controller
        self._options = options
        self._latency_ns = int(options.latency_ms * 1e6)
        self._pending: list[deque[tuple[int, tuple[float, float]]]] = [deque() for _ in policies]
        self._held: list[tuple[float, float]] = [(0.0, 0.0) for _ in policies]
        self._gates: list[GateOnBagTime] = []
        self._sensors: Collection[str] = ()
        self._newest: dict[type[SensorReading], SensorReading] = {}
        self._episode: int | None = None

    def feed(
        self,
        bag: str,
        start_ns: int,
        samples: Iterable[AlignedFrame],
        sensors: Collection[str] = (),
        on_damaged: Callable[[AlignedFrame, str], None] = lambda sample, why: None,
    ) -> Iterator[RolloutFrame]:
        """Run over one bag; yields every counted frame. Raises `UserError` for what cannot be evaluated.

        A frame that cannot be decoded is left out: the live policy would not get it either. `on_damaged` hears of it.
        `sensors` are the roles in the bag that the gate uses.
        """
        self._sensors, self._newest = sensors, {}
        planned = self._schedule.frames_of(bag, start_ns, samples)
        frames = _of_one_size(bag, _sound(prefetched(planned, self._ready), on_damaged))
        for batch in _batches(frames, self._at_once):
            yield from self._run(batch)

    def _ready(self, planned: PlannedFrame) -> _Ready | _Damaged:
        """Called on other threads."""
        try:
            pixels = rgb(planned.sample.frame)
        except ImageError as error:
            return _Damaged(planned.sample, str(error))
        return _Ready(planned, pixels, {make: make(pixels) for make in self._prepares if planned.seen})

    def _run(self, batch: list[_Ready]) -> Iterator[RolloutFrame]:
        """Consecutive frames of one episode: the policies' steps together, everything after them one by one."""
        if batch[0].planned.episode != self._episode:
            self._begin(batch[0].planned.episode)
        seen = [frame for frame in batch if frame.planned.seen]
        steps = [iter(self._steps(index, seen)) for index in range(len(self._policies))]
        for planned, pixels, _ in batch:
            stamp_ns = planned.sample.frame.stamp_ns
            if planned.seen:
                for pending, own in zip(self._pending, steps, strict=True):
                    pending.append((stamp_ns, next(own).action))
            self._arrive(stamp_ns, planned.sample.readings)
            commands = [self._command(index, stamp_ns) for index in range(len(self._policies))]
            recorded = self._recorded(planned.sample)
            self.columns.note(planned.t, planned.episode, planned.sample, recorded, commands)
            held = list(self._held)
            yield RolloutFrame(planned.t, pixels, planned.instruction, recorded, commands, held, planned.sample)

    def _begin(self, episode: int) -> None:
        """A new episode: nothing of the one before may remain."""
        self._episode = episode
        for policy in self._policies:
            policy.reset()
        self._pending = [deque() for _ in self._policies]
        self._held = [(0.0, 0.0) for _ in self._policies]
        if self._options.gate:
            self._gates = [GateOnBagTime(self._controller, self._sensors) for _ in self._policies]
            for event in self._newest.values():  # the robot knew it already
                self._sense(event)

    def _steps(self, index: int, seen: list[_Ready]) -> list[Step]:
        """What one policy answers to the frames it sees."""
        if not seen:
            return []
        ahead, instruction = self._ahead[index], seen[0].planned.instruction
        try:
            if ahead is None:
                steps = [self._policies[index].step(frame.rgb, instruction) for frame in seen]
            else:
                steps = ahead.steps([frame.prepared[ahead.prepare] for frame in seen], instruction)
        except StepError as error:
            raise UserError(f"the policy gave no usable action for a frame: {error}") from error
        for step in steps:
            self.columns.model_ms[index].add(sum(step.timings_ms.values()))
        return steps

    def _arrive(self, stamp_ns: int, readings: Iterable[SensorReading]) -> None:
        """What sensors said, and actions whose latency has passed, take effect."""
        for event in readings:
            self._newest[type(event)] = event
            self._sense(event)
        for index, pending in enumerate(self._pending):
            while pending and pending[0][0] + self._latency_ns <= stamp_ns:
                image_ns, self._held[index] = pending.popleft()
                if self._gates:
                    self._gates[index].offer(
                        image_ns, self.space.to_twist(self._held[index]), image_ns + self._latency_ns
                    )

    def _sense(self, event: SensorReading) -> None:
        for gate in self._gates:
            gate.sense(event)

    def _command(self, index: int, stamp_ns: int) -> tuple[float, float]:
        """What goes to the base at this time, in the units of the axes."""
        if self._gates:
            command = self._gates[index].at(stamp_ns)
            self.columns.guarded[index] += command.reason in _HELD_BACK
            return self.space.from_twist(Velocity(command.linear_x, command.linear_y, command.angular_z))
        action = self.space.to_twist(self._held[index])
        velocity = decode_action(self.space.name, action, self._controller.action)
        return self.space.from_twist(as_output(velocity, self._controller.base))

    def _recorded(self, sample: AlignedFrame) -> tuple[float, float] | None:
        command = sample.command
        if command is None:
            return None
        return self.space.from_twist(Velocity(command.linear_mps, command.lateral_mps, command.angular_radps))


def _sound(frames: Iterable[_Ready | _Damaged], on_damaged: Callable[[AlignedFrame, str], None]) -> Iterator[_Ready]:
    for frame in frames:
        if isinstance(frame, _Damaged):
            on_damaged(frame.sample, frame.why)
        else:
            yield frame


def _of_one_size(bag: str, frames: Iterable[_Ready]) -> Iterator[_Ready]:
    size: tuple[int, ...] | None = None
    for frame in frames:
        if size is not None and frame.rgb.shape != size:
            old, new = (f"{shape[1]}x{shape[0]}" for shape in (size, frame.rgb.shape))
            at = f"{frame.planned.t:.1f} s"
            raise UserError(f"{bag}: the camera picture changes from {old} to {new} at {at}; {ONE_SIDE}")
        size = frame.rgb.shape
        yield frame


def _batches(frames: Iterable[_Ready], size: int) -> Iterator[list[_Ready]]:
    """Up to `size` consecutive frames of one episode."""
    batch: list[_Ready] = []
    for frame in frames:
        if batch and (len(batch) == size or frame.planned.episode != batch[0].planned.episode):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch


def full_speed(controller: ControllerConfig) -> tuple[float, float]:
    """What the action value 1 means on each axis, in the axis' unit."""
    space = ACTION_SPACES[controller.action.space]
    full = as_output(space.to_twist(controller.action.full_scale), controller.base)
    return space.from_twist(full)
