"""A gamepad: commands, timeouts, frozen and reconnected pads."""

from __future__ import annotations

import math
from typing import Any

import pytest
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from mobile_vla.config import with_values
from mobile_vla.control import STILL, Now, Velocity
from mobile_vla.teleop.config import GamepadConfig
from mobile_vla.teleop.mapping import load_mapping
from mobile_vla.teleop.pad import Pad, PadAction

MS = 1_000_000
ROS_NS = 1_700_000_000_000_000_000
XBOX = load_mapping("xbox")
BUTTONS = XBOX.buttons.used()


class Hands:
    """Holds a pad; `drive` lets a driver repeat its state every 50 ms and asks for the command at each."""

    def __init__(self, **values: Any) -> None:
        self.pad = Pad(with_values(GamepadConfig(linear_mps=0.2, turn_radps=0.6), values), XBOX)
        self.ms = 0
        self.axes = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        self.buttons = [0] * 11

    @property
    def now(self) -> Now:
        return Now((5000 + self.ms) * MS, ROS_NS + self.ms * MS)

    def hold(self, *names: str) -> None:
        self.buttons = [int(number in {BUTTONS[name] for name in names}) for number in range(11)]

    def say(self, stamp_ms: int | None = None) -> list[PadAction]:
        stamp_ns = ROS_NS + (self.ms if stamp_ms is None else stamp_ms) * MS
        return self.pad.offer(self.axes, self.buttons, stamp_ns, self.now)

    def ask(self) -> Velocity | None:
        command = self.pad.command(self.now)
        self.released = command is not None and command.released
        return command and command.velocity

    def wait(self, milliseconds: int) -> None:
        self.ms += milliseconds

    def drive(self, milliseconds: int) -> list[Velocity | None]:
        asked = []
        for _ in range(0, milliseconds, 50):
            self.wait(50)
            self.say()
            asked.append(self.ask())
        return asked


@pytest.fixture
def hands() -> Hands:
    hands = Hands()
    hands.drive(100)
    return hands


def driving(hands: Hands, milliseconds: int = 200) -> None:
    hands.hold("deadman")
    hands.axes[1] = 1.0
    hands.drive(milliseconds)


def test_the_deadman_decides(hands: Hands) -> None:
    hands.axes[1] = 1.0
    assert hands.drive(200) == [None] * 4
    hands.hold("deadman")
    assert hands.drive(200) == [Velocity(0.2, 0.0, 0.0)] * 4
    hands.axes[1] = 0.0
    assert hands.drive(100) == [STILL] * 2
    assert not hands.released
    hands.axes[1] = 1.0
    hands.hold()
    assert hands.drive(50) == [STILL]
    assert hands.released
    asked = hands.drive(450)
    assert asked[:4] == [STILL] * 4  # enough of them for the controller to see one
    assert asked[-4:] == [None] * 4


def test_sticks_turbo_and_dead_zone(hands: Hands) -> None:
    hands.hold("deadman", "turbo")
    hands.axes[1], hands.axes[3] = -1.0, 0.5
    (asked,) = hands.drive(50)
    assert asked == Velocity(-0.4, 0.0, pytest.approx(0.6 * (0.5 - 0.12) / 0.88))
    hands.axes[1], hands.axes[3] = 0.12, -0.12
    assert hands.drive(50) == [STILL]
    hands.axes[1] = 0.13
    assert 0 < hands.drive(50)[0].forward < 0.01


def test_commands_carry_the_stamp_of_the_last_pad_message(hands: Hands) -> None:
    driving(hands)
    hands.wait(200)
    command = hands.pad.command(hands.now)
    assert command.stamp_ns == hands.now.ros_ns - 200 * MS
    hands.axes[1] = 0.0
    hands.say()
    hands.wait(200)
    command = hands.pad.command(hands.now)
    assert (command.velocity, command.stamp_ns) == (STILL, hands.now.ros_ns)


