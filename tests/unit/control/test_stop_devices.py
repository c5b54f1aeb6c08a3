"""Devices on the stop topic: nobody opens another's stop, nothing is forgotten, a person clears what is in doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.control import Now, Pressed
from mobile_vla.control.stop_devices import StopDevices

MS = 1_000_000
QUIET_S, BETWEEN_S = 2.0, 0.5
A, B = "aa01", "bb02"
BOTH = {A: "/panel/button", B: "/lidar/bumper"}


class Bench:
    """Stop devices with a hand on the clock."""

    def __init__(self, names: dict[str, str] | None = None) -> None:
        self.devices = StopDevices()
        self.now_ms = 10_000
        self.devices.offer_present(BOTH if names is None else names)

    def say(self, writer: str | None, pressed: bool, reader: int = 0) -> None:
        self.devices.offer(writer, pressed, Now(self.now_ms * MS, 0), reader)

    def present(self, *writers: str) -> None:
        self.devices.offer_present({writer: BOTH[writer] for writer in writers})

    def reset(self, after_ms: int = 600) -> str:
        self.now_ms += after_ms
        return self.devices.held() or self.devices.doubt(QUIET_S, BETWEEN_S, Now(self.now_ms * MS, 0))


def test_who_never_pressed_is_nobody() -> None:
    bench = Bench()
    bench.say(A, False)
    bench.say(None, False)
    assert (bench.devices.pressed, bench.reset()) == ((), "")


def test_a_release_opens_only_the_own_stop() -> None:
    bench = Bench()
    bench.say(A, True)
    bench.say(B, False)
    assert bench.reset() == "refused: still pressed: /panel/button; release that first"
    bench.say(B, True)
    bench.say(A, False)
    assert bench.devices.pressed == (Pressed(B, "/lidar/bumper"),)
    assert "pressed: /lidar/bumper;" in bench.reset()
    bench.say(B, False)
    assert bench.reset() == ""


@pytest.mark.parametrize("first", [0, 1])
def test_a_writer_heard_twice_is_released_when_both_subscriptions_say_so(first: int) -> None:
    """What it said before this process came is heard through one subscription, and may come after newer words."""
    bench, second = Bench(), 1 - first
    bench.say(A, True, first)
    bench.say(A, False, second)
    assert "still pressed" in bench.reset()
    bench.say(A, True, second)
    bench.say(A, False, first)
    assert "still pressed" in bench.reset()
    bench.say(A, False, second)
    assert bench.reset() == ""


def test_who_vanishes_while_pressed_is_cleared_by_asking_twice() -> None:
    bench = Bench()
    bench.say(A, True)
    bench.present(B)
    question = (
        "refused: /panel/button left the graph while pressed; make sure that none is pressed, "
        "then reset again within 10 s"
    )
    assert bench.reset() == question
    assert bench.reset(499) == question, "a double click is no second thought"
    bench.say(B, False)
    assert bench.reset(1) == ""
    assert bench.devices.pressed == ()


def test_a_confirmation_comes_too_late_after_ten_seconds() -> None:
    bench = Bench()
    bench.say(A, True)
    bench.present()
    assert bench.reset()
    assert bench.reset(10_001)
    assert bench.reset(10_000) == ""


def test_a_press_or_another_lost_device_asks_anew() -> None:
    bench = Bench()
    bench.say(A, True)
    bench.say(B, True)
    bench.present(B)
    assert "pressed: /lidar/bumper;" in bench.reset()
    bench.say(B, False)
    assert "/panel/button left" in bench.reset()
    bench.say(B, True)
    bench.present()
    assert "/lidar/bumper, /panel/button left" in bench.reset()
    bench.say("cc", True)
    bench.say("cc", False)
    assert bench.reset(), "somebody pressed between the two"
    assert bench.reset() == ""


def test_who_comes_back_speaks_for_itself() -> None:
    """It may have been released while it was not heard: a volatile subscription then never hears of it."""
    bench = Bench()
    bench.say(A, True, 0)
    bench.say(A, True, 1)
    bench.present(B)
    bench.present(A, B)
    assert "still pressed" in bench.reset()
    bench.say(A, False, 1)
    assert bench.reset() == ""


def test_what_was_pressed_in_another_process_stays_pressed() -> None:
    bench = Bench({})
    bench.devices.restore(Pressed(A, "/panel/button"))
    bench.present(A, B)
    assert "pressed: /panel/button;" in bench.reset()
    bench.present(B)
    assert "/panel/button left" in bench.reset()
    assert bench.reset() == ""


# Where the middleware does not say who spoke


def test_the_only_unknown_writer_releases_itself() -> None:
    bench = Bench({A: BOTH[A]})
    bench.say(None, True)
    assert "still pressed" in bench.reset(3000)
    bench.say(None, False)
    assert bench.reset() == ""


def test_among_several_unknown_writers_no_release_counts() -> None:
    bench = Bench()
    bench.say(None, True)
    bench.say(None, False)
    assert bench.reset(500) == ("refused: a stop device was pressed 0.50 s ago; release it, allowed 2 s after that")
    assert bench.reset(1499)
    asked = bench.reset(1)
    assert "several devices publish on estop" in asked
    assert "reset again within 10 s" in asked
    bench.say(None, True)
    bench.say(None, False)
    assert "0.60 s ago" in bench.reset(), "a press in between begins everything anew"
    assert "several devices" in bench.reset(2000)
    bench.say(None, False)
    assert bench.reset() == ""


@pytest.mark.parametrize("later", [{B: BOTH[B]}, BOTH])
def test_another_unknown_writer_since_the_press_makes_it_doubtful(later: dict[str, str]) -> None:
    bench = Bench({A: BOTH[A]})
    bench.say(None, True)
    bench.devices.offer_present(later)
    bench.say(None, False)
    assert "several devices" in bench.reset(2000)
    assert bench.reset() == ""


def test_an_unknown_writer_that_vanished_or_was_pressed_elsewhere_is_doubtful() -> None:
    bench = Bench({A: BOTH[A]})
    bench.say(None, True)
    bench.devices.offer_present({})
    assert "left the graph while pressed" in bench.reset(2000)
    assert bench.reset() == ""
    bench.devices.restore(Pressed(None, ""))
    bench.present(A)
    bench.say(None, False)
    assert "several devices" in bench.reset(2000)
    assert bench.reset() == ""


words = st.tuples(st.sampled_from([A, B, "cc"]), st.booleans())


@given(st.lists(words, max_size=60), st.sampled_from([A, B, "cc"]))
def test_whatever_others_say_a_pressed_device_is_named(others: list[tuple[str, bool]], pressed: str) -> None:
    bench = Bench({**BOTH, "cc": "/third"})
    bench.say(pressed, True)
    for writer, value in others:
        if writer != pressed:
            bench.say(writer, value)
    assert pressed in {device.writer for device in bench.devices.pressed}
    assert "still pressed" in bench.reset()
