"""What is wrong with a camera image: brightness, blur, noise. Deterministic for a generator."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mobile_vla_sim.config import CameraConfig
from mobile_vla_sim.rendering import Image


def degrade(image: Image, config: CameraConfig, rng: np.random.Generator) -> Image:
    """`image` as a worse camera would give it; contiguous, and a copy only where something changes."""
    worse: Any = np.ascontiguousarray(image)
    if config.brightness != 1.0:
        worse = cv2.convertScaleAbs(worse, alpha=config.brightness)
    if config.blur_px > 0.0:
        worse = cv2.GaussianBlur(worse, (0, 0), config.blur_px)
    if config.noise_std > 0.0:
        noise = rng.standard_normal(worse.shape, np.float32) * config.noise_std
        worse = np.clip(worse + noise, 0.0, 255.0).astype(np.uint8)
    return np.asarray(worse, np.uint8)
