"""Settings of camera node, depth scan and frame health check. Import-light: no cv2, no numpy."""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.config import Config, ConfigError, param, section

KINDS = ("auto", "v4l2", "csi", "gstreamer", "stream", "video", "folder")


@dataclass(frozen=True, kw_only=True)
class ReconnectConfig(Config):
    """How long to wait between attempts to get a lost camera back: initial, initial x factor, ... up to max."""

    initial_s: float = param(0.5, "First wait after a source is lost or could not be opened.", gt=0.0, le=60.0)
    factor: float = param(2.0, "Each further wait is this many times longer.", ge=1.0, le=10.0)
    max_s: float = param(10.0, "Longest wait between two attempts.", gt=0.0, le=600.0)

    def cross_check(self) -> None:
        if self.max_s < self.initial_s:
            raise ConfigError(f"max_s must be >= initial_s ({self.initial_s:g} s), got {self.max_s:g}")


@dataclass(frozen=True, kw_only=True)
class HealthConfig(Config):
    """When a picture that arrives in time is still not to be trusted."""

    frozen_after_s: float = param(
        0.5,
        "Identical frames with new stamps for this long are a frozen camera; 0 turns the check off.",
        ge=0.0,
        le=60.0,
    )
    black_level: int = param(
        16, "A frame is black when almost every sampled value (of 255) is at or below this.", ge=0, le=254
    )
    black_share: float = param(
        0.995, "Share of sampled values at or below black_level that makes a frame black.", gt=0.5, le=1.0
    )


@dataclass(frozen=True, kw_only=True)
class CameraConfig(Config):
    """Where frames come from and how they are published."""

    source: str = param(
        "/dev/video0",
        "Device (/dev/video0 or 0), csi:0, GStreamer pipeline, rtsp:// or http:// address, video file, image folder.",
    )
    kind: str = param("auto", "What `source` is; auto tells by its form.", choices=KINDS)
    width_px: int = param(640, "Width asked of the camera; 0 leaves the choice to it.", ge=0, le=16384)
    height_px: int = param(480, "Height asked of the camera; 0 leaves the choice to it.", ge=0, le=16384)
    rate_hz: float = param(
        30.0,
        "Frames per second asked of a camera, the pace of an image folder, and the most that are taken of a video file "
        "or a stream: what they deliver beyond it is dropped.",
        gt=0.0,
        le=1000.0,
    )
    fourcc: str = param("", "Pixel format asked of a V4L2 device, such as MJPG or YUYV; empty leaves it as it is.")
    csi_flip_method: int = param(0, "nvvidconv flip-method of a CSI camera (2 turns it upside down).", ge=0, le=7)
    resize: bool = param(False, "Scale every frame to width_px x height_px, whatever the source delivers.")
    loop: bool = param(False, "Start a video file or an image folder again at its end, instead of stopping there.")
    encoding: str = param("bgr8", "Encoding of the published image.", choices=("bgr8", "rgb8"))
    frame_id: str = param("camera_optical_frame", "Frame of the optical axis (z forward, x right, y down).")
    camera_name: str = param("camera", "Name of the camera, compared with the calibration file's.")
    calibration_file: str = param("", "camera_calibration YAML file; empty: no calibration.")
    horizontal_fov_deg: float = param(
        0.0,
        "Without a calibration file: field of view for a pinhole guess; 0 publishes an uncalibrated CameraInfo.",
        ge=0.0,
        le=175.0,
    )
    jpeg_quality: int = param(80, "JPEG quality of image_raw/compressed.", ge=1, le=100, live=True)
    stall_s: float = param(
        2.0, "A live source without a frame for this long is reported, and a network read given up.", ge=0.1, le=60.0
    )
    reconnect: ReconnectConfig = section(ReconnectConfig)

    def cross_check(self) -> None:
        if not self.source.strip():
            raise ConfigError("source is empty; give a device, an address, a video file or an image folder")
        if self.fourcc and (len(self.fourcc) != 4 or not self.fourcc.isascii()):
            raise ConfigError(f"fourcc must be four characters such as MJPG or YUYV, got '{self.fourcc}'")
        if (self.width_px == 0) != (self.height_px == 0):
            raise ConfigError(
                f"width_px and height_px must be given together or both be 0, got {self.width_px} x {self.height_px}"
            )
        if self.resize and not self.width_px:
            raise ConfigError("resize needs a size to scale to; give width_px and height_px")
        _check_frame_id(self.frame_id)


