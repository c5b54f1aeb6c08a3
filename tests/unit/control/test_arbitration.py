from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import STILL, ControllerConfig, Now, Velocity
from mobile_vla.control.arbitration import Arbiter
from mobile_vla.control.clock import Rejected

MS = 1_000_000
ROS = 1_000_000 * MS
GO = Velocity(0.2, 0.0, 0.1)


def at(milliseconds: int) -> Now:
    return Now(77 * MS + milliseconds * MS, ROS + milliseconds * MS)


def send(
    arbiter: Arbiter, source: str, now_ms: int, velocity: Velocity = GO, age_ms: int = 0, *, released: bool = False
) -> None:
    arbiter.offer(source, ROS + (now_ms - age_ms) * MS, velocity, at(now_ms), released)


def chosen(arbiter: Arbiter, now_ms: int) -> str:
    selected = arbiter.select(at(now_ms).steady_ns)
    return selected.source if selected else ""


@pytest.fixture
def arbiter() -> Arbiter:
    return Arbiter(ControllerConfig())


def test_nobody_at_first(arbiter: Arbiter) -> None:
    assert chosen(arbiter, 0) == ""
    assert arbiter.lost(at(0).steady_ns) == ""


@pytest.mark.parametrize(("source", "last_ms"), [("joy", 250), ("keyboard", 250), ("web", 250)])
def test_a_source_has_control_until_its_timeout(arbiter: Arbiter, source: str, last_ms: int) -> None:
    send(arbiter, source, 0)
    assert chosen(arbiter, last_ms) == source
    assert chosen(arbiter, last_ms + 1) == ""


def test_zeros_have_control_too(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 0, Velocity(0.005, 0.0, -0.01))
    selected = arbiter.select(at(1).steady_ns)
    assert selected is not None
    assert selected.velocity == STILL


@pytest.mark.parametrize("order", [("joy", "keyboard", "web"), ("web", "keyboard", "joy"), ("keyboard", "joy", "web")])
def test_the_highest_priority_wins_whatever_the_order(arbiter: Arbiter, order: tuple[str, ...]) -> None:
    for index, source in enumerate(order):
        send(arbiter, source, index)
    assert chosen(arbiter, 10) == "joy"
    send(arbiter, "web", 200)
    send(arbiter, "keyboard", 240)
    assert chosen(arbiter, 300) == "keyboard"
    assert chosen(arbiter, 440) == "keyboard"


@pytest.mark.parametrize("velocity", [GO, STILL])
def test_a_source_that_vanishes_in_control_is_remembered_until_its_release(
    arbiter: Arbiter, velocity: Velocity
) -> None:
    send(arbiter, "joy", 0, velocity)
    assert arbiter.lost(at(250).steady_ns) == ""
    assert arbiter.lost(at(251).steady_ns) == "joy"
    send(arbiter, "keyboard", 300, STILL, released=True)
    assert arbiter.lost(at(10_000).steady_ns) == "joy"
    send(arbiter, "joy", 10_001, GO, released=True)
    assert arbiter.lost(at(20_000).steady_ns) == "joy"
    send(arbiter, "joy", 20_001, STILL, released=True)
    assert arbiter.lost(at(30_000).steady_ns) == ""


def test_forgiving_covers_what_has_vanished_and_nothing_that_still_speaks(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 0)
    send(arbiter, "keyboard", 200)
    arbiter.clear_lost(at(300).steady_ns)
    assert arbiter.lost(at(400).steady_ns) == ""
    assert arbiter.lost(at(1000).steady_ns) == "keyboard"


def test_where_no_release_is_demanded_a_neutral_stick_is_one() -> None:
    arbiter = Arbiter(with_values(ControllerConfig(), {"teleop.joy.must_release": False}))
    send(arbiter, "joy", 0)
    assert arbiter.lost(at(1000).steady_ns) == "joy"
    send(arbiter, "joy", 1001, STILL)
    assert arbiter.lost(at(2000).steady_ns) == ""


