"""A frame as each tower wants it: equal to the Hugging Face image processors, faster.

The two towers differ in geometry, not only in normalisation: Kosmos-2's processor squashes to a square, CLIP's scales
the short edge and cuts the centre. Pillow resizes with antialiasing as the processors do; normalisation is a table of
256 values per channel, so it is exact and costs one lookup per value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobile_vla.checkpoint.card import ImageSpec
from mobile_vla.policy.interface import StepError

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}


class Preprocess:
    """One tower's image processor. Reuses nothing between calls; safe to call from any thread."""

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec
        self._filter = _FILTERS[spec.interpolation]
        grey = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
        mean, std = (np.asarray(values, dtype=np.float32) for values in (spec.mean, spec.std))
        self._tables = [(grey - mean[channel]) / std[channel] for channel in range(3)]

    def __call__(self, frame_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A uint8 HxWx3 RGB frame to float32 (3, side, side), channels in the card's order."""
        pixels = self.geometry(frame_rgb)
        side = self._spec.size_px
        planes = np.empty((3, side, side), dtype=np.float32)
        for channel, table in enumerate(self._tables):
            source = 2 - channel if self._spec.channel_order == "bgr" else channel
            np.take(table, pixels[..., source], out=planes[channel])
        return planes

    def geometry(self, frame_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The frame as uint8 (side, side, 3) RGB: resized, cut, not normalised."""
        if frame_rgb.dtype != np.uint8 or frame_rgb.ndim != 3 or frame_rgb.shape[2] != 3 or 0 in frame_rgb.shape:
            raise StepError(f"a frame must be uint8 height x width x 3, got {frame_rgb.dtype} {frame_rgb.shape}")
        side = self._spec.size_px
        image = Image.fromarray(np.ascontiguousarray(frame_rgb))
        if self._spec.resize == "squash":
            return np.asarray(image.resize((side, side), self._filter))
        short, long = sorted(image.size)
        scaled_long = int(side * long / short)
        size = (side, scaled_long) if image.width <= image.height else (scaled_long, side)
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        return np.asarray(image.resize(size, self._filter).crop((left, top, left + side, top + side)))
