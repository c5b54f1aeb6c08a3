"""People at the keyboard and at the gamepad: real nodes, a real pseudo-terminal, the real controller."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from mobile_vla.teleop.joydev import AXIS, BUTTON, EVENT, INITIAL
from mobile_vla.teleop.mapping import load_mapping
from mobile_vla_ros.topics import (
    CMD_VEL,
    CONTROLLER_STATE,
    DIAGNOSTICS,
    JOY,
    RECORDER_SAVE,
    TELEOP_JOY,
    TELEOP_KEYBOARD,
)

KEYBOARD = "mobile_vla_nodes.keyboard"
GAMEPAD = "mobile_vla_nodes.gamepad"
CONTROLLER = "mobile_vla_nodes.controller"
ALONE = {"require.camera": False, "require.policy": False}
XBOX = load_mapping("xbox")
BUTTONS = XBOX.buttons.used()
TIMEOUT_S = 0.25
TICK_S = 1 / 30
SLACK_S = 0.06  # this process shares two cores with everything else that runs


class Person:
    """Sits at a pseudo-terminal that belongs to one process."""

    def __init__(self, graph: Any, *arguments: str) -> None:
        self.graph = graph
        self.screen = ""
        self._ours, self.theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.before = termios.tcgetattr(self.theirs)
        self.errors = graph.tmp_path / "keyboard.stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *(arguments or ("-m", KEYBOARD))],
                env=graph.environ,
                stdin=self.theirs,
                stdout=self.theirs,
                stderr=errors,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  (one system call, no lock)
            )
        graph.wait(lambda: "hold to move" in self.look(), what=f"the keyboard's help\n{self.errors.read_text()}")
        graph.wait(lambda: "hands off" in self.look(), what="the live line")

    def look(self) -> str:
        """Everything shown so far."""
        try:
            while data := os.read(self._ours, 65536):
                self.screen += data.decode()
        except BlockingIOError:
            pass
        return self.screen

    def line(self) -> str:
        """The live line."""
        return self.look().rsplit("\r\033[K", maxsplit=1)[-1]

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def hold(self, key: str, seconds: float) -> None:
        """A terminal's repeats of a held key, after their delay."""
        end = time.monotonic() + seconds
        self.type(key)
        self.graph.spin(min(0.5, seconds))
        while time.monotonic() < end:
            self.type(key)
            self.graph.spin(0.04)

    def wait_end(self) -> int:
        self.graph.wait(lambda: (self.look() or True) and self.process.poll() is not None, 10.0, "the keyboard's end")
        return int(self.process.returncode)

    def hang_up(self) -> None:
        """Close the window, or drop the connection."""
        os.close(self._ours)
        self._ours = -1

    def leave(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._ours, self.theirs):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def person(graph: Any) -> Iterator[Person]:
    someone = Person(graph)
    yield someone
    someone.leave()


