"""Depth pictures as laser scans: the nearest obstacle per direction, seen from the floor below the lens.

What a pixel can say is worked out once for a camera: its beam, metres ahead per metre of depth, and the depths between
which its ray is at the height of obstacles. A picture then costs one comparison per pixel and a minimum per beam. A
pixel counts as the ray through its centre, so heights and bearings are true to half a pixel.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.camera.config import DepthScanConfig
from mobile_vla.camera.encodings import Buffer, ImageError, Pixels, to_array
from mobile_vla.errors import UserError

METRES: dict[str, float] = {"16UC1": 1e-3, "32FC1": 1.0}
"""Encodings of depth along the optical axis, by REP 118, and the length of their unit."""

_SAMPLE_STEP = 4
_FEWEST_FROZEN = 3
# Smaller than any depth, so that a pixel of 0 is never one.
_NO_DEPTH = 1e-6

Ranges = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class DepthError(UserError):
    """A picture that gives no scan: a word to count it under, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PictureFormat(NamedTuple):
    """What must be the same in all pictures of one camera. `k`: the intrinsic matrix, row by row, in pixels."""

    width_px: int
    height_px: int
    encoding: str
    k: tuple[float, ...]


class DepthPicture(NamedTuple):
    """The fields of a sensor_msgs/Image."""

    data: Buffer
    height_px: int
    width_px: int
    step: int
    encoding: str
    is_bigendian: bool = False


class Intrinsics(NamedTuple):
    """The fields of a sensor_msgs/CameraInfo that matter here."""

    width_px: int
    height_px: int
    k: tuple[float, ...]


class DepthScan:
    """Scans from the pictures of one camera. The first picture that gives one fixes the form of all others."""

    def __init__(self, config: DepthScanConfig) -> None:
        self._config = config
        self._form: PictureFormat | None = None
        self._frozen = _Frozen(config.frozen_after_s)
        self.view: DepthView | None = None

    @property
    def form(self) -> PictureFormat | None:
        """Size, encoding and intrinsics in use; None before the first scan."""
        return self._form

    def ranges(self, picture: DepthPicture, intrinsics: Intrinsics | None, stamp_ns: int = 0) -> Ranges:
        """One distance per beam: inf where it is clear, NaN where nobody knows; raises `DepthError`."""
        form = self._checked(picture, intrinsics)
        pixels = _pixels(picture)
        if self.view is None or self._form is None:
            self.view = DepthView(self._config, form)
            self._form = form
        self._frozen.refuse(pixels, stamp_ns)
        return self.view.ranges(pixels)

    def _checked(self, picture: DepthPicture, intrinsics: Intrinsics | None) -> PictureFormat:
        if picture.encoding not in METRES:
            raise DepthError(
                "encoding", f"depth must be 16UC1 (millimetres) or 32FC1 (metres), got '{picture.encoding}'"
            )
        if intrinsics is None:
            raise DepthError("no_info", "the depth camera's camera_info has not come; publish it beside the picture")
        if intrinsics[:2] != (picture.width_px, picture.height_px):
            raise DepthError(
                "size",
                f"camera_info is for {intrinsics.width_px} x {intrinsics.height_px} pixels and the depth picture has "
                f"{picture.width_px} x {picture.height_px}; give the camera_info of this picture",
            )
        form = PictureFormat(picture.width_px, picture.height_px, picture.encoding, intrinsics.k)
        if self._form is not None and form != self._form:
            raise DepthError(
                "changed",
                f"the depth picture changed from {_words(self._form)} to {_words(form)} mid-stream; restart this node",
            )
        return form


