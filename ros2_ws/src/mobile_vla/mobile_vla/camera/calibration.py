"""Camera intrinsics: the YAML that ROS's camera_calibration writes, or a pinhole estimate marked as such.

All lengths in pixels of the published image; matrices row by row, as in sensor_msgs/CameraInfo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.camera.config import CameraConfig
from mobile_vla.config.safe_yaml import MAX_BYTES, YamlError, load_yaml
from mobile_vla.errors import UserError, nearest
from mobile_vla.files import FileError, read_text

# Number of coefficients each distortion model of sensor_msgs can have.
MODELS: dict[str, tuple[int, ...]] = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
    "fisheye": (4,),
}
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_TOLERANCE = 1e-3


class CalibrationError(UserError):
    """A calibration that cannot be used, or that does not belong to this camera."""


@dataclass(frozen=True)
class Calibration:
    """What CameraInfo is filled with. Not `calibrated`: a guess (no distortion model) or nothing (all zeros)."""

    width_px: int
    height_px: int
    camera_name: str
    distortion_model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    r: tuple[float, ...]
    p: tuple[float, ...]
    calibrated: bool
    origin: str

    def check_fits(self, width_px: int, height_px: int) -> None:
        """A calibration is true for one image size only."""
        if (self.width_px, self.height_px) != (width_px, height_px):
            raise CalibrationError(
                f"{self.origin} is for {self.width_px} x {self.height_px} images,"
                f" but the camera gives {width_px} x {height_px}; calibrate at this size,"
                " or set width_px and height_px to the calibrated one"
            )


def load_calibration(file: Path, camera_name: str = "") -> Calibration:
    """Read and validate a camera_calibration YAML; a name other than `camera_name` is another camera's file."""
    try:
        document = load_yaml(read_text(file, MAX_BYTES))
    except FileError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise CalibrationError(
                f"no calibration file at {file}; check calibration_file, or leave it empty"
            ) from None
        raise CalibrationError(f"calibration file {error}") from None
    except YamlError as error:
        raise CalibrationError(
            f"calibration file {file}: {error}; fix that line, or delete the %YAML line that OpenCV writes"
        ) from None
    try:
        found = _parsed(document, str(file))
    except CalibrationError as error:
        raise CalibrationError(f"calibration file {file}: {error}") from None
    if camera_name and found.camera_name and found.camera_name != camera_name:
        raise CalibrationError(
            f"calibration file {file} is for camera '{found.camera_name}', not '{camera_name}';"
            " set camera_name to it if it is the right file"
        )
    return found


def pinhole_guess(width_px: int, height_px: int, horizontal_fov_deg: float, camera_name: str = "") -> Calibration:
    """An ideal lens of this field of view with square pixels and the axis through the centre; never `calibrated`."""
    if not 0 < horizontal_fov_deg < 180:
        raise CalibrationError(f"horizontal_fov_deg must be between 0 and 180, got {horizontal_fov_deg:g}")
    focal = width_px / 2 / math.tan(math.radians(horizontal_fov_deg) / 2)
    cx, cy = (width_px - 1) / 2, (height_px - 1) / 2
    k = (focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0)
    origin = f"pinhole guess from {horizontal_fov_deg:g} degrees"
    return Calibration(width_px, height_px, camera_name, "", (), k, _IDENTITY, _projection(k), False, origin)


def uncalibrated(width_px: int, height_px: int, camera_name: str = "") -> Calibration:
    """All zeros: what ROS takes as "nothing is known"."""
    return Calibration(
        width_px, height_px, camera_name, "", (), (0.0,) * 9, (0.0,) * 9, (0.0,) * 12, False, "uncalibrated"
    )


def calibration_for(config: CameraConfig, loaded: Calibration | None, width_px: int, height_px: int) -> Calibration:
    """What is true for an image of this size: the file if it fits (else `CalibrationError`), a guess, nothing."""
    if loaded is not None:
        loaded.check_fits(width_px, height_px)
        return loaded
    if config.horizontal_fov_deg > 0:
        return pinhole_guess(width_px, height_px, config.horizontal_fov_deg, config.camera_name)
    return uncalibrated(width_px, height_px, config.camera_name)


def _parsed(document: Any, origin: str) -> Calibration:
    if not isinstance(document, Mapping):
        raise CalibrationError("is not a mapping of names to values; write it with camera_calibration")
    width, height = _size(document, "image_width"), _size(document, "image_height")
    k = _matrix(document, "camera_matrix", 9)
    model = str(document.get("distortion_model", "plumb_bob"))
    if model not in MODELS:
        raise CalibrationError(f"unknown distortion_model '{model}'; {nearest(model, MODELS)}")
    d = _matrix(document, "distortion_coefficients", *MODELS[model])
    r = _matrix(document, "rectification_matrix", 9) if "rectification_matrix" in document else _IDENTITY
    p = _matrix(document, "projection_matrix", 12) if "projection_matrix" in document else _projection(k)
    _check_camera_matrix(k, width, height)
    _check_rotation(r)
    if p[0] <= 0 or p[5] <= 0 or _differ(p[8:], (0.0, 0.0, 1.0, 0.0)):
        raise CalibrationError(
            "projection_matrix must have positive focal lengths and a last row of 0 0 1 0; calibrate again"
        )
    name = str(document.get("camera_name", ""))
    return Calibration(width, height, name, model, d, k, r, p, True, f"calibration file {origin}")


def _size(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise CalibrationError(f"{name} must be a whole number of pixels above 0, got {value!r}")
    return value


def _matrix(document: Mapping[str, Any], name: str, *lengths: int) -> tuple[float, ...]:
    entry = document.get(name)
    data = entry.get("data") if isinstance(entry, Mapping) else entry
    wanted = " or ".join(map(str, lengths))
    if not isinstance(data, list) or len(data) not in lengths:
        raise CalibrationError(f"{name} must have {wanted} numbers under data, got {data!r}")
    numbers = [float(value) for value in data if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) != len(data) or not all(map(math.isfinite, numbers)):
        raise CalibrationError(f"{name} must have {wanted} finite numbers, got {data!r}")
    return tuple(numbers)


def _check_camera_matrix(k: tuple[float, ...], width: int, height: int) -> None:
    if k[0] <= 0 or k[4] <= 0:
        raise CalibrationError(
            f"camera_matrix has focal lengths {k[0]:g} and {k[4]:g}; both must be above 0: calibrate again"
        )
    if not (0 <= k[2] <= width and 0 <= k[5] <= height):
        raise CalibrationError(
            f"camera_matrix has its centre at ({k[2]:g}, {k[5]:g}), outside the {width} x {height} image;"
            " image_width and image_height must be those of the calibration"
        )
    if _differ(k[6:], (0.0, 0.0, 1.0)) or _differ((k[3],), (0.0,)):
        raise CalibrationError("camera_matrix must be fx s cx, 0 fy cy, 0 0 1, row by row; is it transposed?")


def _check_rotation(r: tuple[float, ...]) -> None:
    rows = (r[0:3], r[3:6], r[6:9])
    products = [sum(a * b for a, b in zip(one, other, strict=True)) for one in rows for other in rows]
    if _differ(products, _IDENTITY):
        raise CalibrationError("rectification_matrix is not a rotation; calibrate again")


def _differ(values: Any, wanted: tuple[float, ...]) -> bool:
    return any(abs(value - want) > _TOLERANCE for value, want in zip(values, wanted, strict=True))


def _projection(k: tuple[float, ...]) -> tuple[float, ...]:
    return (*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0)
