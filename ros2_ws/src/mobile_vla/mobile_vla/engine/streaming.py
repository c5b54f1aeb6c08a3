"""One step of a policy, whatever executes the towers: picture in, window forward, action out."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobile_vla.checkpoint.probe import check_canary, check_probe
from mobile_vla.policy.interface import Step, StepError
from mobile_vla.policy.preprocess import Preprocess

if TYPE_CHECKING:
    from mobile_vla.checkpoint.card import Card


class Executor(Protocol):
    """What an engine has to provide. Holds the recurrent window and the cache of the current instruction."""

    @property
    def description(self) -> dict[str, Any]:
        """What is executed."""

    def encode(self, kosmos: NDArray[np.float32], clip: NDArray[np.float32], instruction: str) -> Any:
        """Pixels (3, side, side) of both towers to one fused row, in the engine's own type."""

    def act(self, row: Any) -> tuple[float, float]:
        """Push one row into the window and return the raw outputs."""

    def reset(self) -> None:
        """Forget the window."""


class StreamingPolicy:
    """A `Policy` over an `Executor`. Not thread-safe: one thread owns it."""

    def __init__(self, card: Card, executor: Executor) -> None:
        self._card = card
        self._executor = executor
        self._kosmos = Preprocess(card.kosmos_image)
        self._clip = Preprocess(card.clip_image)

    @property
    def card(self) -> Card:
        """Facts that leave no trace in the weights."""
        return self._card

    @property
    def description(self) -> dict[str, Any]:
        """What is executed."""
        return {**self._executor.description, "policy": self._card.name}

    def reset(self) -> None:
        """Forget every earlier frame."""
        self._executor.reset()

    def step(self, frame_rgb: NDArray[np.uint8], instruction: str) -> Step:
        """Encode one frame and act; the action is scaled as the card says and clipped to [-1, 1]."""
        outputs, timings = self._raw(frame_rgb, instruction)
        action = self._card.action
        scaled = [
            value * scale + offset for value, scale, offset in zip(outputs, action.scale, action.offset, strict=True)
        ]
        return Step((_clip(scaled[0]), _clip(scaled[1])), timings)

    def raw(self, frame_rgb: NDArray[np.uint8], instruction: str) -> tuple[float, float]:
        """The unscaled outputs of one step: what probes record."""
        return self._raw(frame_rgb, instruction)[0]

    def self_check(self) -> None:
        """Re-run the recorded probe and the canary; raises `UserError` when either fails."""
        description = self._executor.description
        check_probe(self, self._card, str(description.get("precision", description["dtype"])))
        check_canary(self, self._card.name)

    def _raw(self, frame_rgb: NDArray[np.uint8], instruction: str) -> tuple[tuple[float, float], dict[str, float]]:
        marks = [time.perf_counter_ns()]
        kosmos, clip = self._kosmos(frame_rgb), self._clip(frame_rgb)
        marks.append(time.perf_counter_ns())
        row = self._executor.encode(kosmos, clip, instruction)
        marks.append(time.perf_counter_ns())
        outputs = self._executor.act(row)
        marks.append(time.perf_counter_ns())
        if not all(map(math.isfinite, outputs)):
            self._executor.reset()
            raise StepError(f"the policy's output is not finite: {outputs}; the recurrent window was cleared")
        names = ("preprocess", "encode", "head")
        return outputs, {name: (marks[i + 1] - marks[i]) / 1e6 for i, name in enumerate(names)}


def _clip(value: float) -> float:
    return min(1.0, max(-1.0, value))
