"""The devices on the `estop` topic: each writer's own state, and what a person must know before a reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mobile_vla.control.clock import Now, to_ns, to_s

CONFIRM_WITHIN_S = 10.0
"""A reset that was refused for a device that has left the graph clears it when repeated within this time."""


class Pressed(NamedTuple):
    """A device that is pressed: its writer's id (None where the middleware does not tell) and its node's name."""

    writer: str | None
    name: str


@dataclass
class _Device:
    """One writer. `states` has the last value through each of the controller's subscriptions: a transient-local one is
    heard through two, each in its own order, and released only once both have heard the release.
    """

    name: str = ""
    states: dict[int, bool] = field(default_factory=dict)
    pressed_ns: int = 0
    absent: bool = False
    returning: bool = False
    """It has been absent since its last message: what it says next replaces everything before."""
    candidates: set[str] = field(default_factory=set)
    """Of an unknown writer: every writer on the topic since the press."""

    @property
    def released(self) -> bool:
        return not any(self.states.values())


class StopDevices:
    """Pressed is the or of all writers. A device that vanishes while pressed stays pressed until a person clears it.

    Where the middleware does not tell who sent a message, all messages come from the writer None. A release then counts
    only while one and the same writer has been on the topic since the press; with more, nothing but a person clears.
    """

    def __init__(self) -> None:
        self._devices: dict[str | None, _Device] = {}
        self._present: dict[str, str] = {}
        self._asked: frozenset[str | None] = frozenset()
        self._asked_ns = 0

    @property
    def pressed(self) -> tuple[Pressed, ...]:
        """Every device that still counts as pressed."""
        return tuple(Pressed(writer, device.name) for writer, device in self._devices.items())

    def name(self, writer: str | None) -> str:
        """The node that a writer belongs to; empty when that is not known."""
        return self._present.get(writer or "", "")

    def offer(self, writer: str | None, pressed: bool, now: Now, reader: int = 0) -> None:
        """One message of a writer, as one of the controller's subscriptions took it."""
        device = self._devices.get(writer)
        if device is None:
            if not pressed:
                return
            device = self._devices[writer] = _Device(self.name(writer))
            device.candidates |= set(self._present) if writer is None else set()
        if device.returning:
            device.states.clear()
            device.returning = False
        device.states[reader] = pressed
        if pressed:
            device.pressed_ns = now.steady_ns
            self._asked = frozenset()
        elif writer is not None and device.released:
            del self._devices[writer]

    def restore(self, pressed: Pressed) -> None:
        """A device that was pressed when another process kept this latch."""
        device = self._devices[pressed.writer] = _Device(pressed.name, {0: True}, returning=True)
        if pressed.writer is None:
            device.candidates |= {"before", "after"}  # who is there now may be somebody else

    def offer_present(self, names: Mapping[str, str]) -> None:
        """The writers on the topic now: id and node name."""
        self._present = dict(names)
        for writer, device in self._devices.items():
            device.absent = not names if writer is None else writer not in names
            device.returning |= device.absent and writer is not None
            device.name = self.name(writer) or device.name
            if writer is None:
                device.candidates |= set(names)

    def held(self) -> str:
        """The devices that are there and pressed, as a sentence; empty when there is none."""
        self._forget_the_only_writer_when_released()
        held = [device for writer, device in self._devices.items() if not self._in_doubt(writer, device)]
        names = ", ".join(sorted(device.name or "the stop input" for device in held))
        return f"refused: still pressed: {names}; release that first" if held else ""

    def doubt(self, quiet_s: float, confirm_after_s: float, now: Now) -> str:
        """Why devices that are gone, or not known, forbid a reset; empty once a person has confirmed them."""
        unknown = self._devices.get(None)
        if unknown is not None and now.steady_ns - unknown.pressed_ns < to_ns(quiet_s):
            ago_s = to_s(now.steady_ns - unknown.pressed_ns)
            return f"refused: a stop device was pressed {ago_s:.2f} s ago; release it, allowed {quiet_s:g} s after that"
        if self._devices and not self._confirmed(confirm_after_s, now):
            return self._question()
        self._devices.clear()
        return ""

    def _in_doubt(self, writer: str | None, device: _Device) -> bool:
        """Gone while pressed, or one of several of which it is not known who sent what."""
        return device.absent or (writer is None and len(device.candidates) > 1)

    def _forget_the_only_writer_when_released(self) -> None:
        unknown = self._devices.get(None)
        if unknown is not None and unknown.released and len(unknown.candidates) <= 1:
            del self._devices[None]

    def _confirmed(self, after_s: float, now: Now) -> bool:
        """Whether a person asked before about the same devices, neither in the same breath nor long ago."""
        asked, before = frozenset(self._devices), self._asked
        since_ns = now.steady_ns - self._asked_ns
        if asked == before and since_ns < to_ns(after_s):
            return False
        confirmed = asked == before and since_ns <= to_ns(CONFIRM_WITHIN_S)
        self._asked, self._asked_ns = frozenset() if confirmed else asked, now.steady_ns
        return confirmed

    def _question(self) -> str:
        absent = sorted(device.name or "a stop device" for device in self._devices.values() if device.absent)
        if absent:
            what = f"{', '.join(absent)} left the graph while pressed"
        else:
            what = "several devices publish on estop, and which of them was pressed cannot be told"
        return f"refused: {what}; make sure that none is pressed, then reset again within {CONFIRM_WITHIN_S:g} s"
