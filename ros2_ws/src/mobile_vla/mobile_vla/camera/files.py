"""Frames from disk, at the pace they were taken: video files and folders of images.

A reader that falls behind gets the frames later: the timeline moves on, frames are neither skipped nor bunched. Of a
video with more than `rate_hz` frames per second only so many are taken; the others are not converted to pixels.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from mobile_vla.camera.capture import Capture, OpenCapture
from mobile_vla.camera.encodings import Pixels
from mobile_vla.camera.rate_limit import RateLimit
from mobile_vla.camera.source import NS, CameraFrame, Clock, DamagedFrame, EndOfSource, SourceLost, encoding_of
from mobile_vla.errors import UserError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_FALLBACK_HZ = 30.0
_LONGEST_GAP_S = 5.0


class PlaybackPacer:
    """Lets frames through no sooner than their interval after the previous one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_ns: int | None = None

    def wait(self, interval_ns: int) -> None:
        """Block until `interval_ns` after the previous frame was due; the first frame is due now."""
        now_ns = self._clock.steady_ns()
        if self._due_ns is None:
            self._due_ns = now_ns
            return
        self._due_ns = max(self._due_ns + interval_ns, now_ns)
        self._clock.wait_until(self._due_ns)


class FolderSource:
    """The images of a folder in natural order (2 before 10), at a fixed rate, once or over and over."""

    live = False

    def __init__(self, folder: Path, rate_hz: float, loop: bool, clock: Clock) -> None:
        self.description = f"folder {folder}"
        self._folder = folder
        self._interval_ns = round(NS / rate_hz)
        self._loop = loop
        self._clock = clock
        self._pacer = PlaybackPacer(clock)
        self._images: list[Path] = []
        self._next = 0

    def check(self) -> None:
        """The folder must exist and hold at least one image that decodes."""
        images = _listed(self._folder)
        if not any(_decoded(path) is not None for path in images):
            raise UserError(
                f"none of the {len(images)} images in {self._folder} can be decoded; put readable images there"
            )

    def open(self) -> None:
        """List the images anew."""
        try:
            self._images = _listed(self._folder)
        except UserError as error:  # was there at the check: a stick pulled out, a folder being replaced
            raise SourceLost(str(error)) from None
        self._next = 0

    def read(self) -> CameraFrame:
        """The next image when it is due."""
        if self._next >= len(self._images):
            if not self._loop or not self._images:
                raise EndOfSource(f"{self.description}: all {len(self._images)} images were shown")
            self._next = 0
        path = self._images[self._next]
        self._next += 1
        pixels = _decoded(path)
        self._pacer.wait(self._interval_ns)
        if pixels is None:
            raise DamagedFrame(f"{path} cannot be decoded as an image; remove or replace it")
        return CameraFrame(pixels, self._clock.stamp_ns(), encoding_of(pixels))

    def close(self) -> None:
        """Nothing stays open."""


class VideoFileSource:
    """A video file at its own timing, at most `rate_hz` frames per second of it, once or over and over."""

    live = False

    def __init__(
        self, path: Path, rate_hz: float, loop: bool, clock: Clock, opener: OpenCapture = cv2.VideoCapture
    ) -> None:
        self.description = f"video {path}"
        self._path = path
        self._loop = loop
        self._clock = clock
        self._opener = opener
        self._pacer = PlaybackPacer(clock)
        self._limit = RateLimit(rate_hz)
        self._time_ns = 0
        self._capture: Capture | None = None
        self._rate_hz = _FALLBACK_HZ
        self._position_ms = 0.0
        self._shown = 0

    def check(self) -> None:
        """The file must exist and its first frame decode."""
        if not self._path.is_file():
            raise UserError(f"no video file at {self._path}; check the path")
        capture = self._opener(str(self._path))
        try:
            if not capture.isOpened() or not capture.read()[0]:
                raise UserError(
                    f"{self._path} is not a video that OpenCV can decode;"
                    f" convert it with `ffmpeg -i {self._path} out.mp4`"
                )
        finally:
            capture.release()

    def open(self) -> None:
        """Rewind to the first frame."""
        self.close()
        capture = self._opener(str(self._path))
        if not capture.isOpened():
            capture.release()
            raise SourceLost(f"{self._path} can no longer be opened; was it moved?")
        rate_hz = capture.get(cv2.CAP_PROP_FPS)
        self._rate_hz = rate_hz if np.isfinite(rate_hz) and 0 < rate_hz <= 1000 else _FALLBACK_HZ
        self._capture = capture
        self._shown = 0
        self._position_ms = 0.0

    def read(self) -> CameraFrame:
        """The next frame that is taken, when it is due."""
        before_ns = self._time_ns
        while True:
            if not self._grab():
                if not self._loop or not self._shown:
                    raise EndOfSource(f"{self.description}: the end was reached after {self._shown} frames")
                self.open()
                continue
            self._time_ns += self._interval_ns()
            self._shown += 1
            if not self._limit.takes(self._time_ns):
                continue
            ok, pixels = self._retrieve()
            self._pacer.wait(self._time_ns - before_ns)
            if not ok or pixels is None:
                raise DamagedFrame(f"{self.description}: frame {self._shown} cannot be decoded")
            return CameraFrame(pixels, self._clock.stamp_ns(), encoding_of(pixels))

    def close(self) -> None:
        """Close the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _grab(self) -> bool:
        """Go on to the next frame without making pixels of it."""
        if self._capture is None:
            raise SourceLost(f"{self._path} is not open")
        return self._capture.grab()

    def _retrieve(self) -> tuple[bool, Pixels | None]:
        assert self._capture is not None
        return self._capture.retrieve()

    def _interval_ns(self) -> int:
        """Time since the previous frame by the file's own stamps; its mean rate where they make no sense."""
        assert self._capture is not None
        position_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        gap_s, self._position_ms = (position_ms - self._position_ms) / 1000, position_ms
        plausible = self._shown > 0 and 0 < gap_s <= _LONGEST_GAP_S
        return round(gap_s * NS) if plausible else round(NS / self._rate_hz)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which frame2 comes before frame10."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces if piece]


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"no image folder at {folder}; check the path")
    try:
        names = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    except PermissionError:
        raise UserError(f"no permission to read the folder {folder}; run `chmod u+rx {folder}`") from None
    if not names:
        raise UserError(f"the folder {folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); put some there")
    return sorted(names, key=lambda path: (natural_key(path.name), path.name))


def _decoded(path: Path) -> Pixels | None:
    """The image, or None when it is not one; colour always as bgr(a), grey stays grey, 16 bit stays 16 bit."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    return cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
