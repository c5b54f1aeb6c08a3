"""Asking the policy to clear its recurrent state, until it says that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from mobile_vla_ros.topics import POLICY_RESET

PATIENCE_NS = 1_000_000_000
PAUSE_NS = 100_000_000


class PolicyReset:
    """One request at a time; `done` gets the number that was asked for. Runs on the executor's thread."""

    def __init__(self, node: Node, done: Callable[[int], None]) -> None:
        self.client = POLICY_RESET.client(node)
        self._done = done
        self._future: Any = None
        self._number = 0
        self._asked_ns = 0

    def follow(self, number: int, steady_ns: int) -> None:
        """Call every tick with the reset that is wanted, 0 for none."""
        if number == 0:
            self._drop()
            return
        waited_ns = steady_ns - self._asked_ns
        if self._future is not None and (number != self._number or waited_ns > PATIENCE_NS):
            self._drop()
        elif self._future is None and waited_ns > PAUSE_NS and self.client.service_is_ready():
            self._number, self._asked_ns = number, steady_ns
            self._future = self.client.call_async(Trigger.Request())
            self._future.add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        if future is not self._future:
            return
        self._future = None
        if future.result().success:
            self._done(self._number)

    def _drop(self) -> None:
        if self._future is not None:
            future, self._future = self._future, None
            self.client.remove_pending_request(future)
