"""What failed in the callbacks of a node and was contained there: counted, named on /diagnostics, logged seldom.

A message, a request or a parameter must not end a process of the command path, whatever is in it. Whoever calls
something of that kind (executor, polled subscriptions, diagnostics) records here what it caught.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

RECENT_NS = 10_000_000_000
LOG_EVERY_NS = 10_000_000_000
MOST_KINDS = 100
LONGEST = 200


class Undecodable(Exception):
    """Bytes on a topic or a service that are no message of its type."""


@dataclass
class _Kind:
    count: int = 0
    message: str = ""
    logged_ns: int | None = None


class Failures:
    """The account of one node; `log` gets a message at most every 10 s about each kind of failure."""

    def __init__(self, log: Callable[[str], None], now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._log = log
        self._now_ns = now_ns
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._newest = ""
        self._newest_ns = 0
        self.count = 0

    def add(self, where: str, error: BaseException) -> str:
        """Count one failure of a topic, a service, a timer; returns the message about it."""
        key = (where, type(error).__name__)
        if key not in self._kinds and len(self._kinds) >= MOST_KINDS:
            key = ("others", "")
        kind = self._kinds.setdefault(key, _Kind())
        kind.count += 1
        self.count += 1
        kind.message = _message(error)
        self._newest, self._newest_ns = f"{where}: {kind.message}", self._now_ns()
        if kind.logged_ns is None or self._newest_ns - kind.logged_ns >= LOG_EVERY_NS:
            kind.logged_ns = self._newest_ns
            self._log(f"{self._newest} ({kind.count} of this kind so far; the node goes on)")
        return kind.message

    @contextmanager
    def contained(self, where: str) -> Iterator[None]:
        """Count what fails in the block, and go on after it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - counted and named
            self.add(where, error)

    def recent(self) -> str:
        """The newest failure in words; empty when there was none in the last 10 s."""
        return self._newest if self.count and self._now_ns() - self._newest_ns < RECENT_NS else ""

    def values(self) -> dict[str, str]:
        """For /diagnostics: how often what failed, and the newest message of each kind."""
        return {
            f"failed.{where}" + (f".{name}" if name else ""): f"{kind.count} x {kind.message}"
            for (where, name), kind in self._kinds.items()
        }


def _message(error: BaseException) -> str:
    words = " ".join(str(error).split()) or "no details"
    return f"{type(error).__name__}: {words[:LONGEST]}{_place(error)}"


def _place(error: BaseException) -> str:
    """The last line of this project that was under way, for whoever has to fix it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "mobile_vla" in frame.filename and not frame.filename.endswith(_PLUMBING)]
    return f" ({Path(ours[-1].filename).name}:{ours[-1].lineno})" if ours else ""


_PLUMBING = ("failures.py", "contained.py", "polled.py", "paced.py")
_accounts: WeakKeyDictionary[Any, Failures] = WeakKeyDictionary()


def failures_of(node: Any) -> Failures:
    """The account of a node, one for its whole life."""
    if node not in _accounts:
        _accounts[node] = Failures(node.get_logger().error)
    return _accounts[node]
