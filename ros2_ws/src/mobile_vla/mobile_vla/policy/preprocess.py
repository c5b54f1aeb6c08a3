"""A frame as each tower wants it: equal to the Hugging Face image processors over Pillow, faster.

Those are the reference. The processors over torchvision, which transformers 5 takes by default, round a resize
differently, by one grey level at most (two where a picture smaller than the tower's is enlarged).

The two towers may differ in geometry, not only in normalisation: Kosmos-2's processor squashes to a square, CLIP's
scales the short edge and cuts the centre. Pillow resizes with antialiasing as the processors do; normalisation is a
table of 256 values per channel, so it is exact and costs one lookup per value. Nothing is computed twice: towers with
one geometry share the resized picture, and Pillow's copy of a frame is written over by the next one.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

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
_own = threading.local()


class Prepared(NamedTuple):
    """One frame for both towers, float32 (3, side, side) each; the same array where the cards ask for the same."""

    kosmos: NDArray[np.float32]
    clip: NDArray[np.float32]


class Preparation:
    """The image processors of both towers. Safe to call from any thread; equal where the cards' settings are."""

    def __init__(self, kosmos: ImageSpec, clip: ImageSpec) -> None:
        self._specs = (kosmos, clip)
        self._kosmos, self._clip = Preprocess(kosmos), Preprocess(clip)
        self._same = kosmos == clip
        self._same_geometry = _geometry(kosmos) == _geometry(clip)

    def __call__(self, frame_rgb: NDArray[np.uint8]) -> Prepared:
        """A uint8 HxWx3 RGB frame to the inputs of both towers."""
        image = _as_image(frame_rgb)
        pixels = self._kosmos.resized(image)
        kosmos = self._kosmos.normalised(pixels)
        if self._same:
            return Prepared(kosmos, kosmos)
        return Prepared(kosmos, self._clip.normalised(pixels if self._same_geometry else self._clip.resized(image)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preparation) and self._specs == other._specs

    def __hash__(self) -> int:
        return hash(self._specs)


class Preprocess:
    """One tower's image processor. Safe to call from any thread."""

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec
        self._filter = _FILTERS[spec.interpolation]
        grey = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
        mean, std = (np.asarray(values, dtype=np.float32) for values in (spec.mean, spec.std))
        self._tables = [(grey - mean[channel]) / std[channel] for channel in range(3)]

    def __call__(self, frame_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A uint8 HxWx3 RGB frame to float32 (3, side, side), channels in the card's order."""
        return self.normalised(self.geometry(frame_rgb))

    def geometry(self, frame_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The frame as uint8 (side, side, 3) RGB: resized, cut, not normalised."""
        return self.resized(_as_image(frame_rgb))

    def resized(self, image: Image.Image) -> NDArray[np.uint8]:
        """A picture as uint8 (side, side, 3) RGB: resized, cut, not normalised."""
        side = self._spec.size_px
        if self._spec.resize == "squash":
            return np.asarray(image.resize((side, side), self._filter))
        short, long = sorted(image.size)
        scaled_long = int(side * long / short)
        size = (side, scaled_long) if image.width <= image.height else (scaled_long, side)
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        return np.asarray(image.resize(size, self._filter).crop((left, top, left + side, top + side)))

    def normalised(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (side, side, 3) RGB to float32 (3, side, side), channels in the card's order."""
        planes = np.empty((3, *pixels.shape[:2]), dtype=np.float32)
        for channel, table in enumerate(self._tables):
            source = 2 - channel if self._spec.channel_order == "bgr" else channel
            np.take(table, pixels[..., source], out=planes[channel])
        return planes


def _geometry(spec: ImageSpec) -> tuple[int, str, str]:
    return spec.size_px, spec.resize, spec.interpolation


def _as_image(frame_rgb: NDArray[np.uint8]) -> Image.Image:
    """Pillow's copy of a frame, valid until this thread's next one: memory that is new each time costs more to touch
    than the pixels to copy.
    """
    if frame_rgb.dtype != np.uint8 or frame_rgb.ndim != 3 or frame_rgb.shape[2] != 3 or 0 in frame_rgb.shape:
        raise StepError(f"a frame must be uint8 height x width x 3, got {frame_rgb.dtype} {frame_rgb.shape}")
    size = (frame_rgb.shape[1], frame_rgb.shape[0])
    image: Image.Image | None = getattr(_own, "image", None)
    if image is None or image.size != size:
        image = _own.image = Image.new("RGB", size)
    image.frombytes(np.ascontiguousarray(frame_rgb).data)
    return image
