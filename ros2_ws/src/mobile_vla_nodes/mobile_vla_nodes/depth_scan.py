"""A depth camera as a laser scanner: each depth picture becomes a scan on `scan`, which the controller reads as any.

A picture that proves nothing gives no scan, so that the controller's own watchdog stops the robot; why is said on
/diagnostics and counted.
"""

from __future__ import annotations

import array
import math
import sys
import time
from collections import Counter

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, LaserScan

from mobile_vla.camera.config import DepthScanConfig
from mobile_vla.camera.depth import DepthError, DepthPicture, DepthScan, DepthView, Intrinsics, Ranges
from mobile_vla.timing import RateMeter, Timings
from mobile_vla_nodes.input_publishers import incompatible_inputs, names_of_publishers
from mobile_vla_ros.diagnostics import ERROR, OK, WARN, Diagnostics, Status
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.runtime import run
from mobile_vla_ros.stamps import stamp_ns
from mobile_vla_ros.topics import DEPTH_IMAGE, DEPTH_INFO, SCAN


class DepthScanNode(Node):
    """Parameters -> two topics in, one out, and a diagnostic status. All on the executor's thread."""

    def __init__(self) -> None:
        super().__init__("depth_scan")
        self._settings = Parameters(self, DepthScanConfig)
        self._scans = DepthScan(self._settings.value)
        self._intrinsics: Intrinsics | None = None
        self._refused: Counter[str] = Counter()
        self._error = ""
        self._newest: Ranges | None = None
        self._last_ns = time.monotonic_ns()
        self._rate, self._work = RateMeter(), Timings()
        self._reported = ""
        self._out = SCAN.publisher(self)
        self._inputs = {
            "info": DEPTH_INFO.subscription(self, self._on_info),
            "image": DEPTH_IMAGE.subscription(self, self._on_image),
        }
        self._diagnostics = Diagnostics(self, self._report)

    def _on_info(self, message: CameraInfo) -> None:
        self._intrinsics = Intrinsics(message.width, message.height, tuple(map(float, message.k)))

    def _on_image(self, message: Image) -> None:
        self._last_ns = time.monotonic_ns()
        picture = DepthPicture(
            message.data, message.height, message.width, message.step, message.encoding, bool(message.is_bigendian)
        )
        try:
            with self._work.measure():
                ranges = self._scans.ranges(picture, self._intrinsics, stamp_ns(message))
        except DepthError as error:
            self._refused[error.code] += 1
            self._error, self._newest = str(error), None
            return
        self._error, self._newest = "", ranges
        assert self._scans.view is not None
        self._out.publish(_message(message, ranges, self._scans.view, self._settings.value))
        self._rate.tick(self._last_ns)

    def _report(self) -> Status:
        values = {
            "scans_hz": f"{self._rate.hz(time.monotonic_ns()):.1f}",
            **{f"refused.{code}": str(count) for code, count in sorted(self._refused.items())},
            **self._work.as_values("convert"),
        }
        form, view = self._scans.form, self._scans.view
        if form is not None and view is not None:
            values["form"] = f"{form.width_px} x {form.height_px} {form.encoding}"
            values["beams_short_sighted"] = str(view.short_sighted)
            values["low_things_seen_from_m"] = f"{view.low_things_seen_from_m:.2f}"
        if self._newest is not None:
            values["nearest_m"] = f"{np.nanmin(self._newest, initial=math.inf):.2f}"
            values["beams_unknown"] = str(int(np.count_nonzero(np.isnan(self._newest))))
        level, message = self._judge()
        if message != self._reported:
            self._reported = message
            log = self.get_logger()
            log.error(message) if level == ERROR else log.info(message)
        return Status(level, message, values)

    def _judge(self) -> tuple[bytes, str]:
        config = self._settings.value
        silence_s = (time.monotonic_ns() - self._last_ns) / 1e9
        incompatible = incompatible_inputs(self, {name: (subscription,) for name, subscription in self._inputs.items()})
        if incompatible:
            return ERROR, next(iter(incompatible.values()))
        publishers = names_of_publishers(self, self._out.topic_name)
        if len(publishers) > 1:
            return ERROR, (
                f"{self._out.topic_name} has {len(publishers)} publishers: {', '.join(publishers)}; "
                "only one scanner may guard the robot"
            )
        if silence_s > config.stall_s:
            return ERROR, f"no depth picture on {self._inputs['image'].topic_name}; start or repair the depth camera"
        if self._error:
            return ERROR, f"no scan: {self._error}"
        if self._newest is None:
            return WARN, "waiting for the first depth picture"
        return OK, "running"


def _message(picture: Image, ranges: Ranges, view: DepthView, config: DepthScanConfig) -> LaserScan:
    """A scan with the picture's stamp: its age counts from when the camera looked."""
    message = LaserScan()
    message.header.stamp, message.header.frame_id = picture.header.stamp, config.frame_id
    message.angle_min, message.angle_max = view.angle_min_rad, -view.angle_min_rad
    message.angle_increment = view.angle_increment_rad
    message.range_min, message.range_max = config.range_min_m, config.range_max_m
    message.ranges = array.array("f", ranges.tobytes())
    return message


def main() -> None:
    """Run the node; exit code 2 when the configuration cannot work."""
    sys.exit(run(DepthScanNode))


if __name__ == "__main__":
    main()
