"""SIGINT and SIGTERM as a question that a loop asks, for commands that have processes to end in order."""

from __future__ import annotations

import signal
from collections.abc import Callable


def asked_to_stop() -> Callable[[], bool]:
    """From now on a signal interrupts nothing: the returned question answers yes after the first one.

    A list and not an Event: an Event takes a lock, and a second signal can arrive while the first one's handler
    holds it.
    """
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: received.append(number))
    return lambda: bool(received)
