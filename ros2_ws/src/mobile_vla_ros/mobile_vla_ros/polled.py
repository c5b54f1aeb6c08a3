"""Subscriptions that a node reads on its own timer instead of being woken by every message.

The middleware keeps the newest messages (the topic's depth) and the node takes them once per tick. So a flood of
messages costs no more than a trickle, and the executor waits for far fewer things.

Messages are taken as bytes and decoded here: the middleware passes over bytes that it cannot decode without a word, and
then says that nothing is left although other messages wait behind them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node, SubscriptionEventCallbacks
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from mobile_vla_ros.failures import Undecodable, failures_of
from mobile_vla_ros.message_order import NewerOnly
from mobile_vla_ros.topics import Topic

MOST_BYTES = 32_768
"""Of a message that is decoded: a scan of 3600 beams with intensities has 29 kB. Decoding takes 0.1 us a byte."""


def take(subscription: Subscription) -> tuple[bytes, Any] | None:
    """The oldest message that waits, as it was on the wire, and what the middleware says about it; None for none."""
    with subscription.handle:
        taken: tuple[bytes, Any] | None = subscription.handle.take_message(subscription.msg_type, True)
    return taken


class Subscribed(NamedTuple):
    """The subscriptions of one topic: those that a publisher must match, and those beside them."""

    matching: tuple[Subscription, ...]
    beside: tuple[Subscription, ...] = ()


class PolledSubscriptions:
    """Call `poll` from one thread; it hands each waiting message to its callback, oldest first.

    A message that cannot be decoded, or whose callback raises, is counted among the failures of the node; those behind
    it are handed on.
    """

    def __init__(self, node: Node, cpu_ns: Callable[[], int] = time.thread_time_ns) -> None:
        self._node = node
        self._cpu_ns = cpu_ns
        self._turn = 0
        self._options = unserved()
        self._failures = failures_of(node)
        self._callbacks: dict[Subscription, Callable[..., None]] = {}
        self.changes = 0
        """How often a subscription came or went."""
        self.cut_short = 0
        """How often the time for one poll was used up with messages waiting."""

    def add(self, topic: Topic, callback: Callable[[Any], None]) -> Subscription:
        """Subscribe to a topic of the contract."""
        return self._keep(topic.subscription(self._node, callback, **self._options), callback)

    def add_at_once(self, topic: Topic, callback: Callable[[Any], None]) -> Subscribed:
        """Subscribe for every kind of writer, and so that no message waits for one before it that is missing. Each is
        handed on once, and none that is older than the newest of its writer.
        """
        order = NewerOnly()

        def hear(data: bytes, info: Any) -> None:
            if order.is_new(info):
                callback(decoded(data, topic.type))

        options = {"raw": True, **self._options}
        matching, beside = topic.subscriptions(self._node, hear, **options), topic.at_once(self._node, hear, **options)
        for subscription in (*matching, beside):
            self._keep(subscription, hear)
        return Subscribed(matching, (beside,))

    def add_raw(
        self, message_class: type, name: str, callback: Callable[[bytes, Any], None], qos: QoSProfile
    ) -> Subscription:
        """Subscribe to any topic; the callback gets the messages as they were on the wire, and what `take` says about
        each.
        """
        made = self._node.create_subscription(message_class, name, callback, qos, raw=True, **self._options)
        return self._keep(made, callback)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All that are read here."""
        return tuple(self._callbacks)

    def remove(self, *subscriptions: Subscription) -> None:
        """Unsubscribe."""
        for subscription in subscriptions:
            del self._callbacks[subscription]
            self.changes += 1
            self._node.destroy_subscription(subscription)

    def poll(self, most_cpu_s: float | None = None) -> None:
        """Take what has arrived, at most a queue's depth per topic and for `most_cpu_s` of processor time.

        Where that ends a poll, the next one goes on with the topic whose turn it was; the middleware keeps the newest.
        """
        end_ns = None if most_cpu_s is None else self._cpu_ns() + round(most_cpu_s * 1e9)
        readers = list(self._callbacks.items())
        for number in range(len(readers)):
            turn = (self._turn + number) % len(readers)
            if not self._drain(*readers[turn], end_ns):
                self._turn = turn
                self.cut_short += 1
                return

    def _drain(self, subscription: Subscription, callback: Callable[..., None], end_ns: int | None) -> bool:
        """Hand on what one topic has; false when the time was over before."""
        for _ in range(subscription.qos_profile.depth):
            if end_ns is not None and self._cpu_ns() >= end_ns:
                return False
            try:
                if not _take(subscription, callback):
                    return True
            except Exception as error:  # noqa: BLE001 - counted and named
                self._failures.add(subscription.topic_name, error)
        return True

    def _keep(self, subscription: Subscription, callback: Callable[..., None]) -> Subscription:
        self._callbacks[subscription] = callback
        self.changes += 1
        return subscription


def _take(subscription: Subscription, callback: Callable[..., None]) -> bool:
    """Hand on one message; false when there is none."""
    taken = take(subscription)
    if taken is None:
        return False
    data, info = taken
    if subscription.raw:
        callback(data, info)
    else:
        callback(decoded(data, subscription.msg_type))
    return True


def drain(subscription: Subscription) -> Iterator[Any]:
    """The messages that wait behind the one an executor has just handed out, oldest first, at most a queue's depth."""
    for _ in range(subscription.qos_profile.depth):
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, False)
        if taken is None:
            return
        yield taken[0]


def decoded(data: bytes, message_class: type) -> Any:
    """Bytes from the wire as a message; raises `Undecodable`."""
    if len(data) > MOST_BYTES:
        raise Undecodable(f"{len(data)} bytes, more than the {MOST_BYTES} that are decoded here; send less at once")
    try:
        return deserialize_message(data, message_class)
    except Exception as error:
        raise Undecodable(f"{len(data)} bytes that are no {message_class.__name__}") from error


def unserved() -> dict[str, Any]:
    """Options of a subscription that no executor serves. It has no event handlers either: an event that nobody takes
    (a publisher with an incompatible quality of service) ends every wait for the subscription at once, for good.
    """
    return {
        "callback_group": NeverExecute(),
        "event_callbacks": SubscriptionEventCallbacks(use_default_callbacks=False),
    }


class NeverExecute(CallbackGroup):
    """Tells every executor that nothing of this group may run, so none waits for it."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass
