"""The topic `estop` as the controller reads it: every message of every writer, volatile or transient local.

Each writer that is heard through both subscriptions is heard twice; what is told about it is therefore told with the
number of the subscription. A message that was lost, may have been lost, or cannot be read may have been a press: that
is a stop.

Those two are reliable: while one message of a writer is missing, they hand on none behind it. A lost packet is missing
until it is sent again; a message without a single byte, which the middleware of the reader throws away, until the queue
of its writer has no room for it. A third subscription, best effort, therefore hears a press at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.subscription import Subscription

from mobile_vla_nodes.input_publishers import name_of_publisher
from mobile_vla_ros.failures import Undecodable, failures_of
from mobile_vla_ros.message_order import sent_ns_of, sequence_number_of, writer_of
from mobile_vla_ros.polled import decoded, take, unserved
from mobile_vla_ros.topics import ESTOP

OVERRUN = "more messages on estop than can be read, one of those lost may be a press; correct the publisher that floods"
LOST = "a message on estop was lost and may have been a press: of"
MOST_KNOWN = 8
AHEAD = 2
"""The number of the subscription that waits for nothing."""
Heard = Callable[[str | None, bool, int], None]


class Drained(NamedTuple):
    """What was among the messages taken: a press, or what may have been one; a release of a writer not known."""

    pressed: bool
    anonymous_release: bool


class StopInput:
    """Subscriptions that no executor serves. `heard(writer, pressed, reader)` gets every message of a `drain`, `doubt`
    a sentence when one is missing.
    """

    def __init__(self, node: Node, heard: Heard, doubt: Callable[[str], object]) -> None:
        self._node = node
        self._heard = heard
        self._doubt = doubt
        self._failures = failures_of(node)
        self._known: dict[bytes, bool] = {}
        self._names: dict[str, str] = {}
        self._numbers: dict[tuple[str, int], range] = {}
        """Of each writer, by reliable subscription: the first message heard to the newest."""
        self._ahead: dict[str | None, int] = {}
        """Presses that the reliable subscriptions have not reached: their number, or when they were sent."""
        self.subscriptions: tuple[Subscription, ...] = ESTOP.subscriptions(node, lambda _: None, **unserved())
        """The reliable ones: what a publisher must match."""
        self.alarms = (*self.subscriptions, ESTOP.at_once(node, lambda _: None, **unserved()))

    def drain(self) -> Drained:
        """Take what waits, at most a queue each; in this order, because of what came ahead most is known by then."""
        pressed, anonymous_release = False, False
        for reader, subscription in enumerate(self.alarms):
            depth = subscription.qos_profile.depth
            for count in range(1, depth + 1):
                taken = take(subscription)
                if taken is None:
                    break
                said = self._hear_ahead(*taken) if reader == AHEAD else self._hear(*taken, reader)
                pressed |= said.pressed
                anonymous_release |= said.anonymous_release
                if count == depth:
                    self._doubt(OVERRUN)
                    pressed = True
        return Drained(pressed, anonymous_release)

    def _hear(self, data: bytes, info: Any, reader: int) -> Drained:
        """A message in its order."""
        writer, number, value = writer_of(info), sequence_number_of(info), self._value(data)
        if value is not None:
            self._heard(writer, value, reader)
        missing = self._misses_one(writer, reader, number)
        self._catch_up(writer, info)
        return Drained(value is not False or missing, writer is None and value is False)

    def _hear_ahead(self, data: bytes, info: Any) -> Drained:
        """A message as it arrived. One that was heard in its order says nothing new; of a gap the others will know."""
        writer, number = writer_of(info), sequence_number_of(info)
        if writer is not None and any(number in self._numbers.get((writer, reader), ()) for reader in range(AHEAD)):
            self._catch_up(writer, info)
            return Drained(False, False)
        value = self._value(data)
        if value is None:
            return Drained(True, False)
        self._heard(writer, value, AHEAD)
        if value:
            self._ahead[writer] = _order(writer, info)
        else:
            self._ahead.pop(writer, None)
        return Drained(value, writer is None and not value)

    def _catch_up(self, writer: str | None, info: Any) -> None:
        """A message was heard in its order: from there on those heard so say what is."""
        if writer in self._ahead and _order(writer, info) >= self._ahead[writer]:
            del self._ahead[writer]
            self._heard(writer, False, AHEAD)

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
        before = self._names
        self._names = {bytes(publisher.endpoint_gid).hex(): name_of_publisher(publisher) for publisher in found}
        self._numbers = {key: numbers for key, numbers in self._numbers.items() if key[0] in self._names}
        for gone in before.keys() - self._names.keys():
            self._ahead.pop(gone, None)
        return self._names

    def _misses_one(self, writer: str | None, reader: int, number: int | None) -> bool:
        """Whether this writer sent something between its last message here and this one."""
        if writer is None or number is None:
            return False
        heard = self._numbers.get((writer, reader), range(number, number))
        self._numbers[writer, reader] = range(heard.start, max(heard.stop, number + 1))
        if number <= heard.stop:
            return False
        self._doubt(f"{LOST} {self._names.get(writer, 'a device that is new')}")
        return True


def _order(writer: str | None, info: Any) -> int:
    """What grows from message to message of one writer, as far as it is known which that is."""
    number = sequence_number_of(info)
    return sent_ns_of(info) if writer is None or number is None else number
