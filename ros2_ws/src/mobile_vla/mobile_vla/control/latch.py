"""The emergency stop's latch."""

from __future__ import annotations

from mobile_vla.control.clock import Now, to_s
from mobile_vla.control.command import Outcome


class EmergencyLatch:
    """Closed by anyone at any time; opened only by a reset, late enough and with no stop device pressed."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._cause = ""
        self._pressed = False

    @property
    def closed(self) -> bool:
        """Whether the robot is stopped by emergency."""
        return self._since_ns is not None

    @property
    def cause(self) -> str:
        """Why it is closed; empty when it is not."""
        return self._cause if self.closed else ""

    def close(self, cause: str, now: Now) -> None:
        """Stop. A second stop starts the delay before a reset again."""
        self._since_ns = now.steady_ns
        self._cause = cause

    def set_pressed(self, pressed: bool) -> None:
        """Whether a stop device is pressed now."""
        self._pressed = pressed

    def reset(self, delay_s: float, now: Now) -> Outcome:
        """Open the latch, or say why not."""
        if self._since_ns is None:
            return Outcome(True, "no emergency stop is latched")
        if self._pressed:
            return Outcome(False, "refused: the stop input is still pressed; release it first")
        waited_s = to_s(now.steady_ns - self._since_ns)
        if waited_s < delay_s:
            return Outcome(False, f"refused: {waited_s:.2f} s after the stop, allowed after {delay_s:g} s; try again")
        self._since_ns = None
        return Outcome(True, "emergency stop released; arm to move")
