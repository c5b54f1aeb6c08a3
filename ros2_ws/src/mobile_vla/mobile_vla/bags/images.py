"""Frames of a bag as RGB pixels."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mobile_vla.bags.types import Frame
from mobile_vla.camera.encodings import convert, decompress, to_array


def rgb(frame: Frame) -> NDArray[Any]:
    """The picture as uint8 height x width x 3; `ImageError` (a `UserError`) for damaged data or an unknown encoding."""
    if frame.height == 0:
        return decompress(frame.data, "rgb8")
    pixels = to_array(frame.data, frame.height, frame.width, frame.step, frame.encoding, frame.big_endian)
    return convert(pixels, frame.encoding, "rgb8")
