"""Hold-to-move: what a terminal sends for a held key, and what the robot is asked to do meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.control import STILL, Velocity
from mobile_vla.teleop.config import KeyboardConfig
from mobile_vla.teleop.keys import ACTIONS, MOTIONS, KeyAction, KeyboardTeleop, KeyDecoder

MS = 1_000_000
CONFIG = KeyboardConfig(linear_mps=0.2, turn_radps=0.6, first_hold_s=0.7, repeat_hold_s=0.25)
FORWARD = Velocity(0.2, 0.0, 0.0)


class Typist:
    """A pilot with a hand on its clock."""

    def __init__(self, config: KeyboardConfig = CONFIG) -> None:
        self.pilot = KeyboardTeleop(config)

    def press(self, key: str, at_ms: float) -> KeyAction | None:
        return self.pilot.press(key, int(at_ms * MS))

    def asked(self, at_ms: float) -> Velocity | None:
        return self.pilot.command(int(at_ms * MS))


@pytest.mark.parametrize("delay_ms", [200, 250, 500, 660])
@pytest.mark.parametrize("gap_ms", [25, 33, 92])
def test_a_held_key_moves_without_a_pause(delay_ms: int, gap_ms: int) -> None:
    """Over the repeat delays and rates of Linux consoles, X, Wayland, macOS and Windows."""
    typist = Typist()
    characters = [0, *range(delay_ms, delay_ms + 2000, gap_ms)]
    moments = sorted({*characters, *range(0, characters[-1], 10)})
    for moment in moments:
        if moment in characters:
            typist.press("w", moment)
        assert typist.asked(moment) == FORWARD, moment
    assert typist.asked(characters[-1] + 249) == FORWARD
    assert typist.asked(characters[-1] + 250) == STILL  # let go: no later than the short hold


def test_a_tap_ends_after_the_first_hold() -> None:
    typist = Typist()
    typist.press("w", 0)
    assert typist.asked(699) == FORWARD
    assert typist.asked(700) == STILL
    typist.press("w", 5000)
    assert typist.asked(5699) == FORWARD


def test_zeros_until_hand_back_and_nothing_before_the_first_key() -> None:
    typist = Typist()
    assert typist.asked(0) is None
    typist.press("w", 0)
    assert typist.asked(60_000) == STILL
    assert typist.press("h", 60_001) is KeyAction.HAND_BACK
    assert typist.asked(60_001) is None
    typist.press("k", 61_000)
    assert typist.asked(61_000) == STILL


def test_only_the_same_key_while_it_is_held_repeats() -> None:
    typist = Typist()
    typist.press("w", 0)
    typist.press("w", 5000)  # long let go, though nobody asked meanwhile
    assert typist.asked(5699) == FORWARD
    typist.press("s", 5699)
    assert typist.asked(6398) == Velocity(-0.2, 0.0, 0.0)
    assert typist.asked(6399) == STILL


def test_the_newest_key_replaces_the_one_before() -> None:
    typist = Typist()
    typist.press("w", 0)
    typist.press("a", 50)
    assert typist.asked(51) == Velocity(0.0, 0.0, 0.6)
    typist.press("k", 60)
    assert typist.asked(61) == STILL


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("w", (0.2, 0, 0)),
        ("s", (-0.2, 0, 0)),
        ("a", (0, 0, 0.6)),
        ("d", (0, 0, -0.6)),
        ("u", (0.2, 0, 0.6)),
        ("o", (0.2, 0, -0.6)),
        ("m", (-0.2, 0, -0.6)),
        (".", (-0.2, 0, 0.6)),
        ("left", (0, 0, 0.6)),
        ("down", (-0.2, 0, 0)),
        ("W", (0.2, 0, 0)),  # caps lock
        ("A", (0, 0, 0.6)),  # no sideways motion on this base
        ("A", (0, 0.1, 0)),
        ("D", (0, -0.1, 0)),
    ],
)
def test_directions(key: str, expected: tuple[float, float, float]) -> None:
    lateral = 0.1 if expected[1] else 0.0
    typist = Typist(KeyboardConfig(lateral_mps=lateral))
    typist.press(key, 0)
    assert typist.asked(1) == Velocity(*expected)


def test_speed_keys_stay_between_a_tenth_and_full() -> None:
    typist = Typist()
    for _ in range(30):
        typist.press("-", 0)
    typist.press("w", 0)
    assert typist.asked(1) == Velocity(pytest.approx(0.02), 0.0, 0.0)
    for _ in range(30):
        typist.press("+", 0)
    assert typist.asked(1) == FORWARD


def test_an_emergency_stop_takes_control_and_stands_still() -> None:
    typist = Typist()
    typist.press("w", 0)
    assert typist.press(" ", 10) is KeyAction.ESTOP
    assert typist.asked(11) == STILL
    assert [typist.press(" ", moment) for moment in (20, 30, 40)] == [KeyAction.ESTOP] * 3


def test_a_held_action_key_acts_once() -> None:
    typist = Typist()
    assert typist.press("e", 0) is KeyAction.ARM
    assert [typist.press("e", moment) for moment in (500, 530, 560, 1200)] == [None] * 4
    assert typist.press("e", 2000) is KeyAction.ARM
    assert typist.press("r", 2010) is KeyAction.RESET_ESTOP
    assert typist.press("e", 2020) is KeyAction.ARM


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"w", ["w"]),
        (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        (b"\x1bOA", ["up"]),
        (b"\x1b[1;5A", []),  # Ctrl and an arrow
        (b"\x1b[3~", []),
        (b"\x1b[15~w", ["w"]),
        (b"\x1bh", []),  # Alt and h hands nothing back
        (b"\xc3\xa4\x00\x01\x7f\r\n\t", []),
        (b"\x1b ", [" "]),
        (b"\x1b[ ", [" "]),
        (b"\x1b[1; w", [" ", "w"]),
    ],
)
def test_decoding(data: bytes, keys: list[str]) -> None:
    assert KeyDecoder().feed(data, 0) == keys
    decoder = KeyDecoder()
    assert [key for byte in data for key in decoder.feed(bytes([byte]), 0)] == keys


def test_a_lone_escape_does_not_swallow_later_keys() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b", 0) == []
    assert decoder.feed(b"w", 500 * MS) == ["w"]


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 2000)), max_size=30))
def test_any_bytes_keep_the_invariants(pieces: list[tuple[bytes, int]]) -> None:
    decoder, typist, now_ms = KeyDecoder(), Typist(), 0
    spaces = stops = 0
    for data, later_ms in pieces:
        now_ms += later_ms
        spaces += data.count(b" ")
        for key in decoder.feed(data, now_ms * MS):
            stops += typist.press(key, now_ms) is KeyAction.ESTOP
        asked = typist.asked(now_ms)
        assert asked is None or (abs(asked.forward) <= 0.2 and asked.left == 0 and abs(asked.turn) <= 0.6)
    assert stops == spaces
    assert typist.asked(now_ms + 701) in (None, STILL)


def test_every_key_has_one_meaning() -> None:
    assert not set(MOTIONS) & set(ACTIONS)


def test_keys_typed_during_a_suspend_stop_but_do_not_move() -> None:
    typist = Typist()
    for at_ms in range(0, 1000, 100):
        typist.pilot.running(at_ms * MS)
        typist.press("w", at_ms)
    assert typist.asked(950) == FORWARD
    typist.pilot.running(5_000 * MS)
    assert typist.asked(5_000) == STILL
    for at_ms in (5_001, 5_299):
        assert typist.press("w", at_ms) is None
        assert typist.press("e", at_ms) is None
        assert typist.press("h", at_ms) is None
    assert typist.asked(5_299) == STILL
    assert typist.press(" ", 5_299) is KeyAction.ESTOP
    typist.pilot.running(5_300 * MS)
    typist.press("w", 5_300)
    assert typist.asked(5_301) == FORWARD
