"""Subscriptions that a node reads on its own timer instead of being woken by every message.

The middleware keeps the newest messages (the topic's depth) and the node takes them once per tick. So a flood of
messages costs no more than a trickle, and the executor waits for far fewer things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from mobile_vla_ros.topics import Topic


class PolledSubscriptions:
    """Call `poll` from one thread; it hands each waiting message to its callback, oldest first."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = _LeftAlone()
        self._callbacks: dict[Subscription, Callable[[Any], None]] = {}
        self.changes = 0
        """How often a subscription came or went."""

    def add(self, topic: Topic, callback: Callable[[Any], None]) -> Subscription:
        """Subscribe to a topic of the contract."""
        return self._keep(topic.subscription(self._node, callback, callback_group=self._group), callback)

    def add_raw(
        self, message_class: type, name: str, callback: Callable[[bytes], None], qos: QoSProfile
    ) -> Subscription:
        """Subscribe to any topic; the callback gets the messages as they were on the wire."""
        made = self._node.create_subscription(message_class, name, callback, qos, callback_group=self._group, raw=True)
        return self._keep(made, callback)

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """All that are read here."""
        return tuple(self._callbacks)

    def remove(self, subscription: Subscription) -> None:
        """Unsubscribe."""
        del self._callbacks[subscription]
        self.changes += 1
        self._node.destroy_subscription(subscription)

    def poll(self) -> None:
        """Take what has arrived, at most a queue's depth per topic."""
        for subscription, callback in list(self._callbacks.items()):
            for _ in range(subscription.qos_profile.depth):
                with subscription.handle:
                    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                if taken is None:
                    break
                callback(taken[0])

    def _keep(self, subscription: Subscription, callback: Callable[[Any], None]) -> Subscription:
        self._callbacks[subscription] = callback
        self.changes += 1
        return subscription


class _LeftAlone(CallbackGroup):
    """Tells every executor that nothing of this group may run, so none waits for it."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass
