"""Bags made on the spot, from messages serialised by `rosbags` (not by the code under test)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import BagWriter

START_NS = 1_700_000_000_000_000_000
FRAME_NS = 100_000_000
COMMAND_DELAY_NS = 20_000_000


class Messages:
    """Serialised messages of the contract's types."""

    def __init__(self) -> None:
        self.store = standard_types()
        self.types = self.store.types

    def cdr(self, kind: str, **fields: object) -> bytes:
        return bytes(self.store.serialize_cdr(self.types[kind](**fields), kind))

    def header(self, stamp_ns: int, frame_id: str = "camera") -> object:
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)

    def image(self, stamp_ns: int, pixels: np.ndarray, encoding: str = "bgr8") -> bytes:
        height, width = pixels.shape[:2]
        return self.cdr(
            "sensor_msgs/msg/Image",
            header=self.header(stamp_ns),
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=0,
            step=pixels.nbytes // height,
            data=pixels.reshape(-1).view(np.uint8),
        )

    def twist(self, linear: float, angular: float, lateral: float = 0.0) -> object:
        vector = self.types["geometry_msgs/msg/Vector3"]
        return self.types["geometry_msgs/msg/Twist"](
            linear=vector(x=linear, y=lateral, z=0.0), angular=vector(x=0.0, y=0.0, z=angular)
        )

    def command(self, linear: float, angular: float) -> bytes:
        return bytes(self.store.serialize_cdr(self.twist(linear, angular), "geometry_msgs/msg/Twist"))

    def stamped(self, stamp_ns: int, linear: float, angular: float, frame_id: str = "diff") -> bytes:
        header = self.header(stamp_ns, frame_id)
        return self.cdr("geometry_msgs/msg/TwistStamped", header=header, twist=self.twist(linear, angular))

    def text(self, text: str) -> bytes:
        return self.cdr("std_msgs/msg/String", data=text)

    def state(self, message: str, **values: str) -> bytes:
        pair = self.types["diagnostic_msgs/msg/KeyValue"]
        pairs = [pair(key=key, value=value) for key, value in values.items()]
        fields = {"level": 0, "name": "controller", "message": message, "hardware_id": "", "values": pairs}
        return self.cdr("diagnostic_msgs/msg/DiagnosticStatus", **fields)


def write_drive(folder: Path, messages: Messages, frames: int = 20, **options: object) -> Path:
    """A small drive at 10 Hz: frame i is all of grey level i, its command comes 20 ms later with linear i/100."""
    with BagWriter(folder, **options) as bag:  # type: ignore[arg-type]
        bag.add_topic("/camera/image_raw", "sensor_msgs/msg/Image")
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist", Qos(depth=3))
        bag.add_topic("/instruction", "std_msgs/msg/String", Qos(durability="transient_local"))
        bag.write("/instruction", START_NS, messages.text("go to the red cone"))
        for index in range(frames):
            stamp_ns = START_NS + index * FRAME_NS
            pixels = np.full((24, 32, 3), index % 256, np.uint8)
            bag.write("/camera/image_raw", stamp_ns, messages.image(stamp_ns, pixels))
            bag.write("/cmd_vel", stamp_ns + COMMAND_DELAY_NS, messages.command(index / 100, -index / 100))
    return folder
