"""A wait set that is built once; rclpy's executors build one in Python, of every entity of the node, for each wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from rclpy.client import Client
from rclpy.context import Context
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

Kind = Literal["subscription", "guard_condition", "timer", "client", "service"]
# In the order in which a wait set wants their counts.
_KINDS: tuple[tuple[Kind, Any], ...] = (
    ("subscription", Subscription),
    ("guard_condition", GuardCondition),
    ("timer", Timer),
    ("client", Client),
    ("service", Service),
)


class ReusableWaitSet:
    """Waits for some entities of one context. Drop it before the context ends."""

    def __init__(self, context: Context, entities: Iterable[Any]) -> None:
        known = list(entities)
        self._by_kind: dict[Kind, list[Any]] = {
            kind: [entity.handle for entity in known if isinstance(entity, of_kind)] for kind, of_kind in _KINDS
        }
        wait_set: Any = rclpy_implementation.WaitSet  # its stub knows no counts
        self._set = wait_set(*(len(handles) for handles in self._by_kind.values()), 0, context.handle)
        self._add = {kind: getattr(self._set, f"add_{kind}") for kind in self._by_kind}

    def ready(self, timeout_s: float) -> set[Kind]:
        """The kinds of which something came before the time was over. Call it from the thread that runs the node."""
        self._set.clear_entities()
        for kind, handles in self._by_kind.items():
            add = self._add[kind]
            for handle in handles:
                add(handle)
        self._set.wait(int(timeout_s * 1e9))
        return {kind for kind, handles in self._by_kind.items() if handles and self._set.get_ready_entities(kind)}
