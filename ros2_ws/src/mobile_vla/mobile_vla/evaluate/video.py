"""A video that shows what the robot saw, what it was told, what it did and why.

Camera picture on the left with the action as an arrow, a panel with mode, source, reason, speeds and path on the
right. H.264 through PyAV, so that it plays in every browser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mobile_vla.files import replacing

Pixels = NDArray[Any]

HEIGHT = 480
PANEL = 320
_TIME_BASE = Fraction(1, 1000)
_INK, _QUIET, _GROUND, _RULE = (236, 238, 241), (154, 162, 173), (24, 27, 32), (56, 62, 70)
_COMMAND, _ACTION, _MEASURED = (243, 160, 79), (111, 168, 255), (78, 201, 176)
"""The report's --c2, --c1 and --c3 on a dark ground."""
_MODE = {
    "autonomy": (46, 160, 90),
    "teleop": (60, 120, 210),
    "hold": (107, 114, 128),
    "disarmed": (107, 114, 128),
    "fault": (190, 120, 20),
    "estop": (190, 45, 38),
}
_WARNING = (176, 104, 0)


class Caption(NamedTuple):
    """What is true at one frame. Speeds in m/s and rad/s, None where nothing says; `action` is normalised."""

    time_s: float
    instruction: str = ""
    mode: str = ""
    source: str = ""
    reason: str = ""
    action: tuple[float, float] | None = None
    command: tuple[float, float] | None = None
    measured: tuple[float, float] | None = None
    path: Sequence[tuple[float, float]] = ()
    warning: str = ""


