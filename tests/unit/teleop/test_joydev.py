"""The kernel's joystick events, from bytes and from a pipe in a device's place."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mobile_vla.teleop.joydev import AXIS, BUTTON, EVENT, INITIAL, JoydevParser, JoystickReader, PadState, find_joystick


def event(kind: int, number: int, value: int) -> bytes:
    return EVENT.pack(0, value, kind, number)


def initial(axes: int, buttons: int) -> bytes:
    return b"".join(
        [
            *(event(BUTTON | INITIAL, number, 0) for number in range(buttons)),
            *(event(AXIS | INITIAL, number, 0) for number in range(axes)),
        ]
    )


def test_initial_events_give_the_whole_state_at_once() -> None:
    assert JoydevParser().feed(initial(8, 11)) == [PadState((0.0,) * 8, (0,) * 11)]


def test_signs_and_scale_are_those_of_ros() -> None:
    parser = JoydevParser()
    parser.feed(initial(2, 1))
    up, right, released = parser.feed(event(AXIS, 1, -32767) + event(AXIS, 0, 32767) + event(AXIS, 1, 0))
    assert up.axes == (0.0, 1.0)
    assert right.axes == (-1.0, 1.0)
    assert released.axes == (-1.0, 0.0)
    assert parser.feed(event(AXIS, 1, -32768))[0].axes[1] == 1.0


def test_a_short_press_is_not_lost() -> None:
    parser = JoydevParser()
    parser.feed(initial(2, 2))
    states = parser.feed(event(BUTTON, 1, 1) + event(BUTTON, 1, 0))
    assert [state.buttons for state in states] == [(0, 1), (0, 0)]


def test_events_in_pieces() -> None:
    parser = JoydevParser()
    data = initial(2, 2) + event(BUTTON, 0, 1)
    states = [state for byte in data for state in parser.feed(bytes([byte]))]
    assert states[-1] == PadState((0.0, 0.0), (1, 0))


def wait(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not happen"
        threading.Event().wait(0.005)


def test_reader_follows_a_device_and_says_when_it_is_gone(tmp_path: Path) -> None:
    device = tmp_path / "js0"
    os.mkfifo(device)
    writer = os.open(device, os.O_RDWR)
    woken: list[bool] = []
    reader = JoystickReader(str(device), lambda: woken.append(True))
    reader.start()
    try:
        os.write(writer, initial(8, 11))
        wait(lambda: reader.connected)
        assert reader.take() == [PadState((0.0,) * 8, (0,) * 11)]
        os.write(writer, event(BUTTON, 4, 1))
        wait(lambda: len(woken) >= 2)
        (state,) = reader.take()
        assert state.buttons[4] == 1
        os.close(writer)
        wait(lambda: not reader.connected)
        assert "the device ended" in reader.error
    finally:
        assert reader.stop()


def test_reader_says_what_is_missing_and_stops_at_once(tmp_path: Path) -> None:
    reader = JoystickReader(str(tmp_path / "js7"), lambda: None)
    reader.start()
    wait(lambda: "No such file" in reader.error)
    start = time.monotonic()
    assert reader.stop()
    assert time.monotonic() - start < 0.5
    assert not reader.connected


def test_the_first_joystick_is_chosen(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no joystick there"):
        find_joystick("", tmp_path)
    for name in ("js10", "js2", "event3"):
        (tmp_path / name).touch()
    assert find_joystick("", tmp_path) == tmp_path / "js2"
    assert find_joystick("/dev/input/js1", tmp_path) == Path("/dev/input/js1")
