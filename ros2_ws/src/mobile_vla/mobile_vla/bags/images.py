"""Frames of a bag as RGB pixels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mobile_vla.bags.types import BagFrame
from mobile_vla.camera.encodings import convert, decompress, to_array

_JPEG = b"\xff\xd8\xff"
_RGB_FLAGS: int | None = (
    cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION if hasattr(cv2, "IMREAD_COLOR_RGB") else None
)
"""Decodes straight to RGB, where OpenCV is new enough: the same pixels as by way of BGR, without a second pass."""


def rgb(frame: BagFrame) -> NDArray[Any]:
    """The picture as uint8 height x width x 3; `ImageError` (a `UserError`) for damaged data or an unknown encoding."""
    if frame.height == 0:
        if _RGB_FLAGS is not None and frame.data[:3] == _JPEG:
            pixels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(frame.data, np.uint8), _RGB_FLAGS)
            if pixels is not None:
                return pixels
        return decompress(frame.data, "rgb8")
    pixels = to_array(frame.data, frame.height, frame.width, frame.step, frame.encoding, frame.big_endian)
    return convert(pixels, frame.encoding, "rgb8")
