"""An executor for a node that acts at a fixed rate: its tick is called directly, everything else in between.

rclpy builds its wait set in Python, of every entity of the node, anew for each wait. At 30 Hz that costs more than the
controller's own work. So the tick is no ROS timer here; while waiting for it only what the node calls urgent is waited
for, in one wait set that is kept. Other services (those of parameters) are looked at after each tick, in a wait set
that is kept, too, and served until shortly before the next one; what is urgent goes first before each request. The
rest (events of publishers) is looked at a few times a second, one at a time. Alarms are subscriptions that the node
reads itself, in `on_alarm`, as soon as one has a message; after each time none is waited for during a short pause, so
that a flood of messages costs little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from rclpy.node import Node

from mobile_vla_ros.contained import ContainedExecutor
from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.reusable_wait_set import ReusableWaitSet

SELDOM_NS = 200_000_000
SHARE_OF_WAITING = 0.7
"""Of the time from a tick to the next: until then requests that are not urgent are served (10 ms are left at 30 Hz)."""
TICKS_AWAKE = 2
ALARM_PAUSE_NS = 5_000_000


class Paced(Protocol):
    """A node that this executor runs. `urgent` are its entities that must not wait for the next look at the rest;
    `alarms` are subscriptions in a group that no executor serves.

    `between_ticks` is called once after each tick and must be short.
    A tick or an alarm that raises is counted, and the node is told: what it then does must be safe without the rest.
    """

    period_s: float
    urgent: frozenset[Any]
    alarms: tuple[Any, ...]

    def tick(self) -> None: ...

    def tick_failed(self, message: str) -> None: ...

    def on_alarm(self) -> None: ...

    def between_ticks(self) -> None: ...


class PacedExecutor(ContainedExecutor):
    """Runs one node. The tick keeps its phase on the steady clock; one that is missed is skipped, not caught up."""

    def __init__(self) -> None:
        super().__init__()
        self._paced: Paced | None = None
        self._due_ns = 0
        self._everything = False
        self._everything_due_ns = 0
        self._urgent: ReusableWaitSet | None = None
        self._urgent_or_alarm: ReusableWaitSet | None = None
        self._requests: ReusableWaitSet | None = None
        self._serve_until_ns = 0
        self._requests_due_ns = 0
        self._paused_until_ns = 0
        self._awake_ticks = 0

    def add_node(self, node: Node) -> bool:
        """The node to run."""
        self._paced = cast("Paced", node)
        urgent = (*self._paced.urgent, self._guard)
        self._urgent = ReusableWaitSet(node.context, urgent)
        self._urgent_or_alarm = ReusableWaitSet(node.context, (*urgent, *self._paced.alarms))
        self._requests = ReusableWaitSet(node.context, set(node.services) - self._paced.urgent)
        self._due_ns = time.monotonic_ns()
        return bool(super().add_node(node))

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Let go of the wait sets before the context that they belong to ends."""
        self._urgent = self._urgent_or_alarm = self._requests = None
        return bool(super().shutdown(timeout_sec))

    def can_execute(self, entity: Any) -> bool:
        """Whether to wait for an entity now; rclpy asks this of each whenever it waits."""
        urgent = self._paced is not None and entity in self._paced.urgent
        return (urgent or self._everything) and bool(super().can_execute(entity))

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """One tick when it is due, else one urgent callback or the time until then; at most `timeout_sec`."""
        assert self._paced is not None
        left_s = (self._due_ns - time.monotonic_ns()) / 1e9
        if left_s > 0:
            if self._serves_requests():
                return
            self._wait(left_s if timeout_sec is None else min(left_s, timeout_sec))
            return
        self._contained("tick", self._paced.tick)
        with failures_of(self._paced).contained("between ticks"):
            self._paced.between_ticks()
        self._awake_ticks = max(0, self._awake_ticks - 1)
        period_ns = round(self._paced.period_s * 1e9)
        now_ns = time.monotonic_ns()
        self._due_ns += period_ns * max(1, 1 + (now_ns - self._due_ns) // period_ns)
        self._serve_until_ns = now_ns + round((self._due_ns - now_ns) * SHARE_OF_WAITING)
        if now_ns >= self._everything_due_ns:
            self._everything_due_ns = now_ns + SELDOM_NS
            self._look_at_everything()

    def _contained(self, where: str, call: Callable[[], None]) -> None:
        assert self._paced is not None
        failures = failures_of(self._paced)
        try:
            call()
        except Exception as error:  # noqa: BLE001 - counted, named and answered by the node
            message = failures.add(where, error)
            with failures.contained(where):
                self._paced.tick_failed(message)

    def _wait(self, timeout_s: float) -> None:
        """Nothing urgent costs one call; once there is something, rclpy has it and what follows from it."""
        if not self._awake_ticks:
            if not self._something_urgent(timeout_s):
                return
            self._awake_ticks = TICKS_AWAKE
            timeout_s = 0.0
        super().spin_once(timeout_s)

    def _something_urgent(self, timeout_s: float) -> bool:
        """Wait for it; an alarm is answered at once, by the node itself."""
        assert self._paced is not None
        pause_s = (self._paused_until_ns - time.monotonic_ns()) / 1e9
        if pause_s > 0:
            return self._urgent is not None and bool(self._urgent.ready(min(timeout_s, pause_s)))
        if self._urgent_or_alarm is None:
            return False
        came = self._urgent_or_alarm.ready(timeout_s)
        if "subscription" in came:
            self._contained("alarm", self._paced.on_alarm)
            self._paused_until_ns = time.monotonic_ns() + ALARM_PAUSE_NS
        return bool(came - {"subscription"})

    def _serves_requests(self) -> bool:
        """Serve one request that is not urgent, if there is time and one waits; until then the urgent goes first.

        A request that made a tick late is paid for: the next one waits as long as the rest of the entities.
        """
        now_ns = time.monotonic_ns()
        if self._requests is None or not self._requests_due_ns <= now_ns < self._serve_until_ns:
            return False
        if not self._requests.ready(0.0):
            self._serve_until_ns = 0  # until the next tick
            return False
        if self._something_urgent(0.0):
            self._awake_ticks = TICKS_AWAKE
            super().spin_once(0.0)
        self._look_at_everything()
        now_ns = time.monotonic_ns()
        if now_ns > self._due_ns:
            self._requests_due_ns = now_ns + SELDOM_NS
        return True

    def _look_at_everything(self) -> None:
        self._everything = True
        try:
            super().spin_once(0.0)
        finally:
            self._everything = False
