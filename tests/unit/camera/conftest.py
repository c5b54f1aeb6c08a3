"""Time that only moves when a source waits, sources that follow a script, captures that fail on demand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mobile_vla.camera.source import NS, CameraFrame, Clock

START_NS = 1_700_000_000 * NS


class FakeTime:
    """Steady and stamping clock in one; `wait` moves it and stops the reader once `stop_after` waits were made."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.waits: list[float] = []
        self.stop_after: int | None = None

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now_ns += round(seconds * NS)
        return self.stop_after is not None and len(self.waits) >= self.stop_after

    @property
    def clock(self) -> Clock:
        return Clock(stamp_ns=lambda: START_NS + self.now_ns, steady_ns=lambda: self.now_ns, wait=self.wait)


class ScriptedSource:
    """Frames and exceptions in the given order, one per `read`; `opens` says how each `open` ends (None is well)."""

    description = "scripted source"

    def __init__(self, script: list[Any], opens: list[Exception | None] | None = None, live: bool = True) -> None:
        self.script = list(script)
        self.opens = list(opens or [])
        self.live = live
        self.opened = self.closed = 0

    def check(self) -> None: ...

    def open(self) -> None:
        self.opened += 1
        outcome = self.opens.pop(0) if self.opens else None
        if outcome is not None:
            raise outcome

    def read(self) -> CameraFrame:
        item = self.script.pop(0)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1


class FakeCapture:
    """A cv2.VideoCapture made of a list of frames; None in the list is a failed read."""

    def __init__(self, frames: list[Any], opened: bool = True, position_ms: float = 0.0) -> None:
        self.frames = list(frames)
        self.opened = opened
        self.position_ms = position_ms
        self.wishes: dict[int, float] = {}
        self.released = self.retrieved = 0
        self.grabbed: Any = None
        self.arguments: tuple[Any, ...] = ()

    def __call__(self, *arguments: Any) -> FakeCapture:
        self.arguments = arguments
        return self

    def isOpened(self) -> bool:
        return self.opened

    def read(self) -> tuple[bool, Any]:
        frame = self.frames.pop(0) if self.frames else None
        return frame is not None, frame

    def grab(self) -> bool:
        ok, self.grabbed = self.read()
        return ok

    def retrieve(self) -> tuple[bool, Any]:
        self.retrieved += 1
        return True, self.grabbed

    def get(self, prop: int) -> float:
        return self.position_ms if prop == cv2.CAP_PROP_POS_MSEC else 0.0

    def set(self, prop: int, value: float) -> bool:
        self.wishes[prop] = value
        return True

    def release(self) -> None:
        self.released += 1


def picture(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A bgr picture of a number's own, with noise."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def scripted() -> type[ScriptedSource]:
    return ScriptedSource


@pytest.fixture
def capture() -> type[FakeCapture]:
    return FakeCapture


@pytest.fixture
def make_picture() -> Callable[..., np.ndarray]:
    return picture


@pytest.fixture
def make_frame() -> Callable[[int], CameraFrame]:
    """The same frame object for the same number, so that frames can be compared."""
    return functools.cache(lambda number: CameraFrame(picture(number), START_NS + number, "bgr8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven images, named so that alphabetical order is wrong, and a file that is none."""
    place = tmp_path / "images"
    place.mkdir()
    for number in range(1, 12):
        cv2.imwrite(str(place / f"frame{number}.png"), picture(number))
    (place / "notes.txt").write_text("not an image")
    return place


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames at 20 Hz, each of one grey: frame n has level 20 n."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (64, 48))
    assert writer.isOpened()
    for number in range(10):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    return path
