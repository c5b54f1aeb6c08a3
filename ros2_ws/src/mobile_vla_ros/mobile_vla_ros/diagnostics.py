"""One node's part of /diagnostics: a status once a second and whenever it changes level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.topics import DIAGNOSTICS

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
STALE = DiagnosticStatus.STALE
_PAGE_MB = 4096 / 1e6


class Status(NamedTuple):
    """What a node says about itself."""

    level: bytes
    message: str
    values: Mapping[str, str]


class Diagnostics:
    """Asks the node once a second (steady clock) and publishes; `now()` publishes at once.

    What failed in the node's callbacks and was contained is added to its words: a warning for 10 s, counts for ever.
    """

    def __init__(
        self,
        node: Node,
        report: Callable[[], Status],
        period_s: float = 1.0,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._node = node
        self._report = report
        self._failures = failures_of(node)
        self._publisher = DIAGNOSTICS.publisher(node)
        self._timer = node.create_timer(
            period_s, self.now, callback_group, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def now(self) -> None:
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = [to_message(self._node.get_fully_qualified_name(), self._status())]
        self._publisher.publish(array)

    def _status(self) -> Status:
        try:
            level, message, values = self._report()
        except Exception as error:  # noqa: BLE001 - counted and named
            failure = self._failures.add("report", error)
            level, message, values = ERROR, f"the node's report about itself failed: {failure}", {}
        recent = self._failures.recent()
        if recent:
            level, message = max(level, WARN), f"{message}; contained: {recent}"
        return Status(level, message, {**values, **self._failures.values()})


def to_message(name: str, status: Status) -> DiagnosticStatus:
    """A status as a message; also the payload of `controller/state`."""
    pairs = {**status.values, "memory_mb": f"{resident_mb():.0f}"}
    return DiagnosticStatus(
        level=status.level,
        name=name,
        message=status.message,
        hardware_id="mobile_vla",
        values=[KeyValue(key=key, value=value) for key, value in pairs.items()],
    )


def resident_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MB