@dataclass(frozen=True, kw_only=True)
class DepthScanConfig(Config):
    """How a depth camera looks at the floor ahead, and what of its picture counts as an obstacle.

    The scan is taken from the point of the floor below the lens: `range_guard.scan_x_m` and `scan_y_m` of the
    controller say where that is, as for any scanner.
    """

    height_m: float = param(0.25, "Height of the lens above the floor.", gt=0.0, le=3.0)
    pitch_down_deg: float = param(0.0, "Tilt of the optical axis towards the floor.", ge=-45.0, le=60.0)
    least_height_m: float = param(
        0.05, "What is lower than this is floor: above its unevenness and the error of the depth.", ge=0.0, le=1.0
    )
    most_height_m: float = param(0.5, "What is higher than this is passed under; above the robot.", gt=0.0, le=3.0)
    low_things_from_m: float = param(
        0.3,
        "How far ahead of the lens even the lowest obstacle must be in the picture; at most the controller's "
        "stop_distance_m + front_m - scan_x_m, so that the robot stops before it loses sight of it.",
        gt=0.0,
        le=20.0,
    )
    nearest_m: float = param(
        0.3, "Shortest depth that the camera measures; a shorter one is an obstacle at range_min_m.", ge=0.0, le=5.0
    )
    zero_is: str = param(
        "near",
        "What a beam says whose pixels mostly read exactly 0, as cameras write for what is too near and for what they "
        "could not measure: an obstacle at range_min_m, or unknown (NaN).",
        choices=("near", "unknown"),
    )
    most_unmeasured_share: float = param(
        0.5, "A beam with a larger share of pixels that were not measured is not called clear.", ge=0.0, le=0.99
    )
    range_min_m: float = param(0.02, "What a beam reads when something is too near to be measured.", ge=0.0, le=0.1)
    range_max_m: float = param(3.0, "Farther obstacles are not reported; a clear beam reads inf.", gt=0.1, le=20.0)
    beams: int = param(120, "Beams of the scan, evenly over the angles that the picture covers.", ge=3, le=2000)
    row_step: int = param(1, "Use every n-th row of the picture; lower things can be missed.", ge=1, le=16)
    column_step: int = param(1, "Use every n-th column of the picture; thinner things can be missed.", ge=1, le=16)
    frozen_after_s: float = param(
        0.5,
        "Identical pictures with new stamps for this long are a frozen camera and give no scan; 0 turns the check off.",
        ge=0.0,
        le=60.0,
    )
    frame_id: str = param("depth_scan", "Frame of the scan: level, on the floor below the lens, x ahead.")
    stall_s: float = param(1.0, "No depth picture for this long is an error on /diagnostics.", ge=0.1, le=60.0)

    def cross_check(self) -> None:
        if self.most_height_m <= self.least_height_m:
            raise ConfigError(
                f"most_height_m must be > least_height_m ({self.least_height_m:g} m), got {self.most_height_m:g}"
            )
        if self.range_max_m <= max(self.range_min_m, self.nearest_m):
            raise ConfigError(
                f"range_max_m must be > range_min_m ({self.range_min_m:g} m) and nearest_m ({self.nearest_m:g} m), "
                f"got {self.range_max_m:g}"
            )
        _check_frame_id(self.frame_id)


def _check_frame_id(frame_id: str) -> None:
    if not frame_id or frame_id.startswith("/"):
        raise ConfigError(f"frame_id must be a frame name without a leading slash, got '{frame_id}'")
