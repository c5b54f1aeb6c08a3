"""A pad read from the kernel where no joy driver runs: /dev/input/js*, in the numbering of the mapping files.

The kernel's joystick interface is eight bytes per event and needs no library; the evdev package would have to be
compiled on the robot and counts axes and buttons differently from every joy driver. On opening, the kernel sends the
present state of everything as initial events.
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

EVENT = struct.Struct("<IhBB")
BUTTON, AXIS, INITIAL = 0x01, 0x02, 0x80
FULL_SCALE = 32767
RETRY_S = 1.0
KEPT = 64
_LOOK_S = 0.1
_FOLDER = Path("/dev/input")
T = TypeVar("T")


class PadState(NamedTuple):
    """Axes with left and up positive, as ROS drivers give them; triggers rest at 1."""

    axes: tuple[float, ...]
    buttons: tuple[int, ...]


class JoydevParser:
    """Bytes of a joystick device to states. Axes and buttons appear with their initial events."""

    def __init__(self) -> None:
        self._rest = b""
        self._axes: list[float] = []
        self._buttons: list[int] = []

    def feed(self, data: bytes) -> list[PadState]:
        """The state after each real event, and one after the initial events of these bytes."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        states: list[PadState] = []
        initial = False
        for _, value, kind, number in EVENT.iter_unpack(data[:whole]):
            if kind & ~INITIAL == AXIS:
                _put(self._axes, number, -max(value, -FULL_SCALE) / FULL_SCALE + 0.0, 0.0)
            elif kind & ~INITIAL == BUTTON:
                _put(self._buttons, number, int(value != 0), 0)
            initial = bool(kind & INITIAL)
            if not initial:
                states.append(self._state())
        return [*states, self._state()] if initial else states

    def _state(self) -> PadState:
        return PadState(tuple(self._axes), tuple(self._buttons))


class JoystickReader:
    """Reads a device in a thread of its own, opens it again after it was unplugged, and wakes the owner."""

    def __init__(self, device: str, wake: Callable[[], None]) -> None:
        self._device = device
        self._wake = wake
        self._states: deque[PadState] = deque(maxlen=KEPT)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="joystick", daemon=True)
        self.connected = False
        self.error = "no gamepad yet"

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End the thread; false when it did not end in time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def take(self) -> list[PadState]:
        """The states since the last call, oldest first."""
        return [self._states.popleft() for _ in range(len(self._states))]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read(find_joystick(self._device))
            except OSError as error:
                self.error = f"{error.filename or self._device or 'the gamepad'}: {error.strerror or error}"
            if self.connected:
                self.connected = False
                self._wake()
            self._stopping.wait(RETRY_S)

    def _read(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        parser = JoydevParser()
        try:
            while not self._stopping.is_set():
                readable, _, _ = select.select([descriptor], [], [], _LOOK_S)
                if not readable:
                    continue
                data = os.read(descriptor, EVENT.size * KEPT)
                if not data:
                    raise OSError(None, "the device ended", str(path))
                self._states.extend(parser.feed(data))
                self.connected, self.error = True, ""
                self._wake()
        finally:
            os.close(descriptor)


def find_joystick(device: str, folder: Path = _FOLDER) -> Path:
    """The device to read; raises `OSError` when there is none."""
    if device:
        return Path(device)
    found = sorted(folder.glob("js*"), key=lambda path: (len(path.name), path.name))
    if not found:
        raise OSError(None, "no joystick there; connect a pad, load the kernel's joydev module", f"{folder}/js*")
    return found[0]


def _put(values: list[T], number: int, value: T, rest: T) -> None:
    values.extend([rest] * (number + 1 - len(values)))
    values[number] = value
