"""The few messages that matter for speed, read from their CDR bytes without copying pixels."""

from __future__ import annotations

import struct

from mobile_vla.bags.types import BagCommand, BagFrame

_START = 4
"""CDR aligns from behind the four bytes that say how it is encoded."""


class CdrError(ValueError):
    """Bytes that are not the message they should be."""


class Cursor:
    """Walks over one CDR message."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _START or data[0] != 0 or data[1] > 1:
            raise CdrError(f"not a plain CDR message: starts with {data[:4].hex() or 'nothing'}")
        self._data = data
        self._order = "<" if data[1] == 1 else ">"
        self._at = _START

    def take(self, layout: str, size: int, align: int = 4) -> tuple[float, ...]:
        """Unpack `layout` (struct letters), after aligning to `align` bytes."""
        self._at += -(self._at - _START) % align
        try:
            values = struct.unpack_from(self._order + layout, self._data, self._at)
        except struct.error as error:
            raise CdrError(f"message ends early: {error}") from None
        self._at += size
        return values

    def integer(self) -> int:
        return int(self.take("I", 4)[0])

    def text(self) -> str:
        return bytes(self.blob()).rstrip(b"\0").decode("utf-8", "replace")

    def blob(self) -> memoryview:
        """A sequence of bytes, as a view into the message."""
        length = self.integer()
        begin = self._at
        self._at += length
        if self._at > len(self._data):
            raise CdrError(f"message ends early: {length} bytes announced, {len(self._data) - begin} there")
        return memoryview(self._data)[begin : self._at]

    def header(self) -> tuple[int, str]:
        """std_msgs/Header: stamp in nanoseconds, frame_id."""
        seconds, nanoseconds = self.take("iI", 8)
        return int(seconds) * 1_000_000_000 + int(nanoseconds), self.text()


def image(topic: str, log_ns: int, data: bytes) -> BagFrame:
    """sensor_msgs/Image."""
    cursor = Cursor(data)
    stamp_ns, _ = cursor.header()
    height, width = cursor.integer(), cursor.integer()
    encoding = cursor.text()
    (big_endian,) = cursor.take("B", 1, align=1)
    step = cursor.integer()
    return BagFrame(stamp_ns, log_ns, topic, encoding, height, width, step, bool(big_endian), cursor.blob())


def compressed_image(topic: str, log_ns: int, data: bytes) -> BagFrame:
    """sensor_msgs/CompressedImage; `rgb8; jpeg compressed bgr8` and `jpeg` both become `jpeg`."""
    cursor = Cursor(data)
    stamp_ns, _ = cursor.header()
    return BagFrame(stamp_ns, log_ns, topic, compression_of(cursor.text()), 0, 0, 0, False, cursor.blob())


def compression_of(format_text: str) -> str:
    """The codec in a CompressedImage's format field."""
    words = format_text.lower().replace(";", " ").replace("jpg", "jpeg").split()
    return next((word for word in words if word in ("jpeg", "png", "webp", "tiff", "h264", "h265")), format_text)


def twist(topic: str, log_ns: int, data: bytes) -> BagCommand:
    """geometry_msgs/Twist: it has no stamp, so the log time stands for it."""
    return _command(Cursor(data), log_ns, log_ns, topic)


def twist_stamped(topic: str, log_ns: int, data: bytes) -> tuple[BagCommand, str]:
    """geometry_msgs/TwistStamped and its frame_id."""
    cursor = Cursor(data)
    stamp_ns, frame_id = cursor.header()
    return _command(cursor, stamp_ns, log_ns, topic), frame_id


def _command(cursor: Cursor, stamp_ns: int, log_ns: int, topic: str) -> BagCommand:
    values = cursor.take("6d", 48, align=8)
    return BagCommand(stamp_ns, log_ns, topic, values[0], values[1], values[5])
