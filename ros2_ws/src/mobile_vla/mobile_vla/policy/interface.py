"""What a policy is to the rest of the system, whatever executes it. Import-light: no torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    RgbImage = NDArray[np.uint8]


class StepError(RuntimeError):
    """A step that produced nothing usable (non-finite output, wrong frame); there is no action to publish."""


class Step(NamedTuple):
    """One action, normalised to [-1, 1] per axis of the card's action space, and where the time went."""

    action: tuple[float, float]
    timings_ms: dict[str, float]


class CardFacts(Protocol):
    """The part of a checkpoint's card that nodes need."""

    @property
    def action_space(self) -> str:
        """`diff` (linear.x, angular.z), `omni` (linear.x, linear.y) or `ackermann` (speed, steering angle)."""

    @property
    def untrained(self) -> bool:
        """True: the weights are random; a robot must refuse to move on it."""

    @property
    def control_rate_hz(self) -> float:
        """The step rate the recurrent part was trained at."""

    @property
    def window(self) -> int:
        """How many steps the recurrent part remembers."""


class Policy(Protocol):
    """One loaded policy. Not thread-safe: one thread owns it and makes every call."""

    @property
    def card(self) -> CardFacts:
        """Facts that leave no trace in the weights."""

    @property
    def description(self) -> dict[str, Any]:
        """What is executed: engine, device, dtype, threads, weights (random, real, trained), parameters, notes."""

    def reset(self) -> None:
        """Forget every earlier frame."""

    def step(self, frame_rgb: RgbImage, instruction: str) -> Step:
        """Encode one uint8 HxWx3 RGB frame and act. Raises `StepError` when there is no usable action."""

    def self_check(self) -> None:
        """Re-run the recorded probe and the canary; raises `UserError` when the policy is not the recorded one.

        Resets the recurrent state.
        """


def weights_error(policy: Policy) -> str:
    """Empty, or why a policy that can be asked must not be used any more: somebody writes into its file."""
    return str(getattr(policy, "weights_error", ""))


@runtime_checkable
class AheadPolicy(Policy, Protocol):
    """A policy that can be told many frames in advance, as a recording allows; results equal `step`'s to rounding."""

    @property
    def frames_at_once(self) -> int:
        """How many frames are worth handing over together; 1: results equal `step`'s bit by bit."""

    @property
    def prepare(self) -> Callable[[RgbImage], Any]:
        """What a step does before the model; callable on any thread. Equal ones make equal results."""

    def steps(self, frames: Sequence[Any], instruction: str) -> list[Step]:
        """The steps of consecutive prepared frames at once."""
