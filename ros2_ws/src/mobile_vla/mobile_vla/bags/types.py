"""What a bag holds, as plain tuples. Times are int nanoseconds; `log_ns` is the recorder's clock."""

from __future__ import annotations

from typing import NamedTuple

CDR = "cdr"
"""The one serialization format that ROS 2 uses; anything else is not read."""


class Qos(NamedTuple):
    """The delivery that a topic's publishers offered, in words that rosbag2 knows."""

    reliability: str = "reliable"
    durability: str = "volatile"
    history: str = "keep_last"
    depth: int = 1


class RawMessage(NamedTuple):
    """One message as it travelled: CDR bytes (ROS 1 bags: ROS 1 bytes)."""

    topic: str
    type: str
    log_ns: int
    data: bytes


class TopicInfo(NamedTuple):
    """One topic of a bag."""

    name: str
    type: str
    messages: int
    qos: Qos | None
    error: str = ""
    """Why its messages cannot be decoded; empty for nearly every topic."""


class BagFrame(NamedTuple):
    """A camera image, not decoded yet: `mobile_vla.bags.images.rgb(frame)` does that."""

    stamp_ns: int
    log_ns: int
    topic: str
    encoding: str
    """As sensor_msgs/Image says; `jpeg`, `png`, ... for a CompressedImage."""
    height: int
    width: int
    """0 x 0 for a CompressedImage: only its decoder knows."""
    step: int
    big_endian: bool
    data: bytes | memoryview


class BagCommand(NamedTuple):
    """A Twist or TwistStamped; `stamp_ns` is the log time where the message has no stamp."""

    stamp_ns: int
    log_ns: int
    topic: str
    linear_mps: float
    lateral_mps: float
    angular_radps: float


class BagAction(NamedTuple):
    """A policy's normalised action; `stamp_ns` is that of the frame it was computed from."""

    stamp_ns: int
    log_ns: int
    topic: str
    linear: float
    lateral: float
    angular: float
    space: str


class BagInstruction(NamedTuple):
    """What the policy was told."""

    stamp_ns: int
    log_ns: int
    topic: str
    text: str


class BagOdometry(NamedTuple):
    """Where the base believes it is, and how fast it moves."""

    stamp_ns: int
    log_ns: int
    topic: str
    x_m: float
    y_m: float
    yaw_rad: float
    linear_mps: float
    lateral_mps: float
    angular_radps: float


class BagMode(NamedTuple):
    """The controller's state: who drives, and what limits it."""

    stamp_ns: int
    log_ns: int
    topic: str
    level: int
    message: str
    values: dict[str, str]


class BagDiagnostic(NamedTuple):
    """One status of a DiagnosticArray."""

    stamp_ns: int
    log_ns: int
    topic: str
    name: str
    level: int
    message: str
    values: dict[str, str]


class BagScan(NamedTuple):
    """A LaserScan; angles as in the message, from the scanner's zero direction."""

    stamp_ns: int
    log_ns: int
    topic: str
    ranges_m: list[float]
    angle_min_rad: float
    angle_increment_rad: float
    range_min_m: float
    range_max_m: float


class BagRange(NamedTuple):
    """A sensor_msgs/Range: one distance straight ahead."""

    stamp_ns: int
    log_ns: int
    topic: str
    distance_m: float
    min_m: float
    max_m: float


SensorReading = BagScan | BagRange | BagOdometry
"""What the robot's other sensors said."""
Event = BagFrame | BagCommand | BagAction | BagInstruction | BagMode | BagDiagnostic | SensorReading
