"""Image degradation: brightness, blur, noise. Deterministic for a given generator."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mobile_vla_sim.config import SimCameraConfig
from mobile_vla_sim.rendering import Image

# Noise is cut at a random place from a larger sheet: drawing a million normal numbers per image would cost more than
# the image.
_SPARE_PX = 64


class ImageDegradation:
    """Turns a perfect picture into what a worse camera would give. One per episode."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._sheet: Any = None
        self._sheet_of: tuple[float, int, int] = (0.0, 0, 0)

    def expose(self, image: Image, config: SimCameraConfig) -> Image:
        """Contiguous, and a copy only where something changes."""
        worse: Any = np.ascontiguousarray(image)
        if config.brightness != 1.0:
            worse = cv2.convertScaleAbs(worse, alpha=config.brightness)
        if config.blur_px > 0.0:
            worse = cv2.GaussianBlur(worse, (0, 0), config.blur_px)
        if config.noise_std > 0.0:
            worse = cv2.add(worse, self._noise(config.noise_std, *worse.shape[:2]), dtype=cv2.CV_8U)
        return np.asarray(worse, np.uint8)

    def _noise(self, std: float, height: int, width: int) -> Any:
        if self._sheet_of != (std, height, width):
            sheet = self._rng.standard_normal((height + _SPARE_PX, width + _SPARE_PX, 3), np.float32) * std
            self._sheet = np.rint(sheet).astype(np.int16)
            self._sheet_of = (std, height, width)
        top, left = (int(value) for value in self._rng.integers(_SPARE_PX, size=2))
        return self._sheet[top : top + height, left : left + width]
