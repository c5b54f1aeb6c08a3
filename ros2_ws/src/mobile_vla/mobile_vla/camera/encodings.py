"""Pixel formats of sensor_msgs/Image without the message: bytes to arrays, arrays to bytes, one encoding to another.

`passthrough` gives an image's own encoding, as everywhere in ROS. Arrays that come out are in native byte order;
`to_array` does not copy when nothing has to change, so such an array is a read-only view if the data is read-only.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobile_vla.errors import UserError, nearest

PASSTHROUGH = "passthrough"
Pixels = NDArray[Any]
Buffer = Any  # whatever offers the buffer protocol: bytes, memoryview, array.array, ndarray


class ImageError(UserError):
    """Image data that contradicts itself, or a conversion that means nothing."""


class Encoding(NamedTuple):
    """What an encoding's name says. `family` is empty for mere numbers such as 32FC1."""

    name: str
    dtype: np.dtype[Any]
    channels: int
    family: str


def _color(name: str, bits: int, channels: int, family: str) -> Encoding:
    return Encoding(name, np.dtype(f"u{bits // 8}"), channels, family)


_BAYER = ("rggb", "bggr", "gbrg", "grbg")
ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        *(
            _color(f"{family}{bits}", bits, len(family), family)
            for family in ("rgb", "bgr", "rgba", "bgra")
            for bits in (8, 16)
        ),
        *(_color(f"mono{bits}", bits, 1, "mono") for bits in (8, 16)),
        *(_color(f"bayer_{order}{bits}", bits, 1, f"bayer_{order}") for order in _BAYER for bits in (8, 16)),
        *(_color(name, 8, 2, "uyvy") for name in ("yuv422", "uyvy")),
        *(_color(name, 8, 2, "yuyv") for name in ("yuv422_yuy2", "yuyv")),
        _color("nv21", 8, 1, "nv21"),
    )
}
_NUMBERS = re.compile(r"(8|16|32|64)([USF])(?:C([1-9]\d?))?")
_JPEG = (".jpg", ".jpeg", ".jpe")
_TRANSPARENT = (".png", ".tif", ".tiff")
_DEEP = (".png", ".tif", ".tiff", ".jp2")
_DEPTHS = (np.dtype(np.uint8), np.dtype(np.uint16))
_KINDS = {"U": "u", "S": "i", "F": "f"}
# OpenCV names a colour filter by its second row, ROS by its first (Ubuntu 22.04's OpenCV lacks the newer names).
_OPENCV_BAYER = {"rggb": "BG", "bggr": "RG", "gbrg": "GR", "grbg": "GB"}


@lru_cache(maxsize=64)
def encoding_named(name: str) -> Encoding:
    """Look an encoding up by its ROS name, including 8UC3, 16UC1, 32FC1, ...; `ImageError` when there is none."""
    if name in ENCODINGS:
        return ENCODINGS[name]
    match = _NUMBERS.fullmatch(name)
    if match and match[1] + match[2] not in ("8F", "64U", "64S", "32U"):
        return Encoding(name, np.dtype(f"{_KINDS[match[2]]}{int(match[1]) // 8}"), int(match[3] or 1), "")
    raise ImageError(f"unknown image encoding '{name}'; {nearest(name, ENCODINGS)}")


