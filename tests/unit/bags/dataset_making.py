"""Drives with an instruction that changes half way, to build data sets from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bag_making import COMMAND_DELAY_NS, FRAME_NS, START_NS, Messages

from mobile_vla.bags.dataset.build import BuildOptions
from mobile_vla.bags.writer import BagWriter

SMALL = BuildOptions(least_frames=5, tolerance_ms=60)


def picture(seed: int, index: int) -> np.ndarray:
    """Smooth and different for every frame of every bag, so that JPEG keeps it and fingerprints differ."""
    y, x = np.mgrid[0:48, 0:64]
    phase = index / 7 + seed * 2.1
    planes = [np.sin(x / (5 + seed) + phase), np.cos(y / 6 - phase), np.sin((x + y) / 9 + phase)]
    return ((np.stack(planes, -1) + 1) * 120).astype(np.uint8)


def drive(
    folder: Path, messages: Messages, seed: int = 0, *, frames: int = 60, turn: float = 0.3, still: bool = False
) -> Path:
    """10 Hz; "red" for the first half, "blue" for the second."""
    with BagWriter(folder) as bag:
        bag.add_topic("/camera/image_raw", "sensor_msgs/msg/Image")
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        bag.add_topic("/instruction", "std_msgs/msg/String")
        for index in range(frames):
            stamp = START_NS + index * FRAME_NS
            if index in (0, frames // 2):
                bag.write("/instruction", stamp, messages.text("red" if index == 0 else "blue"))
            bag.write("/camera/image_raw", stamp, messages.image(stamp, picture(seed, 0 if still else index), "rgb8"))
            sign = -1 if (index // 5) % 2 else 1
            bag.write("/cmd_vel", stamp + COMMAND_DELAY_NS, messages.command(0.2, sign * turn))
    return folder
