"""Which topics the recorder takes, and how it asks for them."""

from __future__ import annotations

from collections import deque
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
    """What is offered, for the bag: by the publishers that are there, else by the contract.

    Transient local where the contract or any publisher is: the message holds for whoever comes later. Best effort where
    any publisher is: a reliable request would not match that one.
    """
    offered = [*publishers] or [contract]
    profile = offered[0]
    if profile is None:
        return Qos()
    latched = any(
        one is not None and one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in (contract, *publishers)
    )
    best_effort = any(one is not None and one.reliability == ReliabilityPolicy.BEST_EFFORT for one in offered)
    return Qos(
        "best_effort" if best_effort else "reliable",
        "transient_local" if latched else "volatile",
        "keep_all" if profile.history == HistoryPolicy.KEEP_ALL else "keep_last",
        max(1, profile.depth),
    )


def requests(offered: Qos, kind: str) -> tuple[QoSProfile, ...]:
    """What the recorder asks for: as reliable as offered, but images best effort.

    A volatile request hears every publisher from now on. Where the topic is transient local, a second one hears what
    was published before; whatever such a publisher sends from now on is heard through both (`HeardOnce`).
    """
    image = kind == "sensor_msgs/msg/Image"
    reliable = offered.reliability == "reliable" and not image
    asked = [_request(reliable, DurabilityPolicy.VOLATILE)]
    if (
        offered.durability == "transient_local" and not image
    ):  # what was published before comes by reliable delivery only
        asked.append(_request(True, DurabilityPolicy.TRANSIENT_LOCAL))
    return tuple(asked)


class HeardOnce:
    """Of the messages that two readers of one topic hear, each once.

    A message is known by when its writer sent it and by its bytes. Those that only one of the readers has heard so far
    are remembered, the newest of two full queues.
    """

    def __init__(self) -> None:
        self._unmatched = tuple(deque[tuple[int, int]](maxlen=2 * QUEUE_DEPTH) for _ in range(2))

    def is_new(self, reader: int, sent_ns: int, data: bytes) -> bool:
        """Whether the other reader (0 or 1) has not delivered this message already."""
        key = (sent_ns, hash(data))
        other = self._unmatched[1 - reader]
        if key in other:
            other.remove(key)
            return False
        self._unmatched[reader].append(key)
        return True


def _request(reliable: bool, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=QUEUE_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=durability,
    )


def _in_profile(name: str, config: RecorderConfig) -> bool:
    if name in _IMAGES["both"]:
        return config.profile != "commands" and name in _IMAGES[config.images]
    if config.profile == "all":
        return True
    return name in _COMMANDS or (config.profile == "driving" and name == topics.CAMERA_INFO.name)