class _Frozen:
    """Whether pictures repeat although their stamps are new: what a depth camera measures always has noise."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._digest = 0
        self._since_ns = 0
        self._same = 0

    def refuse(self, pixels: Pixels, stamp_ns: int) -> None:
        """Raise when this picture is the same as those of some time; one in which nothing is measured says nothing."""
        sample = np.ascontiguousarray(pixels[::_SAMPLE_STEP, ::_SAMPLE_STEP])
        digest = zlib.crc32(sample.data)
        if digest != self._digest or not np.any(np.isfinite(sample) & (sample != 0)):
            self._digest, self._since_ns, self._same = digest, stamp_ns, 1
            return
        self._same += 1
        still_s = (stamp_ns - self._since_ns) / 1e9
        if self._after_s > 0.0 and self._same >= _FEWEST_FROZEN and still_s >= self._after_s:
            raise DepthError("frozen", f"depth camera frozen: {self._same} identical pictures; restart its driver")


class DepthView:
    """What each pixel of one camera can see of the space in which obstacles are."""

    def __init__(self, config: DepthScanConfig, form: PictureFormat) -> None:
        self._config = config
        self._unit_m = np.float32(METRES[form.encoding])
        right, down = _rays(form, config)
        pitch = math.radians(config.pitch_down_deg)
        ahead = math.cos(pitch) - down * math.sin(pitch)
        rise = -math.sin(pitch) - down * math.cos(pitch)
        scale = np.hypot(ahead, right)
        bearing = np.arctan2(-right, ahead)
        nearest, farthest = _depths_within(config, rise)
        within = np.minimum(farthest, config.range_max_m / np.maximum(scale, 1e-9))
        useful = (nearest <= within) & (farthest > config.nearest_m)
        nearest = np.maximum(nearest, max(config.nearest_m, _NO_DEPTH))
        if not np.any(useful):
            raise DepthError(
                "mount", "no pixel of the depth picture looks at the height of obstacles; correct height and pitch"
            )
        span = float(np.max(np.abs(bearing[useful])))
        if span == 0.0:
            raise DepthError("intrinsics", "the depth picture is one pixel wide; give a wider one")
        self.angle_min_rad = -span
        self.angle_increment_rad = 2.0 * span / (config.beams - 1)
        beam = np.rint((bearing[useful] + span) / self.angle_increment_rad).astype(np.int64)
        order = np.argsort(beam, kind="stable")
        self._pixel: Ints = _numbers(form, config)[useful][order]
        self._nearest, self._within, self._scale = (
            part[useful][order].astype(np.float32) for part in (nearest, within, scale)
        )
        self._beams, self._starts, self._counts = np.unique(beam[order], return_index=True, return_counts=True)
        self._refuse_gaps(form)
        reach = np.maximum.reduceat(self._within * self._scale, self._starts)
        self._short = reach < config.range_max_m * (1.0 - 1e-5)
        self._check_range_ahead(reach)
        self.short_sighted = int(np.count_nonzero(self._short))
        self.low_things_seen_from_m = self._check_low_obstacle_coverage(rise, scale, bearing)

    def ranges(self, pixels: Pixels) -> Ranges:
        """The scan of a picture of this camera."""
        config = self._config
        depth = pixels.reshape(-1).take(self._pixel) * self._unit_m
        seen = (depth >= self._nearest) & (depth <= self._within)
        zero = depth == 0.0
        distance = np.where(seen, depth * self._scale, np.float32(np.inf))
        np.maximum(distance, np.float32(config.range_min_m), out=distance)
        distance[(depth < config.nearest_m) & ~zero] = config.range_min_m
        found = np.minimum.reduceat(distance, self._starts)
        zeros = np.add.reduceat(zero, self._starts, dtype=np.int64)
        unmeasured = zeros + np.add.reduceat(np.isnan(depth), self._starts, dtype=np.int64)
        most = config.most_unmeasured_share * self._counts
        if config.zero_is == "near":
            found[zeros > most] = config.range_min_m
        found[np.isposinf(found) & ((unmeasured > most) | self._short)] = np.nan
        ranges = np.full(config.beams, np.nan, np.float32)
        ranges[self._beams] = found
        return ranges

    def _refuse_gaps(self, form: PictureFormat) -> None:
        """A beam between others that no pixel looks along would never be anything but unknown."""
        first, last = int(self._beams[0]), int(self._beams[-1])
        if len(self._beams) < last - first + 1:
            columns = -(-form.width_px // self._config.column_step)
            raise DepthError(
                "beams",
                f"{self._config.beams} beams are too many for {columns} columns of depth; lower beams to about "
                f"{max(3, columns // 3)}",
            )

    def _check_range_ahead(self, reach: Floats) -> None:
        """Straight ahead it must see as far as it claims."""
        ahead = int(np.argmin(np.abs(self._beams - (self._config.beams - 1) / 2)))
        if self._short[ahead]:
            raise DepthError(
                "mount",
                f"straight ahead the depth camera sees obstacles up to {reach[ahead]:.2f} m only; lower range_max_m "
                f"({self._config.range_max_m:g} m) or pitch_down_deg ({self._config.pitch_down_deg:g})",
            )

    def _check_low_obstacle_coverage(self, rise: Floats, scale: Floats, bearing: Floats) -> float:
        """From where on straight ahead even the lowest obstacle is in the picture; it must be near enough."""
        config = self._config
        ahead = np.abs(bearing) <= self.angle_increment_rad
        drop = float(np.max(-rise[ahead] / scale[ahead], initial=0.0))
        over_m = max(config.height_m - config.least_height_m, 0.0)
        from_m = over_m / drop if drop > 0.0 else math.inf if over_m else 0.0
        if from_m > config.low_things_from_m:
            raise DepthError(
                "mount",
                f"straight ahead low things are in the depth picture from {from_m:.2f} m on, wanted from "
                f"{config.low_things_from_m:g} m; raise pitch_down_deg, or low_things_from_m together with the "
                "controller's stop_distance_m",
            )
        return from_m


def _rays(form: PictureFormat, config: DepthScanConfig) -> tuple[Floats, Floats]:
    """Metres to the right and down per metre along the axis, for every pixel that is used."""
    k = form.k
    if len(k) != 9 or not all(map(math.isfinite, k)) or k[0] <= 0.0 or k[4] <= 0.0:
        focal = f"focal lengths {k[0]:g} and {k[4]:g}" if len(k) == 9 else "no intrinsics"
        raise DepthError("intrinsics", f"the depth camera's camera_info has {focal}; calibrate the camera")
    if not (-0.5 <= k[2] <= form.width_px and -0.5 <= k[5] <= form.height_px):
        raise DepthError(
            "intrinsics",
            f"the depth camera's camera_info has its centre at ({k[2]:g}, {k[5]:g}), outside the {form.width_px} x "
            f"{form.height_px} picture; give the camera_info of this picture",
        )
    rows = np.arange(0, form.height_px, config.row_step, dtype=np.float64)
    columns = np.arange(0, form.width_px, config.column_step, dtype=np.float64)
    right, down = np.meshgrid((columns - k[2]) / k[0], (rows - k[5]) / k[4])
    return right, down


def _numbers(form: PictureFormat, config: DepthScanConfig) -> Ints:
    """Where in the flat picture each used pixel is."""
    numbers: Any = np.arange(form.width_px * form.height_px).reshape(form.height_px, form.width_px)
    used: Ints = numbers[:: config.row_step, :: config.column_step]
    return used


def _depths_within(config: DepthScanConfig, rise: Floats) -> tuple[Floats, Floats]:
    """First and last depth at which a ray is between the two heights; the first beyond the last when it never is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        least = (config.least_height_m - config.height_m) / rise
        most = (config.most_height_m - config.height_m) / rise
    level = rise == 0.0
    inside = config.least_height_m <= config.height_m <= config.most_height_m
    first = np.where(level, 0.0 if inside else np.inf, np.minimum(least, most))
    last = np.where(level, np.inf if inside else -np.inf, np.maximum(least, most))
    return np.maximum(first, 0.0), last


def _pixels(picture: DepthPicture) -> Pixels:
    if memoryview(picture.data).nbytes > picture.step * picture.height_px:
        raise DepthError(
            "damaged",
            f"a depth picture of {picture.height_px} rows with step {picture.step} has "
            f"{picture.step * picture.height_px} bytes, got {memoryview(picture.data).nbytes}; correct the driver",
        )
    try:
        pixels = to_array(
            picture.data, picture.height_px, picture.width_px, picture.step, picture.encoding, picture.is_bigendian
        )
    except ImageError as error:
        raise DepthError("damaged", f"the depth picture is damaged: {error}") from error
    return np.ascontiguousarray(pixels)


def _words(form: PictureFormat) -> str:
    return f"{form.width_px} x {form.height_px} {form.encoding} (focal length {form.k[0]:g})"
