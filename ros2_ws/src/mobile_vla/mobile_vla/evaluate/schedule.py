"""What happens to each frame of a recording, decided before its pixels are touched: counted, seen, in which episode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mobile_vla.bags.align import AlignedFrame
from mobile_vla.errors import UserError
from mobile_vla.evaluate.columns import Columns, EpisodeSpan

ONE_SIDE = "evaluate one side of it with --end-s or --start-s"
_DRIVING = ("autonomy", "teleop", "hold")
_GAP_NS = 1_000_000_000


class EvaluationOptions(NamedTuple):
    """What is simulated, and which frames count."""

    instruction: str = ""
    """Instead of the recorded ones."""
    latency_ms: float = 0.0
    drop: float = 0.0
    """Share of frames the policy does not get to see."""
    seed: int = 0
    gate: bool = False
    every_frame: bool = False
    """Also frames while the controller was not armed."""


class PlannedFrame(NamedTuple):
    """One counted frame. `t` counts from the start of the bag; a frame that is not `seen` is lost on its way."""

    sample: AlignedFrame
    t: float
    episode: int
    instruction: str
    seen: bool


class FrameSchedule:
    """Divides bags into episodes, draws the lost frames and keeps count. `frames_of` one bag after the other."""

    def __init__(self, options: EvaluationOptions, columns: Columns) -> None:
        self._options = options
        self._columns = columns
        self._random = np.random.default_rng(options.seed)

    def frames_of(self, bag: str, start_ns: int, samples: Iterable[AlignedFrame]) -> Iterator[PlannedFrame]:
        """The counted frames of one bag. Raises `UserError` where the camera's clock goes back."""
        columns = self._columns
        last_ns: int | None = None
        driven = ""
        for sample in samples:
            stamp_ns = sample.frame.stamp_ns
            t = (stamp_ns - start_ns) / 1e9
            columns.frames += 1
            if last_ns is not None and stamp_ns < last_ns:
                back = (last_ns - stamp_ns) / 1e9
                raise UserError(f"{bag}: the camera's clock goes back {back:.2f} s at {t:.1f} s; {ONE_SIDE}")
            columns.repeated += stamp_ns == last_ns
            paused = last_ns is not None and stamp_ns - last_ns > _GAP_NS
            last_ns = stamp_ns
            instruction = self._options.instruction or sample.instruction or ""
            if not instruction:
                columns.without_instruction += 1
                continue
            if not self._counts(sample):
                columns.not_counted += 1
                driven = ""
                continue
            if instruction != driven or paused:
                columns.episodes.append(EpisodeSpan(len(columns.episodes), bag, t, instruction))
                driven = instruction
            yield PlannedFrame(sample, t, len(columns.episodes) - 1, instruction, self._is_seen())

    def _counts(self, sample: AlignedFrame) -> bool:
        return self._options.every_frame or sample.mode is None or sample.mode.values.get("mode") in _DRIVING

    def _is_seen(self) -> bool:
        if self._options.drop > 0 and self._random.random() < self._options.drop:
            self._columns.dropped += 1
            return False
        return True