def to_array(  # noqa: PLR0917  (the fields of an Image message, in its order)
    data: Buffer, height: int, width: int, step: int, encoding: str, is_bigendian: bool = False
) -> Pixels:
    """The rows x columns (x channels) array of an image; a view of `data` unless bytes have to be swapped.

    Padding at the end of rows is left out. An nv21 image has height x 3/2 rows, as OpenCV wants it.
    """
    kind = encoding_named(encoding)
    rows = height * 3 // 2 if kind.family == "nv21" else height
    item = kind.dtype.itemsize
    row_bytes = width * kind.channels * item
    if height <= 0 or width <= 0:
        raise ImageError(f"an image of {width} x {height} pixels is empty")
    if step < row_bytes:
        raise ImageError(f"step {step} is too small for {width} pixels of {encoding}; it must be at least {row_bytes}")
    view = memoryview(data)
    needed = (rows - 1) * step + row_bytes  # some drivers leave the last row's padding out
    if view.nbytes < needed:
        raise ImageError(
            f"{width} x {height} {encoding} with step {step} needs {needed} bytes of data, got {view.nbytes}"
        )
    dtype = kind.dtype.newbyteorder(">" if is_bigendian else "<")
    shape: tuple[int, ...] = (rows, width)
    strides: tuple[int, ...] = (step, kind.channels * item)
    if kind.channels > 1:
        shape, strides = (*shape, kind.channels), (*strides, item)
    array: Pixels = np.ndarray(shape, dtype, buffer=view, strides=strides)
    return array if dtype.isnative else array.astype(kind.dtype)


def convert(pixels: Pixels, source: str, target: str) -> Pixels:
    """Convert between encodings, by cv_bridge's rules; the very same array when nothing has to change.

    8 and 16 bit are scaled onto each other (255 is 65535). Encodings that are mere numbers convert only to as many
    channels, and never into a colour.
    """
    if target in (PASSTHROUGH, source):
        return pixels
    have, want = encoding_named(source), encoding_named(target)
    _check_shape(pixels, have)
    if not have.family and want.family:
        raise ImageError(f"{source} says nothing about colours, so it cannot become {target}; name the true encoding")
    if not have.family or not want.family:
        if have.channels != want.channels:
            raise ImageError(
                f"{source} has {have.channels} channels and {target} has {want.channels}; they cannot be converted"
            )
        return _rescaled(pixels, want.dtype)
    if have.family != want.family:
        pixels = _recolored(pixels, have, want)
    return _rescaled(pixels, want.dtype)


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """The picture at another size, without aliasing when it shrinks; the same array when it has the size already."""
    if pixels.shape[:2] == (height, width):
        return pixels
    cv2 = _cv2()
    shrinks = width < pixels.shape[1] and height < pixels.shape[0]
    scaled: Pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return scaled


def to_bytes(pixels: Pixels, encoding: str = PASSTHROUGH) -> tuple[np.ndarray, str, int, bool]:
    """(flat uint8 view, encoding name, step, is_bigendian) of an array, copied only if it is not contiguous.

    Checks that the array is what the encoding says; `passthrough` names it by type and channels, such as 8UC3.
    """
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ImageError(f"an array of shape {pixels.shape} is not an image; expected rows x columns (x channels)")
    name = _name_of(pixels) if encoding == PASSTHROUGH else encoding
    _check_shape(pixels, encoding_named(name))
    flat = np.ascontiguousarray(pixels)
    big = flat.dtype.byteorder == ">" or (flat.dtype.byteorder == "=" and sys.byteorder == "big")
    return flat.reshape(-1).view(np.uint8), name, flat.nbytes // flat.shape[0], big and flat.dtype.itemsize > 1


def decompress(data: Buffer, target: str = PASSTHROUGH) -> Pixels:
    """The picture in JPEG, PNG, ... data: bgr8, bgra8, mono8 or their 16-bit kin, converted to `target`."""
    content = np.frombuffer(data, np.uint8)
    pixels = _cv2().imdecode(content, _cv2().IMREAD_UNCHANGED) if content.size else None
    if pixels is None:
        raise ImageError(f"{content.size} bytes of compressed image cannot be decoded; the data is damaged or no image")
    return convert(pixels, opencv_encoding(pixels), target)


