"""SIGINT and SIGTERM as a question that a loop asks, for whoever has something to end in order."""

from __future__ import annotations

import signal


class StopSignals:
    """Once it listens, a signal interrupts nothing: `asked` says yes after the first one.

    The handler does no more than that. An exception out of it can surface inside somebody's C++ (the import of torch
    calls back into Python) and abort the process there; an Event takes a lock, and a second signal can arrive while
    the first one's handler holds it.
    """

    def __init__(self) -> None:
        self._received = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def asked(self) -> bool:
        return self._received

    def _note(self, *_: object) -> None:
        self._received = True
