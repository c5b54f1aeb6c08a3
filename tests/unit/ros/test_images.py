"""cv_bridge's four methods, with cv_bridge's meaning; compared with cv_bridge itself where it is installed."""

from __future__ import annotations

import array
import itertools

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from mobile_vla.camera.calibration import pinhole_guess
from mobile_vla.camera.encodings import ImageError
from mobile_vla_ros.images import ImageBridge, camera_info, image_message, image_to_rgb, jpeg_message

BRIDGE = ImageBridge()
HEADER = Header(frame_id="camera_optical_frame")
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (6, 8, 3), np.uint8)
SMOOTH = cv2.resize(RNG.integers(0, 256, (2, 2, 3), np.uint8), (32, 24))


def test_there_and_back():
    message = BRIDGE.cv2_to_imgmsg(PICTURE, "bgr8", HEADER)
    assert (message.height, message.width, message.step, message.encoding) == (6, 8, 24, "bgr8")
    assert (message.is_bigendian, message.header.frame_id) == (0, "camera_optical_frame")
    assert isinstance(message.data, array.array)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), PICTURE)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "rgb8"), PICTURE[..., ::-1])


def test_passthrough_names_the_type():
    assert BRIDGE.cv2_to_imgmsg(PICTURE).encoding == "8UC3"
    assert BRIDGE.cv2_to_imgmsg(PICTURE[..., 0].astype(np.float32)).encoding == "32FC1"


def test_padding_and_byte_order():
    message = Image(
        height=2, width=1, step=4, encoding="mono16", is_bigendian=1, data=array.array("B", b"\1\2xx\3\4xx")
    )
    pixels = BRIDGE.imgmsg_to_cv2(message)
    assert pixels.tolist() == [[0x0102], [0x0304]]
    assert pixels.flags.c_contiguous
    assert pixels.dtype.isnative


def test_nv21_keeps_the_pictures_height():
    flat = RNG.integers(0, 256, (6, 4), np.uint8)  # a 4 x 4 picture
    message = BRIDGE.cv2_to_imgmsg(flat, "nv21")
    assert (message.height, message.width, message.step) == (4, 4, 4)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), flat)
    assert BRIDGE.imgmsg_to_cv2(message, "bgr8").shape == (4, 4, 3)


def test_compressed_there_and_back():
    message = BRIDGE.cv2_to_compressed_imgmsg(PICTURE, "png")
    assert message.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message), PICTURE)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8"), PICTURE[..., ::-1])


def test_refusals():
    with pytest.raises(ImageError, match="unknown image format 'jepg'"):
        BRIDGE.cv2_to_compressed_imgmsg(PICTURE, "jepg")
    with pytest.raises(ImageError, match="is not a picture"):
        BRIDGE.cv2_to_compressed_imgmsg(PICTURE.astype(np.float32))
    with pytest.raises(ImageError, match="cannot be decoded"):
        BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="jpeg"))
    with pytest.raises(ImageError, match="unknown image encoding"):
        BRIDGE.imgmsg_to_cv2(Image(height=1, width=1, step=1, encoding="what", data=array.array("B", [0])))


def test_rgb_for_the_policy():
    rgb = image_to_rgb(image_message(PICTURE, "bgr8", HEADER))
    np.testing.assert_array_equal(rgb, PICTURE[..., ::-1])
    assert rgb.flags.c_contiguous


def test_jpeg_as_image_transport_writes_it():
    message = jpeg_message(SMOOTH[..., ::-1], "rgb8", 95, HEADER)
    assert message.format == "rgb8; jpeg compressed bgr8"
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(message).astype(int), SMOOTH, atol=30)


def test_camera_info():
    guess = pinhole_guess(640, 480, 90.0)
    message = camera_info(guess, HEADER)
    assert (message.width, message.height, message.distortion_model) == (640, 480, "")
    assert tuple(message.k) == guess.k
    assert tuple(message.p) == guess.p
    assert tuple(message.r) == guess.r
    assert list(message.d) == []


def test_same_as_cv_bridge():
    cv_bridge = pytest.importorskip("cv_bridge", reason="cv_bridge comes with a ROS distribution only")
    channels = {"bgr8": 3, "rgb8": 3, "mono8": 1, "bgra8": 4, "rgba8": 4, "mono16": 1}
    theirs = cv_bridge.CvBridge()
    for encoding, desired in itertools.product(channels, ["passthrough", *channels]):
        dtype = np.uint16 if encoding.endswith("16") else np.uint8
        shape = (6, 8) if channels[encoding] == 1 else (6, 8, channels[encoding])
        pixels = RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        message = theirs.cv2_to_imgmsg(pixels, encoding)
        assert BRIDGE.cv2_to_imgmsg(pixels, encoding) == message
        np.testing.assert_allclose(
            BRIDGE.imgmsg_to_cv2(message, desired).astype(int),
            theirs.imgmsg_to_cv2(message, desired).astype(int),
            atol=1,
        )
