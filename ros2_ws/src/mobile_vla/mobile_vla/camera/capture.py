"""Live sources through OpenCV's VideoCapture: V4L2 devices and GStreamer pipelines (CSI cameras of a Jetson)."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2

from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.encodings import Pixels
from mobile_vla.camera.source import NS, CameraFrame, Clock, SourceLost, encoding_of
from mobile_vla.errors import UserError

_OLDEST_BUFFER_NS = 10 * NS


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool: ...  # noqa: N802
    def read(self) -> tuple[bool, Pixels | None]: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Pixels | None]: ...
    def get(self, prop: int) -> float: ...
    def set(self, prop: int, value: float) -> bool: ...
    def release(self) -> None: ...


OpenCapture = Callable[..., Capture]


class V4l2Source:
    """A USB or other Video4Linux device. Unplugged or not permitted can be fixed while running: `SourceLost`."""

    live = True

    def __init__(self, config: CameraConfig, clock: Clock, opener: OpenCapture = cv2.VideoCapture) -> None:
        text = config.source.strip()
        self._path = Path(f"/dev/video{text}" if text.isdecimal() else text)
        self.description = f"device {self._path}"
        self._config = config
        self._clock = clock
        self._opener = opener
        self._capture: Capture | None = None

    def check(self) -> None:
        """A path that exists and is no device will never become a camera."""
        if self._path.exists() and not stat.S_ISCHR(self._path.stat().st_mode):
            raise UserError(f"{self._path} is not a camera device; give /dev/videoN, or set kind to video or folder")

    def open(self) -> None:
        """Look for the device, ask for the configured format."""
        if not self._path.exists():
            raise SourceLost(f"no camera at {self._path}; plug it in or set source to one of: {_devices()}")
        if not os.access(self._path, os.R_OK | os.W_OK):
            raise SourceLost(
                f"no permission for {self._path}; run `sudo usermod -aG video $USER` and log in again"
                " (in a container: pass the device and its group)"
            )
        # How long a read may hang in the driver; OpenCV takes it from here only, 10 s otherwise.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(math.ceil(self._config.stall_s)))
        capture = self._opener(str(self._path.resolve()), cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise SourceLost(
                f"{self._path} cannot be opened as a camera; is another program using it (`fuser -v {self._path}`),"
                " or is it the metadata node beside the camera's own?"
            )
        for prop, value in self._request_format():
            capture.set(prop, value)  # the driver takes the nearest it has; the frames show what that is
        self._capture = capture

    def read(self) -> CameraFrame:
        """The next frame, stamped with the driver's buffer time where it gives one."""
        if self._capture is None:
            raise SourceLost(f"{self._path} is not open")
        ok, pixels = self._capture.read()
        now_ns, steady_ns = self._clock.stamp_ns(), self._clock.steady_ns()
        if not ok or pixels is None:
            raise SourceLost(f"{self._path} stopped delivering frames; is it still plugged in?")
        age_ns = buffer_age_ns(self._capture.get(cv2.CAP_PROP_POS_MSEC), steady_ns)
        return CameraFrame(pixels, now_ns - age_ns, encoding_of(pixels))

    def close(self) -> None:
        """Give the device back."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _request_format(self) -> list[tuple[int, float]]:
        config = self._config
        wishes: list[tuple[int, float]] = []
        if config.fourcc:  # before the size: it decides which sizes there are
            wishes.append((cv2.CAP_PROP_FOURCC, float(fourcc(config.fourcc))))
        if config.width_px:
            wishes += [(cv2.CAP_PROP_FRAME_WIDTH, config.width_px), (cv2.CAP_PROP_FRAME_HEIGHT, config.height_px)]
        return [*wishes, (cv2.CAP_PROP_FPS, config.rate_hz), (cv2.CAP_PROP_BUFFERSIZE, 1)]


class GStreamerSource:
    """A pipeline that ends in an appsink; needs an OpenCV built with GStreamer."""

    live = True

    def __init__(
        self,
        pipeline: str,
        clock: Clock,
        description: str = "GStreamer pipeline",
        opener: OpenCapture = cv2.VideoCapture,
        build_information: Callable[[], str] = cv2.getBuildInformation,
    ) -> None:
        self.pipeline = pipeline
        self.description = description
        self._clock = clock
        self._opener = opener
        self._build_information = build_information
        self._capture: Capture | None = None

    def check(self) -> None:
        """The pipeline must hand frames over, and OpenCV must be able to run it."""
        if "appsink" not in self.pipeline:
            raise UserError(
                f"the pipeline '{self.pipeline}' has no appsink; end it with `! appsink drop=true max-buffers=1`"
            )
        if not re.search(r"GStreamer:\s+YES", self._build_information()):
            raise UserError(
                f"{self.description} needs GStreamer, which this OpenCV ({cv2.__version__}) is built without;"
                " use the distribution's python3-opencv (on a Jetson: JetPack's) instead of the pip wheel"
            )

    def open(self) -> None:
        """Start the pipeline."""
        capture = self._opener(self.pipeline, cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            capture.release()
            raise SourceLost(
                f"{self.description} does not start; is the camera connected (CSI: is nvargus-daemon running)?"
                " `gst-launch-1.0` with fakesink for appsink shows why"
            )
        self._capture = capture

    def read(self) -> CameraFrame:
        """The newest frame of the pipeline."""
        if self._capture is None:
            raise SourceLost(f"{self.description} is not open")
        ok, pixels = self._capture.read()
        if not ok or pixels is None:
            raise SourceLost(f"{self.description} stopped delivering frames")
        return CameraFrame(pixels, self._clock.stamp_ns(), encoding_of(pixels))

    def close(self) -> None:
        """Stop the pipeline."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def csi_pipeline(config: CameraConfig, sensor: int) -> str:
    """The pipeline of a CSI camera on a Jetson: sensor through the ISP, to BGR in ordinary memory, newest only."""
    rate = Fraction(config.rate_hz).limit_denominator(1001)
    size = f"width={config.width_px}, height={config.height_px}, " if config.width_px else ""
    return (
        f"nvarguscamerasrc sensor-id={sensor}"
        f" ! video/x-raw(memory:NVMM), {size}framerate={rate.numerator}/{rate.denominator}"
        f" ! nvvidconv flip-method={config.csi_flip_method} ! video/x-raw, format=BGRx"
        " ! videoconvert ! video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"
    )


def buffer_age_ns(position_ms: float, steady_ns: int) -> int:
    """How long ago the driver filled the buffer, if its time is on the steady clock; else 0: as old as its read."""
    age_ns = steady_ns - int(position_ms * 1e6)
    return age_ns if position_ms > 0 and 0 <= age_ns <= _OLDEST_BUFFER_NS else 0


def fourcc(code: str) -> int:
    """A four-character code as the number that V4L2 and OpenCV use."""
    return int.from_bytes(code.encode("ascii"), "little")


def _devices() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return ", ".join(found) or "none on this machine"
