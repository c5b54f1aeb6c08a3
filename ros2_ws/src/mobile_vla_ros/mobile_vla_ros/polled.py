"""Subscriptions that a node reads on its own timer instead of being woken by every message.

The middleware keeps the newest messages (the topic's depth) and the node takes them once per tick. So a flood of
messages costs no more than a trickle, and the executor waits for far fewer things.

Messages are taken as bytes and decoded here: the middleware passes over bytes that it cannot decode without a word, and
then says that nothing is left although other messages wait behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from mobile_vla_ros.failures import Undecodable, failures_of
from mobile_vla_ros.topics import Topic


class _Reader(NamedTuple):
    callback: Callable[[Any], None]
    on_failure: Callable[[str], None] | None


def take(subscription: Subscription) -> tuple[bytes, Any] | None:
    """The oldest message that waits, as it was on the wire, and what the middleware says about it; None for none."""
    with subscription.handle:
        taken: tuple[bytes, Any] | None = subscription.handle.take_message(subscription.msg_type, True)
    return taken


def writer_of(info: Any) -> str | None:
    """The id of the writer that sent a message; None before Kilted, where rclpy does not tell."""
    sender = info.get("publisher_gid") if isinstance(info, Mapping) else None
    return bytes(sender["data"]).hex() if sender else None


def sequence_number_of(info: Any) -> int | None:
    """The number of a message among those of its writer; None where the middleware does not count."""
    return info.get("publication_sequence_number") if isinstance(info, Mapping) else None


class PolledSubscriptions:
    """Call `poll` from one thread; it hands each waiting message to its callback, oldest first.

    A message that cannot be decoded, or whose callback raises, is counted among the failures of the node; those behind
    it are handed on. `on_failure` is told as well, with the sentence.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = LeftAlone()
        self._failures = failures_of(node)
        self._readers: dict[Subscription, _Reader] = {}
        self.changes = 0
        """How often a subscription came or went."""

    def add(
        self, topic: Topic, callback: Callable[[Any], None], on_failure: Callable[[str], None] | None = None
    ) -> Subscription:
        """Subscribe to a topic of the contract."""
        made = topic.subscription(self._node, callback, callback_group=self._group)
        return self._keep(made, _Reader(callback, on_failure))

    def add_both(self, topic: Topic, callback: Callable[[Any], None]) -> tuple[Subscription, ...]:
        """Subscribe for every kind of writer; the callback must bear to hear a message twice."""
        made = topic.subscriptions(self._node, callback, callback_group=self._group)
        return tuple(self._keep(subscription, _Reader(callback, None)) for subscription in made)

    def add_raw(
        self, message_class: type, name: str, callback: Callable[[bytes], None], qos: QoSProfile
    ) -> Subscription:
        """Subscribe to any topic; the callback gets the messages as they were on the wire."""
        made = self._node.create_subscription(message_class, name, callback, qos, callback_group=self._group, raw=True)
        return self._keep(made, _Reader(callback, None))

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All that are read here."""
        return tuple(self._readers)

    def remove(self, subscription: Subscription) -> None:
        """Unsubscribe."""
        del self._readers[subscription]
        self.changes += 1
        self._node.destroy_subscription(subscription)

    def poll(self) -> None:
        """Take what has arrived, at most a queue's depth per topic."""
        for subscription, reader in list(self._readers.items()):
            for _ in range(subscription.qos_profile.depth):
                try:
                    if not _take(subscription, reader.callback):
                        break
                except Exception as error:  # noqa: BLE001 - counted and named
                    sentence = self._failures.add(subscription.topic_name, error)
                    if reader.on_failure is not None:
                        with self._failures.contained(subscription.topic_name):
                            reader.on_failure(sentence)

    def _keep(self, subscription: Subscription, reader: _Reader) -> Subscription:
        self._readers[subscription] = reader
        self.changes += 1
        return subscription


def _take(subscription: Subscription, callback: Callable[[Any], None]) -> bool:
    """Hand on one message; false when there is none."""
    taken = take(subscription)
    if taken is None:
        return False
    data = taken[0]
    callback(data if subscription.raw else decoded(data, subscription.msg_type))
    return True


def decoded(data: bytes, message_class: type) -> Any:
    """Bytes from the wire as a message; raises `Undecodable`."""
    try:
        return deserialize_message(data, message_class)
    except Exception as error:
        raise Undecodable(f"{len(data)} bytes that are no {message_class.__name__}") from error


class LeftAlone(CallbackGroup):
    """Tells every executor that nothing of this group may run, so none waits for it."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass
