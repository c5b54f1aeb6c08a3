"""Which topics the recorder takes, and how it asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.types import Qos
from mobile_vla_ros import topics
from mobile_vla_ros.topics import TOPICS, Topic

QUEUE_DEPTH = 50
_IMAGES = {
    "raw": (topics.CAMERA_IMAGE.name,),
    "jpeg": (topics.CAMERA_JPEG.name,),
    "both": (topics.CAMERA_IMAGE.name, topics.CAMERA_JPEG.name),
}
_COMMANDS = tuple(
    topic.name
    for topic in (
        topics.INSTRUCTION,
        topics.ACTION,
        topics.CMD_VEL,
        topics.TELEOP_JOY,
        topics.TELEOP_KEYBOARD,
        topics.TELEOP_WEB,
        topics.ODOM,
        topics.ESTOP,
        topics.CONTROLLER_STATE,
        topics.DIAGNOSTICS,
    )
)
_SEVERAL_TYPES = {topics.CMD_VEL.name}


def wanted_topics(config: RecorderConfig) -> dict[str, str]:
    """Topic name -> type; an empty type is asked from the graph once somebody publishes."""
    known = {topic.name: type_name(topic) for topic in TOPICS if topic.name not in _SEVERAL_TYPES}
    if config.topics:
        return {name: known.get(name.strip("/"), "") for name in config.topics}
    return {topic.name: known.get(topic.name, "") for topic in TOPICS if _in_profile(topic.name, config)}


def type_name(topic: Topic) -> str:
    """`sensor_msgs/msg/Image`."""
    return f"{topic.type.__module__.partition('.')[0]}/msg/{topic.type.__name__}"


def described(contract: QoSProfile | None, publishers: Sequence[QoSProfile]) -> Qos:
    """What is offered, for the bag: by the publishers that are there, else by the contract."""
    profile = publishers[0] if publishers else contract
    if profile is None:
        return Qos()
    return Qos(
        "best_effort" if profile.reliability == ReliabilityPolicy.BEST_EFFORT else "reliable",
        "transient_local" if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL else "volatile",
        "keep_all" if profile.history == HistoryPolicy.KEEP_ALL else "keep_last",
        max(1, profile.depth),
    )


def reading(offered: Qos, kind: str) -> QoSProfile:
    """What the recorder asks for: as reliable as offered, but images best effort."""
    reliable = offered.reliability == "reliable" and kind != "sensor_msgs/msg/Image"
    latched = offered.durability == "transient_local"
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=QUEUE_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _in_profile(name: str, config: RecorderConfig) -> bool:
    if name in _IMAGES["both"]:
        return config.profile != "commands" and name in _IMAGES[config.images]
    if config.profile == "all":
        return True
    return name in _COMMANDS or (config.profile == "driving" and name == topics.CAMERA_INFO.name)