@pytest.mark.parametrize("silence", ["nothing", "repeated stamps", "zero stamps", "NaN", "empty", "too few axes"])
def test_a_pad_that_times_out_needs_a_deadman_release(hands: Hands, silence: str) -> None:
    driving(hands)
    last_ms, good = hands.ms, list(hands.axes)
    for _ in range(6):
        hands.wait(50)
        if silence == "repeated stamps":
            hands.say(last_ms)
        elif silence == "zero stamps":
            hands.pad.offer(hands.axes, hands.buttons, 0, hands.now)
        elif silence == "NaN":
            hands.axes[1] = math.nan
            hands.say()
        elif silence == "empty":
            hands.pad.offer([], [], hands.now.ros_ns, hands.now)
        elif silence == "too few axes":
            hands.pad.offer([0.0], hands.buttons, hands.now.ros_ns, hands.now)
        expected = Velocity(0.2, 0.0, 0.0) if hands.ms - last_ms <= 250 else None
        assert hands.ask() == expected
    assert not hands.released  # the controller sees it vanish and waits for a release
    assert "release the deadman" in hands.pad.error(hands.now)
    hands.axes = good
    assert hands.drive(200) == [None] * 4  # back, deadman still held
    hands.hold()
    assert hands.drive(100) == [STILL] * 2
    assert hands.released
    hands.axes[1] = 0.0
    hands.drive(50)
    driving(hands, 50)
    assert hands.ask() == Velocity(0.2, 0.0, 0.0)


def test_a_pad_lost_at_rest_is_no_release(hands: Hands) -> None:
    hands.hold("deadman")
    assert hands.drive(100) == [STILL] * 2
    assert not hands.released
    hands.wait(300)
    assert hands.ask() is None
    assert hands.drive(100) == [None] * 2  # back, deadman still held
    hands.hold()
    assert hands.drive(50) == [STILL]
    assert hands.released


def test_a_pad_whose_values_never_change_is_frozen(hands: Hands) -> None:
    driving(hands, 5000)
    assert hands.ask() == Velocity(0.2, 0.0, 0.0)
    assert hands.drive(200)[-1] is None
    assert "frozen" in hands.pad.error(hands.now)
    hands.axes[1] = 0.99
    assert hands.drive(100) == [None] * 2


def test_a_stick_with_jitter_is_not_frozen(hands: Hands) -> None:
    driving(hands)
    for step in range(200):
        hands.axes[1] = 0.9 + 0.001 * (step % 2)
        assert hands.drive(50)[0] is not None


def test_a_stick_at_rest_is_not_frozen(hands: Hands) -> None:
    hands.hold("deadman")
    assert hands.drive(20_000) == [STILL] * 400


def test_a_deadman_held_from_the_start_counts_after_its_release() -> None:
    hands = Hands()
    hands.hold("deadman")
    assert hands.drive(500) == [None] * 10
    assert "held from the start" in hands.pad.error(hands.now)
    hands.hold()
    hands.drive(50)
    driving(hands, 50)
    assert hands.ask() == Velocity(0.2, 0.0, 0.0)


def test_a_deadman_held_when_the_pad_comes_back_counts_after_its_release(hands: Hands) -> None:
    hands.wait(1000)
    hands.hold("deadman")
    assert hands.drive(200) == [None] * 4


def test_an_axis_that_never_rests_does_not_drive() -> None:
    """A trigger mistaken for a stick rests at one."""
    hands = Hands()
    hands.axes[3] = 1.0
    hands.drive(100)
    hands.hold("deadman")
    assert hands.drive(200) == [STILL] * 4
    assert "turn (axis 3) has never been at rest" in hands.pad.error(hands.now)


@pytest.mark.parametrize("name", ["reset_estop", "arm", "save"])
def test_buttons_act_once_when_pressed(hands: Hands, name: str) -> None:
    hands.hold(name)
    hands.wait(50)
    assert hands.say() == [PadAction(name)]
    hands.wait(50)
    assert hands.say() == []


def test_buttons_held_from_the_start_do_nothing_but_stop() -> None:
    hands = Hands()
    hands.hold("arm", "save", "reset_estop", "estop")
    assert hands.say() == [PadAction.ESTOP]


@pytest.mark.parametrize("damage", ["NaN", "stamp", "axes"])
def test_an_emergency_stop_is_heard_in_a_damaged_state(hands: Hands, damage: str) -> None:
    hands.hold("estop")
    axes = [math.nan] * 8 if damage == "NaN" else [] if damage == "axes" else hands.axes
    stamp_ns = 0 if damage == "stamp" else hands.now.ros_ns + MS
    assert hands.pad.offer(axes, hands.buttons, stamp_ns, hands.now) == [PadAction.ESTOP]
    assert hands.pad.offer(axes, hands.buttons, stamp_ns, hands.now) == []
    hands.hold()
    hands.pad.offer(axes, hands.buttons, stamp_ns, hands.now)
    hands.hold("estop")
    assert hands.pad.offer(axes, hands.buttons, stamp_ns, hands.now) == [PadAction.ESTOP]


def test_a_zero_stamp_is_named_as_such() -> None:
    hands = Hands()
    hands.pad.offer(hands.axes, hands.buttons, 0, hands.now)
    assert "driver must stamp" in hands.pad.error(hands.now)


