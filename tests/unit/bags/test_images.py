"""Pixels of recorded frames: the same as on the robot."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mobile_vla.bags.images import rgb
from mobile_vla.bags.types import BagFrame
from mobile_vla.camera.encodings import ImageError, decompress


def compressed(data: bytes, encoding: str = "jpeg") -> BagFrame:
    return BagFrame(0, 0, "/camera", encoding, 0, 0, 0, False, memoryview(data))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("quality", [30, 85, 100])
@pytest.mark.parametrize("size", [(48, 64), (47, 61)])
def test_a_jpeg_is_the_very_picture_that_a_camera_node_decodes(grey: bool, quality: int, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(quality).integers(0, 256, (*size, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (9, 9), 3)
    picture = smooth[:, :, 0] if grey else smooth
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    np.testing.assert_array_equal(rgb(compressed(data)), decompress(data, "rgb8"))


def test_a_png_that_says_it_is_a_jpeg() -> None:
    deep = np.arange(48 * 64 * 3, dtype=np.uint16).reshape(48, 64, 3) * 7
    data = cv2.imencode(".png", deep)[1].tobytes()
    np.testing.assert_array_equal(rgb(compressed(data)), decompress(data, "rgb8"))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0 but no picture", b"nothing"])
def test_damaged_data_is_one_sentence(data: bytes) -> None:
    with pytest.raises(ImageError, match="cannot be decoded"):
        rgb(compressed(data))
