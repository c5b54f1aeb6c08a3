"""Probe: the loaded policy gives the recorded outputs. Canary: its output depends on image and instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mobile_vla.checkpoint.card import Card, Probe
from mobile_vla.errors import UserError

INSTRUCTION = "drive to the red ball"
OTHER_INSTRUCTION = "turn left and stop at the blue box"
FRAMES = 4
SEED = 20260711
HEIGHT, WIDTH = 480, 640
_BLOCKS = (6, 8)

# Largest accepted difference, as a share of how far the recorded outputs spread over the probe's frames: an absolute
# figure would accept any policy whose outputs hardly move.
TOLERANCE = {"fp32": 0.01, "fp16": 0.1, "bf16": 0.25, "int8": 0.35}
# Smallest spread taken seriously; also the smallest reaction the canary asks for.
FLOOR = 1e-6


def tolerance(*dtypes: str) -> float:
    """What the coarsest of these number formats explains."""
    return max(TOLERANCE[dtype] for dtype in dtypes)


class ProbeError(UserError):
    """The policy does not do what was recorded, or does not react to what it is shown."""


class RawPolicy(Protocol):
    """What a probe needs of a policy."""

    def raw(self, frame_rgb: NDArray[np.uint8], instruction: str) -> tuple[float, float]:
        """The unscaled outputs of one step."""

    def reset(self) -> None:
        """Forget every earlier frame."""


class SequencePolicy(Protocol):
    """A policy that takes a sequence at once."""

    def raw_sequence(self, frames: Sequence[NDArray[np.uint8]], instruction: str) -> list[tuple[float, float]]:
        """Unscaled outputs after each frame."""


def frames(seed: int, count: int) -> list[NDArray[np.uint8]]:
    """Generated frames: coarse coloured blocks, which survive every resize (noise would average out to grey)."""
    generator = np.random.Generator(np.random.PCG64(seed))
    rows, columns = _BLOCKS
    blocks = generator.integers(0, 256, (count, rows, columns, 3), dtype=np.uint8)
    return list(blocks.repeat(HEIGHT // rows, axis=1).repeat(WIDTH // columns, axis=2))


def record(policy: RawPolicy, dtype: str, seed: int = SEED, count: int = FRAMES) -> Probe:
    """Run the policy over the generated frames and note its outputs."""
    policy.reset()
    outputs = [policy.raw(frame, INSTRUCTION) for frame in frames(seed, count)]
    policy.reset()
    return as_probe(outputs, dtype, seed)


def record_at_once(policy: SequencePolicy, dtype: str, seed: int = SEED, count: int = FRAMES) -> Probe:
    """The same over the whole sequence at once."""
    return as_probe(policy.raw_sequence(frames(seed, count), INSTRUCTION), dtype, seed)


def as_probe(outputs: Sequence[tuple[float, float]], dtype: str, seed: int) -> Probe:
    """Outputs as a card stores them."""
    first, second = zip(*outputs, strict=True)
    return Probe(seed=seed, frames=len(outputs), dtype=dtype, first=first, second=second)


def deviation(expected: Probe, found: Probe) -> float:
    """Largest difference between two runs of one probe, as a share of the expected outputs' spread."""
    want, got = (np.array([probe.first, probe.second]) for probe in (expected, found))
    spread = np.ptp(want, axis=1, keepdims=True).max() if expected.frames > 1 else np.abs(want).max()
    return float(np.abs(want - got).max()) / max(float(spread), FLOOR)


def compare(expected: Probe, found: Probe, dtype: str, name: str) -> float:
    """The deviation, or `ProbeError` when it is beyond what `dtype` explains."""
    share = deviation(expected, found)
    limit = tolerance(dtype, expected.dtype, found.dtype)
    # `not <=` so that a NaN is a difference
    if not share <= limit:
        raise ProbeError(
            f"policy '{name}' differs from its recorded probe by {share:.3g} of the outputs' spread "
            f"({limit:g} is allowed in {dtype}), so weights or settings are not the recorded ones; "
            f"convert it again"
        )
    return share


def check_probe(policy: RawPolicy, card: Card, dtype: str) -> float | None:
    """Re-run the card's probe; None when the card has none."""
    if card.probe is None:
        return None
    return compare(card.probe, record(policy, dtype, card.probe.seed, card.probe.frames), dtype, card.name)


def check_canary(policy: RawPolicy, name: str) -> dict[str, float]:
    """Refuse a policy whose output is the same for a black and a white picture, or for two instructions."""
    black = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    grey = frames(SEED, 1)[0]
    reaction = {
        "picture": _difference(policy, (black, INSTRUCTION), (np.full_like(black, 255), INSTRUCTION)),
        "instruction": _difference(policy, (grey, INSTRUCTION), (grey, OTHER_INSTRUCTION)),
    }
    policy.reset()
    for what, size in reaction.items():
        if not size > FLOOR:
            pair = "a black and a white picture" if what == "picture" else "two different instructions"
            raise ProbeError(
                f"policy '{name}' answers {pair} with outputs {size:.1g} apart, so it ignores its {what}; "
                f"a robot must not follow it"
            )
    return reaction


def _difference(policy: RawPolicy, one: tuple[NDArray[np.uint8], str], other: tuple[NDArray[np.uint8], str]) -> float:
    outputs: list[tuple[float, float]] = []
    for frame, instruction in (one, other):
        policy.reset()
        outputs.append(policy.raw(frame, instruction))
    one_answer, other_answer = outputs
    return max(abs(a - b) for a, b in zip(one_answer, other_answer, strict=True))
