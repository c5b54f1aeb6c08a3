"""What a stand-in is: a topic, a rate, and messages that are healthy or broken in a named way."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.serialization import serialize_message

from mobile_vla.control import RELEASED
from mobile_vla_ros.topics import Topic

NS = 1_000_000_000
GARBAGE = {"nan": math.nan, "inf": math.inf, "huge": 1e300}
FUTURE_NS = 5 * NS
LATE_NS = 3 * NS // 2
CUT_OFF_BYTES = 20


def stamp(ns: int) -> Time:
    """A stamp that may also be from before the beginning of time."""
    return Time(sec=ns // NS, nanosec=ns % NS)


class Role(ABC):
    """A source: its topic, its rate, the values it sends."""

    name = ""
    topic: Topic
    wrong_type: type = Twist
    period_s = 0.1
    first_behaviour = "ok"
    serves = False

    def __init__(self) -> None:
        self.value: tuple[float, ...] = (0.0, 0.0)
        self._last_ns = 0

    def begin(self, node: Node) -> None:  # noqa: B027  (a hook)
        """Whatever the role needs beside its publisher; the node is on no executor."""

    def serve(self, node: Node) -> None:  # noqa: B027  (a hook)
        """Services and timers of a role that `serves`."""

    @abstractmethod
    def message(self, behaviour: str, now_ns: int) -> Any:
        """The next message, or a list of those to send at once; None for none."""

    def stamp_ns(self, behaviour: str, now_ns: int) -> int:
        """The stamp a healthy or a broken sender would give."""
        if behaviour == "zero_stamp":
            return 0
        if behaviour == "negative_stamp":
            return -1
        if behaviour == "future_stamp":
            return now_ns + FUTURE_NS
        if behaviour == "delayed":
            return now_ns - LATE_NS
        self._last_ns = self._last_ns - NS // 10 if behaviour == "out_of_order" else now_ns
        return self._last_ns

    def garbage(self, behaviour: str, healthy: float) -> float:
        """A number, or what the behaviour makes of it."""
        return GARBAGE.get(behaviour, healthy)


class Velocities(Role):
    """A TwistStamped source: a policy's actions or a person's commands. `release`: one word, then silence."""

    frame_id = ""

    def __init__(self) -> None:
        super().__init__()
        self._released = False

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour == "wrong_type":
            return Twist()
        if behaviour == "release":
            return self._release(now_ns)
        self._released = False
        message = TwistStamped()
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        message.header.frame_id = "omni" if behaviour == "wrong_frame" else self.frame_id
        message.twist.linear.x = self.garbage(behaviour, self.value[0])
        message.twist.angular.z = self.value[1]
        if behaviour == "empty_first":
            return [b"", message]
        return serialize_message(message)[:CUT_OFF_BYTES] if behaviour == "cut_off" else message

    def _release(self, now_ns: int) -> Any:
        if self._released:
            return None
        self._released = True
        message = TwistStamped()
        message.header.stamp = stamp(self.stamp_ns("release", now_ns))
        message.header.frame_id = RELEASED
        return message
