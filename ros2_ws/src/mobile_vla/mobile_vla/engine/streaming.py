"""One step of a policy, whatever executes the towers: picture in, window forward, action out.

A recording is known in advance, so its frames can be prepared on other threads and encoded several at once (`prepare`,
`steps`); a live step is the same with one frame. Sums over several frames round differently than over one: outputs
agree to about 1e-6, not bit by bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobile_vla.engine.probe import check_canary, check_probe
from mobile_vla.policy.interface import Step, StepError
from mobile_vla.policy.preprocess import Preparation, Prepared

if TYPE_CHECKING:
    from mobile_vla.checkpoint.card import Card


class Executor(Protocol):
    """What an engine has to provide. Holds the recurrent window and the cache of the current instruction."""

    @property
    def description(self) -> dict[str, Any]:
        """What is executed."""

    @property
    def frames_at_once(self) -> int:
        """How many frames are worth encoding together."""

    @property
    def weights_error(self) -> str:
        """Empty, or why the weights must not be used any more. For any thread."""

    def encode(self, frames: Sequence[Prepared], instruction: str) -> Sequence[Any]:
        """Fused rows, one per frame, in the engine's own type."""

    def act(self, rows: Sequence[Any]) -> list[tuple[float, float]]:
        """Push the rows into the window, one after the other; the raw outputs after each."""

    def reset(self) -> None:
        """Forget the window."""


class StreamingPolicy:
    """A `Policy` over an `Executor`. Not thread-safe: one thread owns it."""

    def __init__(self, card: Card, executor: Executor) -> None:
        self._card = card
        self._executor = executor
        self.prepare = Preparation(card.kosmos_image, card.clip_image)
        """What a step does before the towers. The one part for any thread."""

    @property
    def card(self) -> Card:
        """Facts that leave no trace in the weights."""
        return self._card

    @property
    def description(self) -> dict[str, Any]:
        """What is executed."""
        return {**self._executor.description, "policy": self._card.name}

    @property
    def frames_at_once(self) -> int:
        """How many frames are worth handing over together."""
        return self._executor.frames_at_once

    @property
    def weights_error(self) -> str:
        """Empty, or why the policy must not be used any more. For any thread."""
        return self._executor.weights_error

    def reset(self) -> None:
        """Forget every earlier frame."""
        self._executor.reset()

    def step(self, frame_rgb: NDArray[np.uint8], instruction: str) -> Step:
        """Encode one frame and act; the action is scaled as the card says and clipped to [-1, 1]."""
        outputs, timings = self._raw(frame_rgb, instruction)
        return Step(self._action(outputs), timings)

    def steps(self, frames: Sequence[Prepared], instruction: str) -> list[Step]:
        """Consecutive steps at once; each one's timings are its share. Raises `StepError` for all of them."""
        outputs, timings = self._outputs(frames, instruction)
        shares = {name: value / len(frames) for name, value in timings.items()}
        return [Step(self._action(output), shares) for output in outputs]

    def raw(self, frame_rgb: NDArray[np.uint8], instruction: str) -> tuple[float, float]:
        """The unscaled outputs of one step: what probes record."""
        return self._raw(frame_rgb, instruction)[0]

    def raw_sequence(self, frames: Sequence[NDArray[np.uint8]], instruction: str) -> list[tuple[float, float]]:
        """The unscaled outputs of a short recording from an empty window: all frames at once, so every weight is read
        one time, which counts where 7 GB come from a disk. Leaves an empty window; what is not finite is returned.
        """
        self._executor.reset()
        rows = self._executor.encode([self.prepare(frame) for frame in frames], instruction)
        outputs = self._executor.act(rows)
        self._executor.reset()
        return outputs

    def self_check(self) -> None:
        """Re-run the recorded probe and the canary; raises `UserError` when either fails."""
        description = self._executor.description
        check_probe(self, self._card, str(description.get("precision", description["dtype"])))
        check_canary(self, self._card.name)

    def _raw(self, frame_rgb: NDArray[np.uint8], instruction: str) -> tuple[tuple[float, float], dict[str, float]]:
        began_ns = time.perf_counter_ns()
        prepared = self.prepare(frame_rgb)
        preprocess_ms = (time.perf_counter_ns() - began_ns) / 1e6
        outputs, timings = self._outputs((prepared,), instruction)
        return outputs[0], {"preprocess": preprocess_ms, **timings}

    def _outputs(
        self, frames: Sequence[Prepared], instruction: str
    ) -> tuple[list[tuple[float, float]], dict[str, float]]:
        marks = [time.perf_counter_ns()]
        rows = self._executor.encode(frames, instruction)
        marks.append(time.perf_counter_ns())
        outputs = self._executor.act(rows)
        marks.append(time.perf_counter_ns())
        for output in outputs:
            if not all(map(math.isfinite, output)):
                self._executor.reset()
                raise StepError(f"the policy's output is not finite: {output}; the recurrent window was cleared")
        return outputs, {"encode": (marks[1] - marks[0]) / 1e6, "head": (marks[2] - marks[1]) / 1e6}

    def _action(self, outputs: tuple[float, float]) -> tuple[float, float]:
        action = self._card.action
        first, second = (
            value * scale + offset for value, scale, offset in zip(outputs, action.scale, action.offset, strict=True)
        )
        return _clip(first), _clip(second)


def _clip(value: float) -> float:
    return min(1.0, max(-1.0, value))
