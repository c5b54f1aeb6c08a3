"""Image health: frozen, black, changed format, out of order.

Cheap enough for every frame (a sample of about 5000 pixels is hashed, tens of microseconds) and free of threads:
one caller. What is not ok must be treated as if it had not come.
"""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import numpy as np

from mobile_vla.camera.config import HealthConfig
from mobile_vla.camera.encodings import Pixels

_NS = 1_000_000_000
_SAMPLES = 5000
_FEWEST_FROZEN = 3


class FrameVerdict(NamedTuple):
    """Whether a frame may be acted on, and if not, why."""

    ok: bool
    reason: str


FINE = FrameVerdict(True, "")


class FrameHealth:
    """Judges the frames of one camera in the order they come.

    The first frame fixes size and encoding; frames of another form are refused until the first form is back or
    `reset` is called. A picture repeats when its sample is identical although its stamp is newer: real sensors always
    have noise, a simulated one needs some (or `frozen_after_s` 0).
    """

    def __init__(self, config: HealthConfig | None = None) -> None:
        self._config = config or HealthConfig()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is the first."""
        self._form: tuple[tuple[int, ...], str] | None = None
        self._last_ns: int | None = None
        self._digest: int | None = None
        self._same_since_ns = 0
        self._same = 0

    def judge(self, frame: Pixels, stamp_ns: int, encoding: str = "") -> FrameVerdict:
        """Judge one frame; `encoding` is compared only with the other frames' (the array's type always is)."""
        last_ns, self._last_ns = self._last_ns, stamp_ns
        form = (frame.shape, f"{encoding or frame.dtype}")
        if self._form is None:
            self._form = form
        if form != self._form:
            return FrameVerdict(False, f"frame changed from {_form(self._form)} to {_form(form)} mid-stream")
        if last_ns is not None and stamp_ns <= last_ns:
            again = (
                "repeats the previous one"
                if stamp_ns == last_ns
                else f"is {(last_ns - stamp_ns) / _NS:.3f} s before the previous one"
            )
            return FrameVerdict(False, f"frame stamp {again}")
        sample = _sample(frame)
        frozen = self._frozen(sample, stamp_ns)
        # A picture that is both is black for a reason that says more: the lens is covered.
        return self._black(sample) or frozen or FINE

    def _frozen(self, sample: Pixels, stamp_ns: int) -> FrameVerdict | None:
        digest = zlib.crc32(sample.data)
        if digest != self._digest:
            self._digest, self._same_since_ns, self._same = digest, stamp_ns, 1
            return None
        self._same += 1
        still_s = (stamp_ns - self._same_since_ns) / _NS
        limit_s = self._config.frozen_after_s
        if limit_s == 0 or self._same < _FEWEST_FROZEN or still_s < limit_s:
            return None
        return FrameVerdict(False, f"camera frozen: {self._same} identical frames in {still_s:.1f} s")

    def _black(self, sample: Pixels) -> FrameVerdict | None:
        full = float(np.iinfo(sample.dtype).max) if sample.dtype.kind == "u" else 255.0
        dark = np.count_nonzero(sample <= self._config.black_level * full / 255.0) / sample.size
        if dark < self._config.black_share:
            return None
        return FrameVerdict(
            False, f"black frame: {dark:.1%} of it is at or below level {self._config.black_level}; lens covered?"
        )


def _sample(frame: Pixels) -> Pixels:
    """A grid of about `_SAMPLES` pixels over the whole frame, without an alpha channel."""
    stride = max(1, math.isqrt(frame.shape[0] * frame.shape[1] // _SAMPLES))
    grid = frame[::stride, ::stride]
    return np.ascontiguousarray(grid[..., :3] if grid.ndim > 2 else grid)


def _form(form: tuple[tuple[int, ...], str]) -> str:
    (height, width, *_), encoding = form
    return f"{width} x {height} {encoding}"
