"""One node's part of /diagnostics: a status once a second and whenever it changes level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

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
    """Asks the node once a second (steady clock) and publishes; `now()` publishes at once."""

    def __init__(
        self,
        node: Node,
        report: Callable[[], Status],
        period_s: float = 1.0,
        callback_group: CallbackGroup | None = None,
    ) -> None:
        self._node = node
        self._report = report
        self._publisher = DIAGNOSTICS.publisher(node)
        self._timer = node.create_timer(
            period_s, self.now, callback_group, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def now(self) -> None:
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = [to_message(self._node.get_fully_qualified_name(), self._report())]
        self._publisher.publish(array)


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
