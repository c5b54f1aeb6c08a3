"""The topic `estop` as the controller reads it: every message of every writer, volatile or transient local.

Each writer that is heard through both subscriptions is heard twice; what is told about it is therefore told with the
number of the subscription. A message that was lost, may have been lost, or cannot be read may have been a press: that
is a stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rclpy.node import Node
from rclpy.subscription import Subscription

from mobile_vla_nodes.input_publishers import name_of_publisher
from mobile_vla_ros.failures import Undecodable, failures_of
from mobile_vla_ros.polled import decoded, sequence_number_of, take, unserved, writer_of
from mobile_vla_ros.topics import ESTOP

OVERRUN = "more messages on estop than can be read, one of those lost may be a press; correct the publisher that floods"
LOST = "a message on estop was lost and may have been a press: of"
MOST_KNOWN = 8
Heard = Callable[[str | None, bool, int], None]


class Drained(NamedTuple):
    """What was among the messages taken: a press, or what may have been one; a release of a writer not known."""

    pressed: bool
    anonymous_release: bool


class StopInput:
    """Two subscriptions that no executor serves. `heard(writer, pressed, reader)` gets every message of a `drain`,
    `doubt` a sentence when one is missing."""

    def __init__(self, node: Node, heard: Heard, doubt: Callable[[str], object]) -> None:
        self._node = node
        self._heard = heard
        self._doubt = doubt
        self._failures = failures_of(node)
        self._known: dict[bytes, bool] = {}
        self._names: dict[str, str] = {}
        self._sequence: dict[tuple[str, int], int] = {}
        self.subscriptions: tuple[Subscription, ...] = ESTOP.subscriptions(node, lambda _: None, **unserved())

    def drain(self) -> Drained:
        """Take what waits, at most a queue each."""
        pressed, anonymous_release = False, False
        for reader, subscription in enumerate(self.subscriptions):
            depth = subscription.qos_profile.depth
            for count in range(1, depth + 1):
                taken = take(subscription)
                if taken is None:
                    break
                writer, value = writer_of(taken[1]), self._value(taken[0])
                if value is not None:
                    self._heard(writer, value, reader)
                missing = self._misses_one(writer, reader, sequence_number_of(taken[1]))
                pressed |= value is not False or missing
                anonymous_release |= writer is None and value is False
                if count == depth:
                    self._doubt(OVERRUN)
                    pressed = True
        return Drained(pressed, anonymous_release)

    def _value(self, data: bytes) -> bool | None:
        """What a message says; None for bytes that are none. In a flood the same few bytes are decoded once."""
        known = self._known.get(data)
        if known is not None:
            return known
        try:
            value = bool(decoded(data, ESTOP.type).data)
        except Undecodable as error:
            self._doubt(f"stop input that cannot be read: {self._failures.add(ESTOP.name, error)}")
            return None
        if len(self._known) < MOST_KNOWN:
            self._known[data] = value
        return value

    def writers(self) -> dict[str, str]:
        """Who publishes on the topic now: ids and node names."""
        found = self._node.get_publishers_info_by_topic(self.subscriptions[0].topic_name)
        self._names = {bytes(publisher.endpoint_gid).hex(): name_of_publisher(publisher) for publisher in found}
        self._sequence = {key: number for key, number in self._sequence.items() if key[0] in self._names}
        return self._names

    def _misses_one(self, writer: str | None, reader: int, number: int | None) -> bool:
        """Whether this writer sent something between its last message here and this one."""
        if writer is None or number is None:
            return False
        last = self._sequence.get((writer, reader), number)
        self._sequence[writer, reader] = max(number, last)
        if number <= last + 1:
            return False
        self._doubt(f"{LOST} {self._names.get(writer, 'a device that is new')}")
        return True
