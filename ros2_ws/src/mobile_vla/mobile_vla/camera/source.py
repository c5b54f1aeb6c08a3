"""The interface of every frame source.

Threads: a source is opened, read and closed by one thread. Clocks: `Clock.stamp_ns` is the time that stamps frames
(ROS time on a robot), `Clock.steady_ns` never jumps and paces files and back-off. All times are int nanoseconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from mobile_vla.camera.encodings import ImageError, Pixels, opencv_encoding

NS = 1_000_000_000


class CameraFrame(NamedTuple):
    """One picture as it came, never shared with the source: rows x columns (x channels), in the named encoding."""

    pixels: Pixels
    stamp_ns: int
    encoding: str


class SourceLost(Exception):
    """The source cannot be opened or stopped delivering; opening it again later may help. The text is a sentence."""


class DamagedFrame(Exception):
    """A frame that cannot be decoded; the source goes on with the next. The text is a sentence."""


class EndOfSource(Exception):
    """A finite source has delivered its last frame."""


class Stopped(Exception):
    """The reader was asked to stop while it waited."""


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@dataclass(frozen=True)
class Clock:
    """Time as a source sees it; `wait` sleeps and returns True when the reader is asked to stop."""

    stamp_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns
    wait: Callable[[float], bool] = _sleep

    def wait_until(self, steady_ns: int) -> None:
        """Sleep up to a point of the steady clock; raises `Stopped`."""
        remaining_ns = steady_ns - self.steady_ns()
        if remaining_ns > 0 and self.wait(remaining_ns / NS):
            raise Stopped


class FrameSource(Protocol):
    """A place frames come from.

    `live`: frames appear in real time whether or not they are read, so only the newest counts.
    `description`: for people, without passwords.
    """

    live: bool
    description: str

    def check(self) -> None:
        """Raise `UserError` for what trying again can never fix."""

    def open(self) -> None:
        """Get ready to read; raises `SourceLost`. A closed source can be opened again."""

    def read(self) -> CameraFrame:
        """Block until the next frame; `SourceLost`, `DamagedFrame`, `EndOfSource` or `Stopped` if there is none."""

    def close(self) -> None:
        """Release the device; harmless when already closed."""


def encoding_of(pixels: Pixels) -> str:
    """Encoding of an array as OpenCV delivers it; `DamagedFrame` when it is no picture."""
    try:
        return opencv_encoding(pixels)
    except ImageError as error:
        raise DamagedFrame(str(error)) from None
