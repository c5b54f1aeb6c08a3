"""Stand-ins that send too much."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.serialization import serialize_message

from mobile_vla_bench.faults.role import Role, Velocities
from mobile_vla_ros import topics

STATUSES, VALUES = 200, 5
FLOODED = (
    topics.ACTION,
    topics.TELEOP_JOY,
    topics.TELEOP_KEYBOARD,
    topics.SCAN,
    topics.RANGE,
    topics.ODOM,
    topics.ESTOP,
    topics.INSTRUCTION,
    topics.DIAGNOSTICS,
)


class DiagnosticsFlood(Role):
    """A machine with many parts that says everything about them, all the time."""

    name = "diagnostics_flood"
    first_behaviour = "silent"
    topic = topics.DIAGNOSTICS
    period_s = 1 / 150

    def __init__(self) -> None:
        super().__init__()
        values = [KeyValue(key=f"key {number}", value="some value") for number in range(VALUES)]
        statuses = [DiagnosticStatus(name=f"/part{number}", values=values) for number in range(STATUSES)]
        self._bytes = serialize_message(DiagnosticArray(status=statuses))

    def message(self, behaviour: str, now_ns: int) -> Any:
        return self._bytes


class Flood(Velocities):
    """Garbage from nowhere: on the web topic, so that the policy's own messages still arrive."""

    name = "flood"
    topic = topics.TELEOP_WEB

    def begin(self, node: Node) -> None:
        others = (topics.TELEOP_JOY, topics.TELEOP_KEYBOARD, topics.SCAN, topics.ODOM, topics.ESTOP, topics.DIAGNOSTICS)
        self._others = [(topic.publisher(node), topic.type()) for topic in others]
        self._next = 0

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour != "flood":
            return None
        publisher, message = self._others[self._next % len(self._others)]
        self._next += 1
        publisher.publish(message)
        return super().message("nan", now_ns)


class EverythingFlood(Velocities):
    """Garbage on every input of the controller at once, the policy's included; otherwise it offers none of them."""

    name = "everything"
    first_behaviour = "silent"
    topic = topics.TELEOP_WEB

    def begin(self, node: Node) -> None:
        self._node = node
        self._all: list[tuple[Any, bytes]] = []

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour != "flood":
            while self._all:
                self._node.destroy_publisher(self._all.pop()[0])
            return None
        if not self._all:
            self._all = [(topic.publisher(self._node), serialize_message(topic.type())) for topic in FLOODED]
        for publisher, data in self._all:
            publisher.publish(data)
        return super().message("nan", now_ns)


class ActionFlood(Velocities):
    """Garbage on the action topic itself: whatever the policy says is displaced."""

    name = "action_flood"
    first_behaviour = "withdrawn"
    topic = topics.ACTION
    frame_id = "diff"

    def message(self, behaviour: str, now_ns: int) -> Any:
        return super().message("nan", now_ns) if behaviour == "flood" else None