def test_a_frozen_pad_stops_and_lets_others_drive(arbiter: Arbiter) -> None:
    for moment in range(0, 5001, 50):
        send(arbiter, "joy", moment)
        assert chosen(arbiter, moment) == "joy"
    send(arbiter, "joy", 5050)
    assert chosen(arbiter, 5050) == ""
    assert arbiter.lost(at(5050).steady_ns) == "joy"
    send(arbiter, "keyboard", 5060)
    assert chosen(arbiter, 5060) == "keyboard"
    send(arbiter, "joy", 5070, Velocity(0.21, 0.0, 0.1))
    assert chosen(arbiter, 5070) == "joy"


def test_a_source_that_comes_back_with_the_same_command_is_not_called_frozen_for_its_silence(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 0)
    assert chosen(arbiter, 4000) == ""
    for now_ms in range(4000, 8000, 50):
        send(arbiter, "joy", now_ms)
    assert chosen(arbiter, 8000) == "joy", "four seconds of sending, five are allowed"


def test_a_steady_neutral_stick_is_not_frozen(arbiter: Arbiter) -> None:
    for moment in range(0, 8001, 50):
        send(arbiter, "joy", moment, STILL)
    assert chosen(arbiter, 8000) == "joy"


@pytest.mark.parametrize(
    ("source", "velocity", "age_ms", "code"),
    [
        ("joy", Velocity(math.nan, 0.0, 0.0), 0, "joy.not_finite"),
        ("web", Velocity(0.0, 0.0, math.inf), 0, "web.not_finite"),
        ("joy", Velocity(1e300, 0.0, 0.0), 0, "joy.implausible"),
        ("joy", GO, 251, "joy.too_old"),
        ("joy", GO, -51, "joy.future_stamp"),
        ("joy", GO, ROS // MS + 5000, "joy.zero_stamp"),
        ("pedal", GO, 0, "teleop.unknown_source"),
    ],
)
def test_messages_that_are_ignored(arbiter: Arbiter, source: str, velocity: Velocity, age_ms: int, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        send(arbiter, source, 5000, velocity, age_ms)
    assert caught.value.code == code
    assert chosen(arbiter, 5000) == ""


def test_replayed_messages_do_not_refresh(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 0)
    with pytest.raises(Rejected):
        arbiter.offer("joy", ROS, GO, at(100))
    assert chosen(arbiter, 251) == ""


def test_delay_on_the_way_counts(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 1000, age_ms=200)
    assert chosen(arbiter, 1050) == "joy"
    assert chosen(arbiter, 1051) == ""


def test_a_disabled_source_is_not_listened_to() -> None:
    arbiter = Arbiter(with_values(ControllerConfig(), {"teleop.web.enabled": False}))
    with pytest.raises(Rejected):
        send(arbiter, "web", 0)


def test_disabling_takes_control_away(arbiter: Arbiter) -> None:
    send(arbiter, "web", 0)
    arbiter.configure(with_values(ControllerConfig(), {"teleop.web.enabled": False}))
    assert chosen(arbiter, 1) == ""


def test_stamps_start_over_after_the_clock_went_back(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 5000)
    arbiter.clock_set_back()
    arbiter.offer("joy", ROS, GO, Now(at(5100).steady_ns, ROS))
    assert chosen(arbiter, 5300) == "joy"


def test_a_neutral_stick_is_no_release_unless_it_is_said_to_be(arbiter: Arbiter) -> None:
    arbiter.offer("joy", ROS, STILL, at(0))
    assert arbiter.lost(at(251).steady_ns) == "joy"


def test_a_command_as_old_as_the_timeout_is_still_taken_and_gone_the_moment_after(arbiter: Arbiter) -> None:
    send(arbiter, "joy", 1000, age_ms=250)
    assert chosen(arbiter, 1000) == "joy"
    assert chosen(arbiter, 1001) == ""


@pytest.mark.parametrize(
    ("velocity", "neutral"),
    [
        (Velocity(0.01, 0.01, 0.02), True),
        (Velocity(-0.01, -0.01, -0.02), True),
        (Velocity(0.0101, 0.0, 0.0), False),
        (Velocity(0.0, -0.0101, 0.0), False),
        (Velocity(0.0, 0.0, 0.0201), False),
    ],
)
def test_a_stick_is_neutral_up_to_the_configured_speed_of_every_axis(
    arbiter: Arbiter, velocity: Velocity, neutral: bool
) -> None:
    assert arbiter.neutral(velocity) is neutral
