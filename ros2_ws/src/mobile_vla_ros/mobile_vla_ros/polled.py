"""Subscriptions that a node reads on its own timer instead of being woken by every message.

The middleware keeps the newest messages (the topic's depth) and the node takes them once per tick. So a flood of
messages costs no more than a trickle, and the executor waits for far fewer things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription

from mobile_vla_ros.topics import Topic


class PolledSubscriptions:
    """Call `poll` from one thread; it hands each waiting message to its callback, oldest first."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = _LeftAlone()
        self._callbacks: dict[Subscription, Callable[[Any], None]] = {}

    def add(self, topic: Topic, callback: Callable[[Any], None]) -> Subscription:
        """Subscribe to a topic of the contract."""
        subscription = topic.subscription(self._node, callback, callback_group=self._group)
        self._callbacks[subscription] = callback
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Unsubscribe."""
        del self._callbacks[subscription]
        self._node.destroy_subscription(subscription)

    def poll(self) -> None:
        """Take what has arrived, at most a queue's depth per topic."""
        for subscription, callback in list(self._callbacks.items()):
            for _ in range(subscription.qos_profile.depth):
                with subscription.handle:
                    taken = subscription.handle.take_message(subscription.msg_type, False)
                if taken is None:
                    break
                callback(taken[0])


class _LeftAlone(CallbackGroup):
    """Tells every executor that nothing of this group may run, so none waits for it."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass
