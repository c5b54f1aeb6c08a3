"""The gamepad node behind an imitated driver or device, with the real controller."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from typing import Any

import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from retried import retried
from std_msgs.msg import String
from std_srvs.srv import Trigger
from teleop_people import (
    BUTTONS,
    GAMEPAD,
    SHARED,
    SLACK_S,
    TICK_S,
    TIMEOUT_S,
    Driver,
    Robot,
    Status,
    stamp_ns,
    twist,
    usual_period_s,
)

from mobile_vla.control import RELEASED
from mobile_vla.teleop.joydev import AXIS, BUTTON, EVENT, INITIAL
from mobile_vla_bringup.processes import NodeProcess
from mobile_vla_ros.topics import (
    JOY,
    RECORDER_SAVE,
    TELEOP_JOY,
)


@pytest.fixture
def driver(graph: Any) -> Driver:
    driver = Driver(graph)
    start_gamepad(graph)
    return driver


def start_gamepad(graph: Any) -> NodeProcess:
    process, status = graph.start(GAMEPAD, "gamepad"), Status(graph)
    graph.wait(lambda: status.text() == "ready", what="a ready gamepad")
    return process


def test_gamepad_sends_while_the_deadman_is_held(graph: Any, driver: Driver) -> None:
    commands = graph.listen(TELEOP_JOY)
    graph.wait(lambda: graph.node.count_publishers("/teleop/joy") == 1, what="discovery")
    driver.axes[1] = 1.0
    graph.spin(0.5)
    assert commands == []
    driver.hold("deadman")
    graph.spin(1.0)
    assert {twist(message) for message in commands} == {(0.2, 0.0)}
    assert usual_period_s(commands) == pytest.approx(0.05, rel=0.1)
    assert all(stamp_ns(b) > stamp_ns(a) for a, b in pairwise(commands))
    driver.hold("deadman", "turbo")
    graph.spin(0.3)
    assert twist(commands[-1]) == (0.4, 0.0)
    driver.hold()
    graph.spin(0.6)
    assert twist(commands[-1]) == (0.0, 0.0)
    assert commands[-1].header.frame_id == RELEASED
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


def test_the_save_button_says_what_became_of_it(graph: Any, driver: Driver) -> None:
    """Nobody records: said at once. A recorder that writes for longer than other calls may take: waited for."""
    missing, saved = "recorder/save does not answer; is its node running?", "saved recordings/ring"
    gamepad = graph.processes[0]

    def save(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        time.sleep(2.5)
        response.success, response.message = True, saved
        return response

    def press() -> None:
        driver.hold()
        graph.spin(0.3)
        driver.hold("save")
        graph.spin(0.15)

    press()
    graph.wait(lambda: missing in gamepad.output(), what="the answer that nobody records")
    graph.node.create_service(RECORDER_SAVE.type, RECORDER_SAVE.name, save)
    graph.spin(1.0)
    press()
    graph.wait(lambda: saved in gamepad.output(), what="the recorder's answer")
    assert gamepad.output().count(missing) == 1


@pytest.mark.parametrize("fault", ["unplugged", "frozen stamps", "NaN", "empty arrays", "killed"])
def test_a_lost_pad_stops_the_robot_in_time(graph: Any, driver: Driver, fault: str) -> None:
    gamepads = graph.processes[:1]
    robot = Robot(graph)
    graph.arm()

    def lose() -> None:
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
            gamepads[-1].kill()
        lost = time.monotonic()
        robot.wait("hold", "teleop_lost")
        graph.spin(0.5)
        assert robot.commands[-1][1] == 0.0
        braking_s = robot.braking_after(lost)
        driver.plug_in()
        if fault == "killed":
            gamepads.append(start_gamepad(graph))
        driver.hold("deadman")
        graph.spin(0.5)
        assert fault == "killed" or robot.value("reason") == "teleop_lost"
        driver.hold()
        graph.wait(lambda: robot.value("reason") != "teleop_lost", what="forgiveness after the release")
        assert braking_s <= TIMEOUT_S + 2 * TICK_S + SLACK_S

    retried(lose, SHARED)


def test_a_pad_lost_at_rest_holds_until_the_deadman_is_released(graph: Any, driver: Driver) -> None:
    robot = Robot(graph)
    graph.arm()
    driver.hold("deadman")
    robot.wait("teleop", source="joy")
    driver.running = False
    robot.wait("hold", "teleop_lost")
    driver.running = True
    graph.spin(0.5)
    assert robot.value("reason") == "teleop_lost"
    driver.hold()
    graph.wait(lambda: robot.value("reason") != "teleop_lost", what="forgiveness after the release")


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
