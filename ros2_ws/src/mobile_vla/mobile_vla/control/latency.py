"""How long the policy takes from image to action: what the lifetime of an action is worked out from.

Two rules keep a burst of late actions from lengthening it. While the robot may move, only actions that were accepted
count, and each one that is later than the estimate raises it by `STEP_NS` at most. While it is disarmed everything
that arrives in order counts, so that a slow policy is known before it drives, but the estimate is the median then: half
of what arrived must have been late. A third keeps the first, slow steps of a process that starts from lengthening it
for long: once `ENOUGH` were accepted since arming, those before count no more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

WINDOW = 64
STEP_NS = 10_000_000
ENOUGH = 20
"""The fewest of which a share of 95 % leaves one out."""


class Latency:
    """An estimate over the last `WINDOW` actions, in nanoseconds; 0 before any."""

    def __init__(self) -> None:
        self.estimate_ns = 0
        self._recent: deque[int] = deque()
        self._sorted: list[int] = []
        self._accepted = 0

    def note_disarmed(self, latency_ns: int) -> None:
        """An action that arrived while nothing may move, late or not."""
        self._accepted = 0
        self._note(latency_ns)
        self.estimate_ns = self._share(50)

    def note_accepted(self, latency_ns: int) -> None:
        """An action that was young enough to be used."""
        self._note(latency_ns)
        self._accepted += 1
        if self._accepted == ENOUGH:
            while len(self._recent) > ENOUGH:
                self._forget_oldest()
        raised_ns = self.estimate_ns + (STEP_NS if latency_ns > self.estimate_ns else 0)
        self.estimate_ns = min(self._share(95), raised_ns)

    def _note(self, latency_ns: int) -> None:
        self._recent.append(latency_ns)
        insort(self._sorted, latency_ns)
        if len(self._recent) > WINDOW:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        del self._sorted[bisect_left(self._sorted, self._recent.popleft())]

    def _share(self, percent: int) -> int:
        return self._sorted[(len(self._sorted) * percent - 1) // 100]