class Robot:
    """The real controller and what it says and does."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.commands: list[tuple[float, float, float]] = []
        graph.node.create_subscription(
            CMD_VEL.type,
            CMD_VEL.name,
            lambda m: self.commands.append((time.monotonic(), m.linear.x, m.angular.z)),
            CMD_VEL.requested,
        )
        self._states = graph.listen(CONTROLLER_STATE)
        graph.start(CONTROLLER, "controller", ALONE)
        graph.wait(lambda: self._states, what="the controller")

    def value(self, key: str) -> str:
        return next((pair.value for pair in self._states[-1].values if pair.key == key), "")

    def wait(self, mode: str, reason: str = "", source: str = "") -> None:
        wanted = {"mode": mode, "reason": reason, "source": source}
        self.graph.wait(
            lambda: all(self.value(key) == value for key, value in wanted.items() if value), 10.0, f"{wanted}"
        )

    def wait_moving(self) -> None:
        self.graph.wait(lambda: self.commands and self.commands[-1][1] > 0.05, what="motion")

    def braking_after(self, moment: float) -> float:
        """Seconds until the first command that is slower than the one before."""
        later = [command for command in self.commands if command[0] > moment]
        return next(b[0] for a, b in pairwise(later) if b[1] < a[1] - 1e-6) - moment


def stamp_ns(message: Any) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def twist(message: Any) -> tuple[float, float]:
    return message.twist.linear.x, message.twist.angular.z


# keyboard


def test_keyboard_holds_control_from_the_first_key_until_hand_back(graph: Any, person: Person) -> None:
    commands = graph.listen(TELEOP_KEYBOARD)
    graph.wait(lambda: graph.node.count_publishers("/teleop/keyboard") == 1, what="discovery")
    graph.spin(0.5)
    assert commands == []
    person.hold("w", 1.5)
    assert {twist(message) for message in commands} == {(0.2, 0.0)}
    age_s = (graph.node.get_clock().now().nanoseconds - stamp_ns(commands[-1])) / 1e9
    assert -0.01 < age_s < 0.3
    graph.spin(0.6)
    del commands[:]
    graph.spin(1.0)
    assert {twist(message) for message in commands} == {(0.0, 0.0)}
    assert len(commands) == pytest.approx(10, abs=2)
    assert all(stamp_ns(b) > stamp_ns(a) for a, b in pairwise(commands))
    assert "you: +0.00 m/s" in person.line()
    person.type("\x1b[D")
    graph.wait(lambda: twist(commands[-1]) == (0.0, 0.6), what="turning left with an arrow")
    person.type("h")
    graph.wait(lambda: "handed back" in person.look(), what="the hand-back")
    graph.spin(0.2)
    assert twist(commands[-1]) == (0.0, 0.0)
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
        graph.wait(lambda: person.line().startswith("disarmed | none | disarmed"), what="the controller on the screen")
        person.type("e")
        robot.wait("hold")
        person.hold("w", 1.0)
        robot.wait("teleop", source="keyboard")
        robot.wait_moving()
        assert person.line().startswith("teleop | keyboard | ")
        robot.graph.wait(lambda: robot.commands[-1][1] == 0.0, what="standing after letting go")
        robot.wait("teleop", source="keyboard")  # zeros keep control
        person.hold("w", 0.8)
        pressed = time.monotonic()
        person.type(" ")
        robot.wait("estop")
        graph.spin(0.2)
        stopped = next(when for when, linear, _ in robot.commands if when > pressed and linear == 0.0)
        assert stopped - pressed < TICK_S + SLACK_S
        graph.spin(0.6)
        person.type("r")
        robot.wait("disarmed")
        person.type("e")
        robot.wait("teleop", source="keyboard")  # armed again, but still in the person's hands
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


# gamepad


class Driver:
    """A joystick driver that repeats the pad's state 20 times a second, as real ones do."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.axes = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        self.buttons = [0] * 11
        self.stamp: Any = None
        self.running = True
        self._joy = graph.publisher(JOY)
        graph.node.create_timer(0.05, self.say)

    def hold(self, *names: str) -> None:
        self.buttons = [int(number in {BUTTONS[name] for name in names}) for number in range(11)]

    def say(self) -> None:
        if self.running:
            message = Joy(axes=self.axes, buttons=self.buttons)
            message.header.stamp = self.stamp or self.graph.node.get_clock().now().to_msg()
            self._joy.publish(message)


class Status:
    """The gamepad's words on /diagnostics."""

    def __init__(self, graph: Any) -> None:
        self._arrays = graph.listen(DIAGNOSTICS)

    def text(self) -> str:
        found = [part for array in self._arrays for part in array.status if part.name.endswith("gamepad")]
        return found[-1].message if found else ""


@pytest.fixture
def driver(graph: Any) -> Driver:
    graph.start(GAMEPAD, "gamepad")
    driver = Driver(graph)
    status = Status(graph)
    graph.wait(lambda: status.text() == "ready", what="a ready gamepad")
    return driver


def test_gamepad_sends_while_the_deadman_is_held(graph: Any, driver: Driver) -> None:
    commands = graph.listen(TELEOP_JOY)
    graph.wait(lambda: graph.node.count_publishers("/teleop/joy") == 1, what="discovery")
    driver.axes[1] = 1.0
    graph.spin(0.5)
    assert commands == []
    driver.hold("deadman")
    graph.spin(1.0)
    assert {twist(message) for message in commands} == {(0.2, 0.0)}
    assert len(commands) == pytest.approx(20, abs=4)
    assert all(stamp_ns(b) > stamp_ns(a) for a, b in pairwise(commands))
    driver.hold("deadman", "turbo")
    graph.spin(0.3)
    assert twist(commands[-1]) == (0.4, 0.0)
    driver.hold()
    graph.spin(0.6)
    assert twist(commands[-1]) == (0.0, 0.0)
    del commands[:]
    graph.spin(0.5)
    assert commands == []


def test_buttons_reach_controller_and_recorder(graph: Any, driver: Driver) -> None:
    saved: list[bool] = []

    def save(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        saved.append(True)
        response.success = True
        return response

    graph.node.create_service(RECORDER_SAVE.type, RECORDER_SAVE.name, save)
    robot = Robot(graph)

    def press(name: str) -> None:
        driver.hold(name)
        graph.spin(0.15)
        driver.hold()
        graph.spin(0.15)

    press("arm")
    robot.wait("hold")
    press("save")
    graph.wait(lambda: saved, what="the recorder's call")
    press("estop")
    robot.wait("estop")
    graph.spin(0.6)
    press("reset_estop")
    robot.wait("disarmed")
    press("arm")
    robot.wait("hold")
    press("arm")
    robot.wait("disarmed")
    assert saved == [True]


@pytest.mark.parametrize("fault", ["unplugged", "frozen stamps", "NaN", "empty arrays", "killed"])
def test_a_lost_pad_stops_the_robot_in_time(graph: Any, driver: Driver, fault: str) -> None:
    robot = Robot(graph)
    gamepad = graph.processes[0]
    graph.arm()
    driver.hold("deadman")
    driver.axes[1] = 1.0
    robot.wait("teleop", source="joy")
    robot.wait_moving()
    graph.spin(1.0)
    if fault == "unplugged":
        driver.running = False
    elif fault == "frozen stamps":
        driver.stamp = graph.node.get_clock().now().to_msg()
        driver.say()
    elif fault == "NaN":
        driver.axes[1] = float("nan")
    elif fault == "empty arrays":
        driver.axes, driver.buttons = [], []
    else:
        gamepad.kill()
    lost = time.monotonic()
    robot.wait("hold", "teleop_lost")
    graph.spin(0.5)
    assert robot.braking_after(lost) <= TIMEOUT_S + 2 * TICK_S + SLACK_S
    assert robot.commands[-1][1] == 0.0
    if fault == "killed":
        return
    driver.running, driver.stamp = True, None
    driver.axes = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    driver.hold("deadman")
    graph.spin(0.5)
    assert robot.value("reason") == "teleop_lost"
    driver.hold()
    graph.wait(lambda: robot.value("reason") != "teleop_lost", what="forgiveness after the release")


def test_a_pad_lost_at_rest_disarms(graph: Any, driver: Driver) -> None:
    robot = Robot(graph)
    graph.arm()
    driver.hold("deadman")
    robot.wait("teleop", source="joy")
    driver.running = False
    robot.wait("disarmed")


def test_a_device_of_the_kernel(graph: Any) -> None:
    """A pipe in the place of /dev/input/js0; the bytes are the kernel's."""
    device = graph.tmp_path / "js0"
    os.mkfifo(device)
    writer = os.open(device, os.O_RDWR)
    commands, status = graph.listen(TELEOP_JOY), Status(graph)
    graph.start(GAMEPAD, "gamepad", {"source": "device", "device": str(device)})

    def send(kind: int, number: int, value: int) -> None:
        os.write(writer, EVENT.pack(0, value, kind, number))

    for number in range(11):
        send(BUTTON | INITIAL, number, 0)
    for number in range(8):
        send(AXIS | INITIAL, number, 0)
    graph.wait(lambda: status.text() == "ready", what="a ready gamepad")
    send(BUTTON, BUTTONS["deadman"], 1)
    send(AXIS, 1, -32767)
    graph.wait(lambda: commands and twist(commands[-1]) == (0.2, 0.0), what="driving forward")
    del commands[:]
    graph.spin(1.0)  # a stick held still sends nothing, and that is no loss
    assert {twist(message) for message in commands} == {(0.2, 0.0)}
    os.close(writer)
    graph.wait(lambda: "the device ended" in status.text(), what="the lost device")
    del commands[:]
    graph.spin(0.5)
    assert commands == []


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"mapping": "xbx"}, "unknown teleop 'xbx'; did you mean 'xbox'?"),
        ({"mapping": "BROKEN"}, "turn.axis is missing"),
        ({"timeout_s": 0.1}, "timeout_s must be >= 2.5 x the driver's period"),
        ({"linear_mps": -1.0}, "linear_mps must be > 0, got -1"),
    ],
)
def test_nonsense_ends_with_one_sentence(graph: Any, parameters: dict[str, Any], sentence: str) -> None:
    broken = graph.tmp_path / "broken.yaml"
    broken.write_text("forward: {axis: 1}\nbuttons: {deadman: 4, estop: 1}\n")
    parameters = {name: str(broken) if value == "BROKEN" else value for name, value in parameters.items()}
    process = graph.start(GAMEPAD, "gamepad", parameters)
    assert process.wait(20) == 2, process.output()
    (line,) = process.output().strip().splitlines()
    assert sentence in line


def test_messages_of_another_type_on_joy_are_no_pad(graph: Any) -> None:
    status = Status(graph)
    graph.start(GAMEPAD, "gamepad")
    wrong = graph.node.create_publisher(String, "joy", JOY.offered)
    graph.node.create_timer(0.05, lambda: wrong.publish(String(data="hello")))
    graph.wait(lambda: status.text() == "no gamepad says anything", what="the missing pad")


def test_settings_change_while_the_nodes_run(graph: Any, driver: Driver) -> None:
    client = graph.node.create_client(SetParameters, "gamepad/set_parameters")
    graph.wait(client.service_is_ready, what="the parameter service")

    def set_parameter(name: str, value: Any) -> Any:
        future = client.call_async(SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()]))
        graph.wait(future.done, what="the answer")
        return future.result().results[0]

    assert set_parameter("linear_mps", 0.3).successful
    assert "timeout_s must be >=" in set_parameter("timeout_s", 0.1).reason
    assert "cannot be changed while the node runs" in set_parameter("mapping", "f710").reason
    commands = graph.listen(TELEOP_JOY)
    driver.hold("deadman")
    driver.axes[1] = 1.0
    graph.wait(lambda: commands and twist(commands[-1]) == (pytest.approx(0.3), 0.0), what="the new speed")
