"""An executor for a node with many inputs: when something arrives, everything that has arrived is taken at once.

With rclpy's own, each message costs a wait set built in Python and a task: at 180 messages a second more than taking
them. What is no message (services, timers) stays with rclpy.
"""

from __future__ import annotations

from typing import Protocol, cast

from rclpy.node import Node

from mobile_vla_ros.contained import ContainedExecutor
from mobile_vla_ros.polled import PolledSubscriptions
from mobile_vla_ros.reusable_wait_set import ReusableWaitSet

LONGEST_WAIT_S = 0.1


class PollingNode(Protocol):
    """A node that this executor runs."""

    inputs: PolledSubscriptions


class BatchExecutor(ContainedExecutor):
    """Runs one node; subscriptions may come and go."""

    def __init__(self) -> None:
        super().__init__()
        self._node: Node | None = None
        self._wait_set: ReusableWaitSet | None = None
        self._changes = -1

    def add_node(self, node: Node) -> bool:
        """The node to run."""
        self._node = node
        return bool(super().add_node(node))

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Let go of the wait set before the context that it belongs to ends."""
        self._wait_set = None
        return bool(super().shutdown(timeout_sec))

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Take what has arrived, or run one other callback, or wait for either; at most `timeout_sec`."""
        node = self._node
        assert node is not None
        inputs = cast("PollingNode", node).inputs
        if self._wait_set is None or self._changes != inputs.changes:
            entities = (*inputs.subscriptions, *node.services, *node.clients, *node.timers, self._guard)
            self._wait_set, self._changes = ReusableWaitSet(node.context, entities), inputs.changes
        ready = self._wait_set.ready(LONGEST_WAIT_S if timeout_sec is None else timeout_sec)
        if "subscription" in ready:
            inputs.poll()
        if ready - {"subscription"}:
            super().spin_once(0.0)