def test_an_inverted_axis() -> None:
    mapping = with_values(XBOX, {"forward.inverted": True})
    hands = Hands()
    hands.pad = Pad(GamepadConfig(linear_mps=0.2), mapping)
    hands.drive(100)
    driving(hands, 50)
    assert hands.ask() == Velocity(-0.2, 0.0, 0.0)


def test_a_connected_device_that_says_nothing_new_is_alive_until_it_is_unplugged(hands: Hands) -> None:
    driving(hands)
    for _ in range(40):
        hands.wait(50)
        hands.pad.keep_alive(hands.now)
        assert hands.ask() == Velocity(0.2, 0.0, 0.0)
    hands.pad.disconnect()
    hands.pad.keep_alive(hands.now)
    assert hands.ask() is None
    assert "no gamepad says anything; release the deadman" in hands.pad.error(hands.now)


def test_a_connected_device_must_speak_again_after_a_gap_in_which_the_process_did_not_run(hands: Hands) -> None:
    driving(hands)
    hands.wait(300)  # the timeout is 250 ms
    hands.pad.keep_alive(hands.now)
    assert hands.ask() is None
    assert "release the deadman" in hands.pad.error(hands.now)


def test_a_device_plugged_in_with_the_deadman_held_drives_after_its_release(hands: Hands) -> None:
    hands.pad.disconnect()
    hands.hold("deadman")
    assert hands.drive(200) == [None] * 4
    hands.hold()
    hands.drive(50)
    hands.hold("deadman")
    assert hands.drive(50) == [STILL]


def test_keeping_control_until_hand_back() -> None:
    hands = Hands(keep_control=True)
    hands.drive(100)
    driving(hands)
    hands.hold()
    assert hands.drive(2000) == [STILL] * 40
    hands.wait(1000)
    assert hands.ask() == STILL  # a pad lost meanwhile gives nothing back either
    hands.hold("hand_back")
    assert hands.drive(500)[-1] is None


def test_a_driver_whose_clock_is_set_back_is_heard_again(hands: Hands) -> None:
    driving(hands)
    asked = []
    for _ in range(10):
        hands.wait(50)
        hands.say(hands.ms - 100_000)
        asked.append(hands.ask())
    assert asked == [Velocity(0.2, 0.0, 0.0)] * 10
    assert hands.pad.rejections.counts == {"joy.out_of_order": 1}


@pytest.mark.parametrize(
    ("axes", "buttons", "sentence"),
    [
        ([], [], "the pad sent 0 axes and 0 buttons"),
        ([0.0] * 6, [0] * 11, "the pad has 6 axes, its mapping 8"),
        ([0.0] * 8, [0] * 4, "the pad has 4 buttons"),
        ([0.0, math.inf, *[0.0] * 6], [0] * 11, "axis 1 says inf"),
        ([0.0, 1e30, *[0.0] * 6], [0] * 11, "axis 1 says 1e+30"),
    ],
)
def test_unusable_states_are_explained(axes: list[float], buttons: list[int], sentence: str) -> None:
    hands = Hands()
    hands.pad.offer(axes, buttons, ROS_NS, hands.now)
    assert sentence in hands.pad.error(hands.now)
    assert sum(hands.pad.rejections.counts.values()) == 1


VALUES = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, -1.0]))
STATES = st.tuples(
    st.one_of(st.lists(VALUES, max_size=9), st.lists(st.floats(-1, 1), min_size=8, max_size=8)),
    st.one_of(st.lists(st.integers(0, 1), max_size=12), st.lists(st.integers(0, 1), min_size=11, max_size=11)),
    st.one_of(st.none(), st.integers(-(2**40), 2**62)),
    st.integers(0, 400),
)


@settings(max_examples=examples(100))
@given(st.lists(STATES, max_size=30))
def test_any_states_keep_the_invariants(states: list[Any]) -> None:
    hands = Hands()
    heard_ms = None
    for axes, buttons, stamp, later_ms in states:
        hands.wait(later_ms)
        before = sum(hands.pad.rejections.counts.values())
        stamp_ns = hands.now.ros_ns if stamp is None else stamp
        hands.pad.offer(axes, buttons, stamp_ns, hands.now)
        if sum(hands.pad.rejections.counts.values()) == before:
            heard_ms, deadman = hands.ms, bool(buttons[BUTTONS["deadman"]])
        asked = hands.ask()
        if asked not in (None, STILL):
            assert deadman
            assert hands.ms - heard_ms <= 250
            assert all(math.isfinite(part) for part in asked)
            assert abs(asked.forward) <= 0.4 + 1e-9 and abs(asked.turn) <= 0.6 + 1e-9
