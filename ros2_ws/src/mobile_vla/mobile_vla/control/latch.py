"""The emergency stop's latch."""

from __future__ import annotations

from typing import NamedTuple

from mobile_vla.control.clock import Now, to_s
from mobile_vla.control.command import Outcome
from mobile_vla.control.config import EmergencyStop
from mobile_vla.control.stop_devices import Pressed, StopDevices


class Latched(NamedTuple):
    """What another process needs to latch the same stop again."""

    cause: str
    pressed: tuple[Pressed, ...] = ()


class EmergencyLatch:
    """Closed by anyone at any time; opened only by a reset, late enough and with no stop device pressed."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._cause = ""
        self.devices = StopDevices()

    @property
    def closed(self) -> bool:
        """Whether the robot is stopped by emergency."""
        return self._since_ns is not None

    @property
    def cause(self) -> str:
        """Why it is closed; empty when it is not."""
        return self._cause if self.closed else ""

    @property
    def record(self) -> Latched | None:
        """What is latched; None when nothing is."""
        return Latched(self._cause, self.devices.pressed) if self.closed else None

    def close(self, cause: str, now: Now) -> None:
        """Stop. A second stop starts the delay before a reset again."""
        self._since_ns = now.steady_ns
        self._cause = cause

    def restore(self, latched: Latched, now: Now) -> None:
        """Close it as it was in another process."""
        self.close(latched.cause, now)
        for pressed in latched.pressed:
            self.devices.restore(pressed)

    def reset(self, settings: EmergencyStop, now: Now) -> Outcome:
        """Open the latch, or say why not."""
        if self._since_ns is None:
            return Outcome(True, "no emergency stop is latched")
        held = self.devices.held()
        if held:
            return Outcome(False, held)
        waited_s, delay_s = to_s(now.steady_ns - self._since_ns), settings.reset_delay_s
        if waited_s < delay_s:
            return Outcome(False, f"refused: {waited_s:.2f} s after the stop, allowed after {delay_s:g} s; try again")
        doubt = self.devices.doubt(settings.quiet_s, delay_s, now)
        if doubt:
            return Outcome(False, doubt)
        self._since_ns = None
        return Outcome(True, "emergency stop released; arm to move")
