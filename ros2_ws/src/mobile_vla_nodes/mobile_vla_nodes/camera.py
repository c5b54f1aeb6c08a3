"""Frames of one source on the graph: raw images, camera info, JPEG while somebody listens.

A thread reads the source (`mobile_vla.camera.grabber`) and wakes the executor, which publishes: everything but the
reading happens on the executor's thread. A source that is gone is said on /diagnostics and tried again; a frame is
only ever published because a camera delivered it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from mobile_vla.camera.calibration import Calibration, CalibrationError, calibration_for, load_calibration
from mobile_vla.camera.config import CameraConfig
from mobile_vla.camera.encodings import convert, resized
from mobile_vla.camera.grabber import Grabber
from mobile_vla.camera.locate import make_source
from mobile_vla.camera.reconnect import ENDED, RUNNING, WAITING, Reconnecting, SourceState
from mobile_vla.camera.source import NS, CameraFrame, Clock
from mobile_vla.files import expanded
from mobile_vla.timing import RateMeter, Timings
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Status
from mobile_vla_ros.images import camera_info, image_message, jpeg_message
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.runtime import NodeFailed, run
from mobile_vla_ros.topics import CAMERA_IMAGE, CAMERA_INFO, CAMERA_JPEG

STOP_PATIENCE_S = 2.0


class CameraNode(Node):
    """Parameters -> source, grabber and calibration -> three topics and a diagnostic status."""

    def __init__(self) -> None:
        self._stop_reading: Callable[[float], bool] = lambda timeout_s: True  # destroyed even when construction fails
        super().__init__("camera")
        self._settings = Parameters(self, CameraConfig)
        config = self._settings.value
        self._loaded: Calibration | None = None
        if config.calibration_file:
            self._loaded = load_calibration(expanded(config.calibration_file), config.camera_name)
        self._stopping = threading.Event()
        clock = Clock(stamp_ns=lambda: int(self.get_clock().now().nanoseconds), wait=self._stopping.wait)
        self._source = Reconnecting(make_source(config, clock), config.reconnect, clock)
        self._image = CAMERA_IMAGE.publisher(self)
        self._jpeg = CAMERA_JPEG.publisher(self)
        self._info = CAMERA_INFO.publisher(self)
        self._calibration: Calibration | None = None
        self._calibration_error = ""
        self._size = (0, 0)
        self._unstamped = 0
        self._last_ns = time.monotonic_ns()
        self._rate = RateMeter()
        self._work = Timings()
        self._reported: tuple[str, str] = ("", "")
        news = self.create_guard_condition(self._on_news)
        self._grabber = Grabber(self._source, self._stopping, news.trigger)
        self._stop_reading = self._grabber.stop
        self._diagnostics = Diagnostics(self, self._report)
        self._grabber.start()

    def destroy_node(self) -> None:
        """Stop reading before anything the reader would wake is gone."""
        self._stop_reading(STOP_PATIENCE_S)
        super().destroy_node()

    def _on_news(self) -> None:
        try:
            frame = self._grabber.take()
        except Exception as error:
            raise NodeFailed(f"reading {self._source.description} failed: {error}", code=1) from error
        if frame is None:
            return
        if frame.stamp_ns <= 0:  # simulated time that has not begun: a stamp of 0 would look like the distant past
            self._unstamped += 1
            return
        with self._work.measure():
            self._publish(frame)
        self._last_ns = time.monotonic_ns()
        self._rate.tick(self._last_ns)

    def _publish(self, frame: CameraFrame) -> None:
        config = self._settings.value
        pixels = convert(frame.pixels, frame.encoding, config.encoding)
        if config.resize:
            pixels = resized(pixels, config.width_px, config.height_px)
        header = Header(stamp=Time(nanoseconds=frame.stamp_ns).to_msg(), frame_id=config.frame_id)
        self._image.publish(image_message(pixels, config.encoding, header))
        self._note_size(pixels.shape[1], pixels.shape[0])
        if self._calibration is not None:
            self._info.publish(camera_info(self._calibration, header))
        if self._jpeg.get_subscription_count() > 0:
            self._jpeg.publish(jpeg_message(pixels, config.encoding, config.jpeg_quality, header))

    def _note_size(self, width_px: int, height_px: int) -> None:
        """Find the calibration of a new image size; one that does not fit is withheld, and that is said."""
        if (width_px, height_px) == self._size:
            return
        self._size = (width_px, height_px)
        try:
            self._calibration = calibration_for(self._settings.value, self._loaded, width_px, height_px)
            self._calibration_error = ""
        except CalibrationError as error:
            self._calibration = None
            self._calibration_error = str(error)

    def _report(self) -> Status:
        now_ns = time.monotonic_ns()
        state, counts = self._source.state, self._grabber.counts
        calibration = self._calibration
        values = {
            "source": self._source.description,
            "state": state.phase,
            "reason": state.reason,
            "fps": f"{self._rate.hz(now_ns):.1f}",
            "size": f"{self._size[0]} x {self._size[1]}",
            "frames_read": str(counts.read),
            "frames_published": str(counts.taken - self._unstamped),
            "frames_dropped": str(counts.dropped),
            "frames_damaged": str(state.damaged),
            "reconnects": str(state.reconnects),
            "failed_attempts": str(state.failures),
            "calibrated": str(calibration is not None and calibration.calibrated).lower(),
            "calibration": self._calibration_error or (calibration.origin if calibration else "no frame yet"),
            **self._work.as_values("publish"),
        }
        level, message = self._judge(state, (now_ns - self._last_ns) / NS)
        self._log(level, message)
        return Status(level, message, values)

    def _judge(self, state: SourceState, silence_s: float) -> tuple[bytes, str]:
        if state.phase == WAITING:
            return ERROR, f"{state.reason}; next attempt within {state.retry_s:g} s"
        if state.phase == ENDED:
            return WARN, f"no more frames: {state.reason}"
        if state.phase != RUNNING:
            return WARN, f"{state.phase} {self._source.description}" + (
                f" again ({state.reason})" if state.reason else ""
            )
        if self._unstamped and not self._size[0]:
            return ERROR, "frames arrive but simulated time has not begun; start what publishes /clock"
        if self._source.live and silence_s > self._settings.value.stall_s:
            return ERROR, f"no frame from {self._source.description} for {silence_s:.1f} s"
        if self._calibration_error:
            return ERROR, f"camera_info is withheld: {self._calibration_error}"
        if state.damaged:
            return WARN, f"running, {state.damaged} frames damaged, last: {state.damage}"
        return OK, f"running from {self._source.description}"

    def _log(self, level: bytes, message: str) -> None:
        """Each new condition once in the log; waiting times that grow are not news."""
        key = (str(level), message.partition("; next attempt")[0].partition(" for ")[0])
        if key == self._reported:
            return
        self._reported = key
        if level == ERROR:
            self.get_logger().error(message)
        elif level == WARN:
            self.get_logger().warning(message)
        else:
            self.get_logger().info(message)


def main() -> None:
    """Run the camera node; exit code 2 when the configuration cannot work."""
    sys.exit(run(CameraNode))


if __name__ == "__main__":
    main()