def compress(pixels: Pixels, encoding: str, quality: int = 95, suffix: str = ".jpg") -> Pixels:
    """Compress a picture of any colour encoding; `suffix` picks the format (.jpg, .png, ...)."""
    cv2 = _cv2()
    kind = encoding_named(encoding)
    has_alpha = kind.family in ("bgra", "rgba") and suffix in _TRANSPARENT
    family = "mono" if kind.family == "mono" else "bgra" if has_alpha else "bgr"
    bits = 16 if kind.dtype.itemsize == 2 and suffix in _DEEP else 8
    picture = convert(pixels, encoding, f"{family}{bits}")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix in _JPEG else []
    try:
        ok, data = cv2.imencode(suffix, picture, options)
    except cv2.error as error:
        raise ImageError(
            f"a {picture.dtype} image of shape {picture.shape} cannot be written as {suffix}: {error.err}"
        ) from None
    if not ok:
        raise ImageError(
            f"a {picture.dtype} image of shape {picture.shape} cannot be written as {suffix}; use .jpg or .png"
        )
    flat: Pixels = data.reshape(-1)
    return flat


def opencv_encoding(pixels: Pixels) -> str:
    """Encoding of an array as OpenCV decodes it: mono, bgr or bgra, 8 or 16 bit."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    names = {1: "mono", 3: "bgr", 4: "bgra"}
    if pixels.ndim not in (2, 3) or pixels.size == 0 or channels not in names or pixels.dtype not in _DEPTHS:
        raise ImageError(
            f"an array of shape {pixels.shape} and type {pixels.dtype} is not a picture; use 8 or 16 bit bgr"
        )
    return names[channels] + ("16" if pixels.dtype == np.uint16 else "8")


def _recolored(pixels: Pixels, have: Encoding, want: Encoding) -> Pixels:
    cv2 = _cv2()
    goal = "gray" if want.family == "mono" else want.family
    names = {"mono": "GRAY", "uyvy": "YUV_UYVY", "yuyv": "YUV_YUY2", "nv21": "YUV_NV21"}
    if want.family.startswith("bayer") or want.family in ("uyvy", "yuyv", "nv21"):
        raise ImageError(
            f"{have.name} cannot be converted to the sensor format {want.name}; ask for bgr8, rgb8 or mono8"
        )
    if have.family.startswith("bayer"):
        code = f"Bayer{_OPENCV_BAYER[have.family.removeprefix('bayer_')]}2{goal.upper()}"
    elif have.family in ("uyvy", "yuyv", "nv21"):
        code = f"YUV2{goal.upper()}_{names[have.family].partition('_')[2]}"
    else:
        code = f"{names.get(have.family, have.family.upper())}2{goal.upper()}"
    contiguous = np.ascontiguousarray(pixels)
    try:
        recolored: Pixels = cv2.cvtColor(contiguous, getattr(cv2, f"COLOR_{code}"))
    except cv2.error as error:
        raise ImageError(
            f"a {have.name} image of shape {pixels.shape} cannot become {want.name}: {error.err}"
        ) from None
    return recolored


def _rescaled(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    if pixels.dtype == dtype:
        return pixels
    if pixels.dtype == np.uint8 and dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(257)
    if pixels.dtype == np.uint16 and dtype == np.uint8:
        return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if dtype.kind == "f":
        return pixels.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(pixels), limits.min, limits.max).astype(dtype)


def _check_shape(pixels: Pixels, kind: Encoding) -> None:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels != kind.channels or pixels.dtype.newbyteorder("=") != kind.dtype:
        raise ImageError(
            f"encoding {kind.name} means {kind.channels} channels of {kind.dtype},"
            f" but the array has {channels} of {pixels.dtype}; name the encoding it really has"
        )


def _name_of(pixels: Pixels) -> str:
    kind = {"u": "U", "i": "S", "f": "F"}.get(pixels.dtype.kind)
    if kind is None:
        raise ImageError(f"an array of {pixels.dtype} is not an image; convert it to uint8 first")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return f"{pixels.dtype.itemsize * 8}{kind}C{channels}"


def _cv2() -> Any:
    """OpenCV, loaded only when pixels really have to change."""
    try:
        import cv2
    except ImportError:
        raise ImageError("converting images needs OpenCV; run `pip install opencv-python-headless`") from None
    return cv2