class VideoWriter:
    """Frames with their times into an mp4 of the first frame's size. A context manager: the file has its name only when
    it is complete, and without a frame there is none.
    """

    def __init__(self, path: Path, rate_hz: float = 15.0, crf: int = 26) -> None:
        self.path = path
        self._rate = max(1, round(rate_hz))
        self._options = {"preset": "veryfast", "crf": str(crf)}
        self._file = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._last_ms = -1
        self.frames = 0

    def write(self, rgb: Pixels, time_s: float) -> None:
        """Append a picture that is shown from `time_s` on; times must not go back."""
        if self._stream is None:
            self._begin(rgb.shape[0], rgb.shape[1])
        time_ms = max(self._last_ms + 1, round(time_s * 1000))
        picture = np.ascontiguousarray(rgb[: self._stream.height, : self._stream.width])
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = time_ms, _TIME_BASE
        self._encode(frame)
        self._last_ms = time_ms
        self.frames += 1

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def _begin(self, height: int, width: int) -> None:
        temporary = self._file.enter_context(replacing(self.path))
        self._container = self._file.enter_context(
            av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
        )
        self._stream = self._container.add_stream("libx264", rate=self._rate)
        self._stream.width, self._stream.height = width - width % 2, height - height % 2  # H.264 wants even sides
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _TIME_BASE
        self._stream.codec_context.thread_count = 1
        self._stream.options = self._options
        self._file.push(self._flush)

    def _flush(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._encode(None)

    def _encode(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


class Overlay:
    """Draws captions. `limits` are the speeds that fill the bars; `area` has the whole path where it is known ahead;
    else what has been driven fills the panel.
    """

    def __init__(self, limits: tuple[float, float] = (0.5, 1.0), area: Sequence[tuple[float, float]] = ()) -> None:
        self._limits = (max(limits[0], 0.05), max(limits[1], 0.05))
        self._fonts = {size: ImageFont.load_default(size) for size in (13, 15, 18, 22)}
        self._area = _extent(area) if area else None

    def draw(self, rgb: Pixels, caption: Caption) -> Pixels:
        """The composed picture, `HEIGHT` high."""
        width = max(2, round(rgb.shape[1] * HEIGHT / rgb.shape[0]))
        canvas = np.empty((HEIGHT, width + PANEL, 3), np.uint8)
        canvas[:, :width] = rgb if rgb.shape[:2] == (HEIGHT, width) else cv2.resize(rgb, (width, HEIGHT))
        canvas[:, width:] = _GROUND
        self._arrows(canvas[:, :width], caption)
        panel = canvas[:, width:]
        self._bars(panel, caption)
        self._path(panel, caption)
        self._banner(canvas[:, :width], caption)
        return self._texts(canvas, width, caption)

    def _arrows(self, view: Pixels, caption: Caption) -> None:
        if caption.command is not None:
            share = (caption.command[0] / self._limits[0], caption.command[1] / self._limits[1])
            _arrow(view, share, _COMMAND, 9)
        if caption.action is not None:
            _arrow(view, caption.action, _ACTION, 3)

    def _bars(self, panel: Pixels, caption: Caption) -> None:
        for row, limit in enumerate(self._limits):
            top = 222 + row * 46
            for place, values, color in ((0, caption.command, _COMMAND), (1, caption.measured, _MEASURED)):
                y = top + place * 10
                cv2.rectangle(panel, (16, y), (304, y + 7), _RULE, -1)
                if values is not None:
                    share = max(-1.0, min(1.0, values[row] / limit))
                    end = 160 + round((-share if row == 1 else share) * 144)  # a left turn (positive) goes left
                    cv2.rectangle(panel, (min(160, end), y), (max(160, end), y + 7), color, -1)
            cv2.line(panel, (160, top - 1), (160, top + 18), _INK, 1)

    def _path(self, panel: Pixels, caption: Caption) -> None:
        top, side = 326, 146
        cv2.rectangle(panel, (16, top), (304, top + side), _RULE, 1)
        if not caption.path:
            return
        (middle_x, middle_y), span = self._area or _extent(caption.path)
        scale = (side - 20) / span
        points = [(160 + (x - middle_x) * scale, top + side / 2 - (y - middle_y) * scale) for x, y in caption.path]
        pixels = np.round(np.array(points)).astype(np.int32)
        if len(pixels) > 1:
            cv2.polylines(panel, [pixels.reshape(-1, 1, 2)], False, _MEASURED, 2, cv2.LINE_AA)
        cv2.circle(panel, (int(pixels[-1][0]), int(pixels[-1][1])), 5, _COMMAND, -1, cv2.LINE_AA)

    @staticmethod
    def _banner(view: Pixels, caption: Caption) -> None:
        if caption.warning:
            view[:30] = _WARNING
        strip = view[HEIGHT - 34 :]
        np.copyto(strip, (strip * 0.35).astype(np.uint8))

    def _texts(self, canvas: Pixels, width: int, caption: Caption) -> Pixels:
        image = Image.fromarray(canvas)
        draw = ImageDraw.Draw(image)
        left = width + 16

        def text(
            x: int, y: int, words: str, size: int, *, color: tuple[int, int, int] = _INK, anchor: str = "la"
        ) -> None:
            draw.text((x, y), words, font=self._fonts[size], fill=color, anchor=anchor)

        if caption.warning:
            text(12, 15, caption.warning, 15, anchor="lm")
        text(12, HEIGHT - 17, self._fitted(caption.instruction or "no instruction", width - 24, 18), 18, anchor="lm")
        color = _MODE.get(caption.mode, (107, 114, 128))
        draw.rounded_rectangle((left, 16, left + 288, 56), 8, fill=color)
        text(left + 12, 36, (caption.mode or "no controller").upper(), 22, anchor="lm")
        text(left + 276, 36, f"{caption.time_s:.1f} s", 18, anchor="rm")
        text(left, 70, "driven by", 13, color=_QUIET)
        text(left + 90, 68, caption.source or "nobody", 15)
        text(left, 94, "because", 13, color=_QUIET)
        for line, words in enumerate(_wrapped(caption.reason or "-", 30)[:3]):
            text(left + 90, 92 + 19 * line, words, 15)
        text(left, 158, "commanded", 13, color=_COMMAND)
        text(left + 96, 158, "measured", 13, color=_MEASURED)
        text(left + 180, 158, "policy wants", 13, color=_ACTION)
        for row, (name, unit) in enumerate((("forward", "m/s"), ("turn", "rad/s"))):
            values = [_speed(speed, row) for speed in (caption.command, caption.measured)]
            text(left, 200 + row * 46, f"{name}", 13, color=_QUIET)
            text(left + 288, 200 + row * 46, f"{values[0]} / {values[1]} {unit}", 13, anchor="ra")
        text(left, 308, "path", 13, color=_QUIET)
        return np.asarray(image)

    def _fitted(self, words: str, width: int, size: int) -> str:
        """`words`, cut with an ellipsis where the picture ends."""
        font = self._fonts[size]
        if font.getlength(words) <= width:
            return words
        while words and font.getlength(words + "...") > width:
            words = words[:-1]
        return words + "..."


def _extent(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], float]:
    """Centre and longer side, at least 1 m."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    return middle, max(max(xs) - min(xs), max(ys) - min(ys), 1.0)


def _arrow(view: Pixels, share: tuple[float, float], color: tuple[int, int, int], thickness: int) -> None:
    """From the robot's nose: length is the speed, bend is the turn (left positive)."""
    height, width = view.shape[:2]
    linear, turn = (max(-1.0, min(1.0, value)) for value in share)
    start = (width // 2, height - 60 if linear >= 0 else round(height * 0.45))
    length, angle = abs(linear) * height * 0.42, turn * math.pi / 3
    if length < 4 and abs(turn) < 0.03:
        cv2.circle(view, start, 6, color, -1, cv2.LINE_AA)
        return
    if length < 20:  # turning on the spot: an arc around the robot
        cv2.ellipse(view, start, (46, 30), 0, -90, -90 - turn * 110, color, thickness, cv2.LINE_AA)
        return
    sign = 1 if linear >= 0 else -1
    points = [
        (start[0] - math.sin(angle * part) * length * part, start[1] - sign * math.cos(angle * part) * length * part)
        for part in np.linspace(0, 1, 12)
    ]
    pixels = np.round(np.array(points)).astype(np.int32)
    cv2.polylines(view, [pixels.reshape(-1, 1, 2)], False, color, thickness, cv2.LINE_AA)
    tip, before = pixels[-1], pixels[-3]
    direction = math.atan2(tip[1] - before[1], tip[0] - before[0])
    size = 10 + thickness * 1.4
    head = [
        (tip[0] + math.cos(direction + turned) * size, tip[1] + math.sin(direction + turned) * size)
        for turned in (0.0, 2.4, -2.4)
    ]
    cv2.fillPoly(view, [np.round(np.array(head)).astype(np.int32)], color, cv2.LINE_AA)


def _speed(values: tuple[float, float] | None, row: int) -> str:
    return "-" if values is None else f"{values[row]:+.2f}"


def _wrapped(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
