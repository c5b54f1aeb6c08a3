"""Which frames of a source that delivers more than are asked for are taken; the others are dropped, never queued."""

from __future__ import annotations

from mobile_vla.camera.source import NS

_EARLY = 8
"""A frame may come this part of an interval early: stamps are rounded, and clocks differ."""


class RateLimit:
    """Pure; the time of each frame is an argument, on any one clock.

    Over a long time at most `rate_hz` are taken. `ahead` is how many may be taken at once after a pause, which is what
    a network does to frames that were sent evenly.
    """

    def __init__(self, rate_hz: float, ahead: int = 1) -> None:
        self._interval_ns = round(NS / rate_hz)
        self._ahead_ns = ahead * self._interval_ns
        self._saved_ns = self._ahead_ns
        self._last_ns: int | None = None

    def takes(self, at_ns: int) -> bool:
        """Whether the frame of this time is taken. Ask once for each frame; a time that goes back counts as none."""
        passed_ns = 0 if self._last_ns is None else max(0, at_ns - self._last_ns)
        self._last_ns = at_ns
        # up to one interval more than `ahead`: else what is left over at each frame would be lost, and the rate with it
        self._saved_ns = min(self._saved_ns + passed_ns, self._ahead_ns + self._interval_ns)
        if self._saved_ns < self._interval_ns - self._interval_ns // _EARLY:
            return False
        self._saved_ns -= self._interval_ns
        return True
