"""A policy driven by a bag instead of a camera: the same steps, no graph, no clock, the same result every time.

Per frame: what the policy would have commanded (held, delayed and dropped as asked) beside what was recorded. With
`closed`, the action goes through the controller's gate on the bag's time. One thread owns a rollout.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.align import Sample
from mobile_vla.control import ControllerConfig, Velocity
from mobile_vla.control.decode import decode_action, output_turn
from mobile_vla.errors import UserError
from mobile_vla.evaluate.closed import GateOnBagTime
from mobile_vla.policy.interface import Policy, StepError
from mobile_vla.timing import Timings

AXES = {"diff": ("linear", "angular"), "omni": ("linear", "lateral"), "ackermann": ("linear", "angular")}
UNITS = {"linear": "m/s", "lateral": "m/s", "angular": "rad/s"}
_DRIVING = ("autonomy", "teleop", "hold")
_GAP_NS = 1_000_000_000


class Options(NamedTuple):
    """What is simulated, and which frames count."""

    instruction: str = ""
    """Instead of the recorded ones."""
    latency_ms: float = 0.0
    drop: float = 0.0
    """Share of frames the policy does not get to see."""
    seed: int = 0
    closed: bool = False
    every_frame: bool = False
    """Also frames while the controller was not armed."""


class Columns:
    """What was collected, one entry per counted frame, compact: a long bag stays small in memory."""

    def __init__(self, policies: int) -> None:
        self.t = array("d")
        self.episode = array("q")
        self.has_command = array("b")
        self.recorded = (array("d"), array("d"))
        self.predicted = [(array("d"), array("d")) for _ in range(policies)]
        self.episodes: list[Episode] = []
        self.frames = 0
        self.not_counted = 0
        self.dropped = 0
        self.without_instruction = 0
        self.step_ms = [Timings(keep=2000) for _ in range(policies)]

    def digest(self) -> str:
        """Changes when any predicted number changes in any bit: what determinism is checked by."""
        sha = hashlib.sha256()
        for pair in self.predicted:
            for column in pair:
                sha.update(column.tobytes())
        return sha.hexdigest()[:16]


class Episode(NamedTuple):
    """A stretch with one instruction, driven without a break."""

    number: int
    bag: str
    start_s: float
    instruction: str


class Moment(NamedTuple):
    """One counted frame as it is handed to whoever draws it. `commands` has one pair per policy."""

    t: float
    rgb: NDArray[np.uint8]
    instruction: str
    recorded: tuple[float, float] | None
    commands: list[tuple[float, float]]
    actions: list[tuple[float, float]]
    sample: Sample


class Rollout:
    """Runs policies over bags and collects. `feed` one bag after the other."""

    def __init__(self, policies: list[Policy], controller: ControllerConfig, options: Options) -> None:
        self.space = controller.action.space
        for policy in policies:
            if policy.card.action_space != self.space:
                raise UserError(
                    f"the policy acts in space {policy.card.action_space}, the robot's controller is configured for "
                    f"{self.space}; choose the robot the policy was made for"
                )
        self.axes = AXES[self.space]
        self.full = full_speed(controller)
        self.columns = Columns(len(policies))
        self._policies = policies
        self._controller = controller
        self._options = options
        self._random = np.random.default_rng(options.seed)
        self._latency_ns = int(options.latency_ms * 1e6)
        self._pending: list[deque[tuple[int, tuple[float, float]]]] = [deque() for _ in policies]
        self._held: list[tuple[float, float]] = [(0.0, 0.0) for _ in policies]
        self._gates: list[GateOnBagTime] = []
        self._last_ns: int | None = None
        self._key: tuple[str, str] | None = None
        self._size: tuple[int, ...] | None = None

    def feed(self, bag: str, start_ns: int, samples: Iterable[tuple[Sample, NDArray[np.uint8]]]) -> Iterator[Moment]:
        """Run over one bag; yields every counted frame. Raises `UserError` for what cannot be evaluated."""
        self._last_ns, self._key, self._size = None, None, None
        for sample, rgb in samples:
            self.columns.frames += 1
            self._check(sample, rgb, start_ns)
            moment = self._step(bag, start_ns, sample, rgb)
            self._last_ns = sample.frame.stamp_ns
            if moment is not None:
                yield moment

    def _check(self, sample: Sample, rgb: NDArray[np.uint8], start_ns: int) -> None:
        stamp_ns = sample.frame.stamp_ns
        at, remedy = (stamp_ns - start_ns) / 1e9, "evaluate one side of it with --end-s or --start-s"
        if self._last_ns is not None and stamp_ns < self._last_ns:
            back = (self._last_ns - stamp_ns) / 1e9
            raise UserError(f"the camera's clock goes back {back:.2f} s at {at:.1f} s; {remedy}")
        if self._size is None:
            self._size = rgb.shape
        elif rgb.shape != self._size:
            old, new = (f"{size[1]}x{size[0]}" for size in (self._size, rgb.shape))
            raise UserError(f"the camera picture changes from {old} to {new} at {at:.1f} s; {remedy}")

    def _step(self, bag: str, start_ns: int, sample: Sample, rgb: NDArray[np.uint8]) -> Moment | None:
        stamp_ns = sample.frame.stamp_ns
        instruction = self._options.instruction or sample.instruction or ""
        if not instruction:
            self.columns.without_instruction += 1
            return None
        if not (self._options.every_frame or sample.mode is None or sample.mode.values.get("mode") in _DRIVING):
            self.columns.not_counted += 1
            self._key = None
            return None
        t = (stamp_ns - start_ns) / 1e9
        if self._key != (bag, instruction) or (self._last_ns is not None and stamp_ns - self._last_ns > _GAP_NS):
            self._begin(bag, t, instruction)
        self._act(rgb, instruction, stamp_ns)
        commands = [self._command(index, stamp_ns) for index in range(len(self._policies))]
        recorded = self._recorded(sample)
        self._note(t, recorded, commands)
        return Moment(t, rgb, instruction, recorded, commands, list(self._held), sample)

    def _begin(self, bag: str, t: float, instruction: str) -> None:
        """A new episode: nothing of the one before may remain."""
        self._key = (bag, instruction)
        self.columns.episodes.append(Episode(len(self.columns.episodes), bag, t, instruction))
        for policy in self._policies:
            policy.reset()
        self._pending = [deque() for _ in self._policies]
        self._held = [(0.0, 0.0) for _ in self._policies]
        if self._options.closed:
            self._gates = [GateOnBagTime(self._controller) for _ in self._policies]

    def _act(self, rgb: NDArray[np.uint8], instruction: str, stamp_ns: int) -> None:
        """One step of every policy, unless this frame is lost."""
        if self._options.drop > 0 and self._random.random() < self._options.drop:
            self.columns.dropped += 1
        else:
            for index, policy in enumerate(self._policies):
                try:
                    step = policy.step(rgb, instruction)
                except StepError as error:
                    raise UserError(f"the policy gave no usable action for a frame: {error}") from error
                self._pending[index].append((stamp_ns, step.action))
                self.columns.step_ms[index].add(sum(step.timings_ms.values()))
        for index, pending in enumerate(self._pending):
            while pending and pending[0][0] + self._latency_ns <= stamp_ns:
                image_ns, self._held[index] = pending.popleft()
                if self._gates:
                    self._gates[index].offer(image_ns, self._velocity(self._held[index]), image_ns + self._latency_ns)

    def _velocity(self, action: tuple[float, float]) -> Velocity:
        return Velocity(action[0], action[1], 0.0) if self.space == "omni" else Velocity(action[0], 0.0, action[1])

    def _command(self, index: int, stamp_ns: int) -> tuple[float, float]:
        """What goes to the base at this time, in the units of the axes."""
        if self._gates:
            command = self._gates[index].at(stamp_ns)
            return command.linear_x, command.linear_y if self.space == "omni" else command.angular_z
        velocity = decode_action(self.space, self._velocity(self._held[index]), self._controller.action)
        if self.space == "omni":
            return velocity.forward, velocity.left
        return velocity.forward, output_turn(velocity.forward, velocity.turn, self._controller.base)

    def _recorded(self, sample: Sample) -> tuple[float, float] | None:
        command = sample.command
        if command is None:
            return None
        return command.linear_mps, command.lateral_mps if self.space == "omni" else command.angular_radps

    def _note(self, t: float, recorded: tuple[float, float] | None, commands: list[tuple[float, float]]) -> None:
        columns = self.columns
        columns.t.append(t)
        columns.episode.append(len(columns.episodes) - 1)
        columns.has_command.append(recorded is not None)
        for axis in (0, 1):
            columns.recorded[axis].append(recorded[axis] if recorded is not None else 0.0)
            for index, command in enumerate(commands):
                columns.predicted[index][axis].append(command[axis])


def full_speed(controller: ControllerConfig) -> tuple[float, float]:
    """What the action value 1 means on each axis, in the axis' unit."""
    action = controller.action
    if action.space == "omni":
        return action.linear_mps, action.lateral_mps
    if action.space == "diff":
        return action.linear_mps, action.turn_radps
    return action.linear_mps, abs(output_turn(action.linear_mps, action.steering_rad, controller.base))
