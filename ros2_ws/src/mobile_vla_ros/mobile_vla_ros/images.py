"""Images between arrays and messages: `mobile_vla.camera.encodings` in the clothes of sensor_msgs.

`ImageBridge` has cv_bridge's four methods with cv_bridge's meaning, and is used on every distribution: one behaviour,
numpy 2 included, message data always filled by an array.array (0.03 ms a frame). It raises `ImageError`.
"""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from mobile_vla.camera import encodings
from mobile_vla.camera.calibration import Calibration
from mobile_vla.camera.encodings import PASSTHROUGH, ImageError, Pixels, opencv_encoding
from mobile_vla.errors import nearest

_FORMATS = ("bmp", "dib", "jpeg", "jpg", "jpe", "jp2", "png", "pbm", "pgm", "ppm", "sr", "ras", "tiff", "tif")


class ImageBridge:
    """cv_bridge's interface; stateless."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = PASSTHROUGH) -> Pixels:
        """The picture as a contiguous array in native byte order; it may share memory with the message."""
        pixels = encodings.to_array(
            img_msg.data, img_msg.height, img_msg.width, img_msg.step, img_msg.encoding, bool(img_msg.is_bigendian)
        )
        return np.ascontiguousarray(encodings.convert(pixels, img_msg.encoding, desired_encoding))

    def cv2_to_imgmsg(self, cvim: Pixels, encoding: str = PASSTHROUGH, header: Header | None = None) -> Image:
        """An array as a message of the encoding it has; nothing is converted."""
        flat, name, step, is_bigendian = encodings.to_bytes(cvim, encoding)
        message = Image() if header is None else Image(header=header)
        rows, message.width = cvim.shape[:2]
        message.height = rows * 2 // 3 if name == "nv21" else rows
        message.encoding = name
        message.step = step
        message.is_bigendian = int(is_bigendian)
        message.data = _octets(flat)
        return message

    def compressed_imgmsg_to_cv2(self, cmprs_img_msg: CompressedImage, desired_encoding: str = PASSTHROUGH) -> Pixels:
        """The decoded picture: bgr8 or mono8 unless asked for another encoding."""
        return encodings.decompress(cmprs_img_msg.data, desired_encoding)

    def cv2_to_compressed_imgmsg(self, cvim: Pixels, dst_format: str = "jpg") -> CompressedImage:
        """Compress a bgr, bgra or grey array."""
        if dst_format not in _FORMATS:
            raise ImageError(f"unknown image format '{dst_format}'; {nearest(dst_format, _FORMATS)}")
        data = encodings.compress(cvim, opencv_encoding(cvim), suffix=f".{dst_format}")
        return CompressedImage(format=dst_format, data=_octets(data))


def image_to_rgb(message: Image) -> Pixels:
    """What a policy looks at: uint8 rows x columns x (red, green, blue), whatever the camera's encoding."""
    return ImageBridge().imgmsg_to_cv2(message, "rgb8")


def image_message(pixels: Pixels, encoding: str, header: Header) -> Image:
    """An array as a message, with its header."""
    return ImageBridge().cv2_to_imgmsg(pixels, encoding, header)


def jpeg_message(pixels: Pixels, encoding: str, quality: int, header: Header) -> CompressedImage:
    """A JPEG as image_transport's compressed plugin publishes it, so that its subscribers and viewers read it."""
    data = encodings.compress(pixels, encoding, quality)
    return CompressedImage(header=header, format=f"{encoding}; jpeg compressed bgr8", data=_octets(data))


def camera_info(calibration: Calibration, header: Header) -> CameraInfo:
    """A calibration as a message; a guess has no distortion model, an unknown camera only zeros."""
    return CameraInfo(
        header=header,
        width=calibration.width_px,
        height=calibration.height_px,
        distortion_model=calibration.distortion_model,
        d=list(calibration.d),
        k=list(calibration.k),
        r=list(calibration.r),
        p=list(calibration.p),
    )


def _octets(flat: Pixels) -> array.array[int]:
    octets = array.array("B")
    octets.frombytes(flat.data)
    return octets
