"""Frames for the report: the worst are kept as images, all can be written as a video."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2

from mobile_vla.control.modes import REASONS
from mobile_vla.evaluate.rollout import RolloutFrame
from mobile_vla.evaluate.video import Caption, Overlay, VideoWriter

_APART_S = 1.0
_WIDTH = 320


class WorstMoment(NamedTuple):
    """One frame the policy judged very differently. `error` is a share of full speed, the larger of both axes."""

    error: float
    bag: str
    t: float
    instruction: str
    recorded: tuple[float, float]
    predicted: tuple[float, float]
    jpeg: bytes


class WorstMoments:
    """Keeps the `count` largest errors of the first policy, at least a second apart."""

    def __init__(self, full: tuple[float, float], count: int = 6) -> None:
        self._full = full
        self._count = count
        self._kept: list[WorstMoment] = []
        self.bag = ""

    def __call__(self, moment: RolloutFrame) -> None:
        if moment.recorded is None:
            return
        command = moment.commands[0]
        error = max(
            abs(command[axis] - moment.recorded[axis]) / self._full[axis] for axis in (0, 1) if self._full[axis] > 0
        )
        near = next((one for one in self._kept if one.bag == self.bag and abs(one.t - moment.t) < _APART_S), None)
        weakest = near or (min(self._kept, default=None) if len(self._kept) >= self._count else None)
        if weakest is not None:
            if error <= weakest.error:
                return
            self._kept.remove(weakest)
        height = max(1, round(moment.rgb.shape[0] * _WIDTH / moment.rgb.shape[1]))
        small = cv2.resize(moment.rgb, (_WIDTH, height), interpolation=cv2.INTER_AREA)
        _, jpeg = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        self._kept.append(
            WorstMoment(error, self.bag, moment.t, moment.instruction, moment.recorded, command, jpeg.tobytes())
        )

    def worst_first(self) -> list[WorstMoment]:
        return sorted(self._kept, key=lambda one: -one.error)


class EvaluationVideo:
    """Every counted frame with what was recorded (orange arrow) and what the first policy wants (blue)."""

    def __init__(self, path: Path, full: tuple[float, float], rate_hz: float = 15.0, warning: str = "") -> None:
        self._overlay = Overlay(full)
        self._rate_hz = rate_hz
        self._warning = warning
        self._writer = VideoWriter(path, rate_hz)
        self._shift_s = 0.0
        self._last_s: float | None = None
        self._path: list[tuple[float, float]] = []

    def __call__(self, moment: RolloutFrame) -> None:
        time_s = moment.t + self._shift_s
        if self._last_s is not None:
            if time_s < self._last_s or time_s > self._last_s + 1.0:  # the next bag or episode follows at once
                self._shift_s += self._last_s + 1 / self._rate_hz - time_s
                time_s = moment.t + self._shift_s
                self._path = []
            elif time_s < self._last_s + 0.9 / self._rate_hz:
                return
        self._last_s = time_s
        if (odometry := moment.sample.odometry) is not None:
            self._path.append((odometry.x_m, odometry.y_m))
        self._writer.write(self._overlay.draw(moment.rgb, self._caption(moment)), time_s)

    def close(self, error: BaseException | None = None) -> None:
        """Complete the video, or remove it when there was an error."""
        self._writer.__exit__(type(error) if error else None, error, None)

    def _caption(self, moment: RolloutFrame) -> Caption:
        mode = moment.sample.mode
        values = mode.values if mode is not None else {}
        odometry, reason = moment.sample.odometry, values.get("reason", "")
        return Caption(
            moment.t,
            moment.instruction,
            values.get("mode", "recorded"),
            values.get("source", ""),
            REASONS.get(reason, reason),
            moment.actions[0],
            moment.recorded,
            None if odometry is None else (odometry.linear_mps, odometry.angular_radps),
            self._path,
            self._warning,
        )
