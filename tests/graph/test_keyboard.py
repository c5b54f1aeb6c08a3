"""The keyboard node at a real pseudo-terminal, with the real controller."""

from __future__ import annotations

import signal
import sys
import termios
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from retried import retried
from teleop_people import KEYBOARD, SHARED, SLACK_S, TICK_S, Person, Robot, stamp_ns, twist, usual_period_s

from mobile_vla.control import RELEASED
from mobile_vla_ros.topics import (
    TELEOP_KEYBOARD,
)


@pytest.fixture
def person(graph: Any) -> Iterator[Person]:
    someone = Person(graph)
    yield someone
    someone.leave()


def test_keyboard_holds_control_from_the_first_key_until_hand_back(graph: Any, person: Person) -> None:
    commands = graph.listen(TELEOP_KEYBOARD)
    graph.wait(lambda: graph.node.count_publishers("/teleop/keyboard") == 1, what="discovery")
    graph.spin(0.5)
    assert commands == []
    person.hold("w", 1.5)
    assert {twist(message) for message in commands} == {(0.2, 0.0)}

    def fresh() -> float:
        person.hold("w", 0.5)
        age_s = (graph.node.get_clock().now().nanoseconds - stamp_ns(commands[-1])) / 1e9
        assert age_s < 0.3
        return age_s

    assert retried(fresh, SHARED) > -0.01
    graph.spin(0.6)
    del commands[:]
    graph.spin(1.0)
    assert {twist(message) for message in commands} == {(0.0, 0.0)}
    assert usual_period_s(commands) == pytest.approx(0.1, rel=0.1)
    assert all(stamp_ns(b) > stamp_ns(a) for a, b in pairwise(commands))
    assert "you: +0.00 m/s" in person.line()
    person.type("\x1b[D")
    graph.wait(lambda: twist(commands[-1]) == (0.0, 0.6), what="turning left with an arrow")
    person.type("h")
    graph.wait(lambda: "handed back" in person.look(), what="the hand-back")
    graph.spin(0.2)
    assert twist(commands[-1]) == (0.0, 0.0)
    assert [message.header.frame_id == RELEASED for message in commands[-2:]] == [False, True]
    del commands[:]
    graph.spin(0.5)
    assert commands == []


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "SIGHUP", "Ctrl-C", "q"])
def test_the_terminal_is_put_back(person: Person, way: str) -> None:
    assert termios.tcgetattr(person.theirs) != person.before
    if way == "q":
        person.type("q")
    elif way == "Ctrl-C":
        person.type("\x03")
    else:
        person.process.send_signal(signal.Signals[way])
    assert person.wait_end() == 0, person.errors.read_text()
    assert termios.tcgetattr(person.theirs) == person.before
    assert person.errors.read_text() == ""


def test_ctrl_z_and_ctrl_s_do_not_stop_the_keyboard(graph: Any, person: Person) -> None:
    commands = graph.listen(TELEOP_KEYBOARD)
    person.type("\x1a\x13\x1ck")
    graph.wait(lambda: len(commands) > 5, what="zeros")
    assert person.process.poll() is None


def test_driving_by_keyboard_from_arming_to_emergency_stop(graph: Any) -> None:
    robot = Robot(graph)
    person = Person(graph)
    try:
        graph.wait(
            lambda: person.line().startswith("mode disarmed, source none, reason disarmed"),
            what="the controller on the screen",
        )
        person.type("e")
        robot.wait("hold")
        person.hold("w", 1.0)
        robot.wait("teleop", source="keyboard")
        robot.wait_moving()
        assert person.line().startswith("mode teleop, source keyboard, reason ")
        robot.graph.wait(lambda: robot.commands[-1][1] == 0.0, what="standing after letting go")
        robot.wait("teleop", source="keyboard")  # zeros keep control

        def stop() -> None:
            person.hold("w", 0.8)
            pressed = time.monotonic()
            person.type(" ")
            robot.wait("estop")
            graph.spin(0.8)
            stopped = next(when for when, linear, _ in robot.commands if when > pressed and linear == 0.0)
            person.type("r")
            robot.wait("disarmed")
            person.type("e")
            robot.wait("teleop", source="keyboard")  # armed again, but still in the person's hands
            assert stopped - pressed < TICK_S + SLACK_S

        retried(stop, SHARED)
        person.type("h")
        robot.wait("hold")
    finally:
        person.leave()


@pytest.mark.parametrize("way", ["q", "SIGTERM", "hang-up"])
def test_leaving_without_handing_back_disarms(graph: Any, way: str) -> None:
    robot = Robot(graph)
    person = Person(graph)
    try:
        person.type("k")
        graph.wait(lambda: "you: +0.00" in person.line(), what="taking over")
        person.type("e")
        robot.wait("teleop", source="keyboard")
        if way == "hang-up":
            person.hang_up()
        elif way == "q":
            person.type("q")
        else:
            person.process.send_signal(signal.SIGTERM)
        robot.wait("disarmed")
        graph.wait(lambda: person.process.poll() is not None, 10.0, "the end")
        assert person.process.returncode == 0, person.errors.read_text()
    finally:
        person.leave()


def test_a_keyboard_killed_while_it_has_control_holds_the_robot_until_a_hand_back(graph: Any) -> None:
    robot = Robot(graph)
    person = Person(graph)
    try:
        graph.arm()
        person.type("k")
        robot.wait("teleop", source="keyboard")
        person.process.kill()
        robot.wait("hold", "teleop_lost")
        graph.spin(1.5)
        assert robot.value("reason") == "teleop_lost"
    finally:
        person.leave()
    another = Person(graph)
    try:
        graph.wait(
            lambda: "mode hold, source none, reason teleop_lost" in another.line(),
            what="the reason on the next one's screen",
        )
        another.type("h")
        graph.wait(lambda: robot.value("reason") != "teleop_lost", what="the hand-back")
    finally:
        another.leave()


def test_quitting_with_hands_off_changes_nothing(graph: Any) -> None:
    robot = Robot(graph)
    person = Person(graph)
    try:
        graph.arm()
        person.type("q")
        assert person.wait_end() == 0
        graph.spin(0.5)
        assert robot.value("mode") == "hold"
    finally:
        person.leave()


def test_an_emergency_stop_that_found_no_controller_is_repeated(graph: Any, person: Person) -> None:
    person.type(" ")
    graph.wait(lambda: "still asking" in person.look(), what="the missing controller on the screen")
    robot = Robot(graph)
    robot.wait("estop")


def test_vla_teleop_is_the_keyboard(graph: Any) -> None:
    commands = graph.listen(TELEOP_KEYBOARD, "robot1")
    vla = str(Path(sys.executable).with_name("vla"))
    person = Person(graph, vla, "teleop", "--namespace", "robot1", "--linear-mps", "0.35")
    try:
        graph.wait(lambda: graph.node.count_publishers("/robot1/teleop/keyboard") == 1, what="discovery")
        person.hold("w", 0.5)
        graph.wait(lambda: commands, what="commands in the namespace")
        assert twist(commands[0]) == (0.35, 0.0)
        person.type("q")
        assert person.wait_end() == 0
        assert termios.tcgetattr(person.theirs) == person.before
    finally:
        person.leave()


def test_no_terminal_is_one_sentence(graph: Any) -> None:
    process = graph.start(KEYBOARD, "keyboard")
    assert process.wait(20) == 2
    (line,) = process.output().strip().splitlines()
    assert "needs a terminal" in line
