"""Shutdown while moving, restart of each process, wrong parameters, two robots on one domain."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import String

from mobile_vla_ros.topics import ACTION, CMD_VEL, CONTROLLER_STATE, DIAGNOSTICS, INSTRUCTION, TELEOP_KEYBOARD

ALONE = {
    "controller": {"require": {"camera": False, "policy": False, "odometry": False}, "range_guard.use_scan": False}
}
REPEATS = {signal.SIGINT: 10, signal.SIGTERM: 10}
ENDING = [signal.Signals[f"SIG{name}"] for name in ("INT", "TERM", "HUP", "QUIT", "TSTP", "USR1", "ABRT")]


def drive_by_keyboard(graph: Any, commands: list[Any]) -> None:
    """Arm a controller that runs alone and hold a key until it moves."""
    graph.arm()
    keyboard = graph.publisher(TELEOP_KEYBOARD)

    def moving() -> bool:
        message = TwistStamped()
        message.header.stamp = graph.node.get_clock().now().to_msg()
        message.twist.linear.x = 0.3
        keyboard.publish(message)
        graph.spin(0.05)
        return bool(commands) and commands[-1].linear.x > 0.1

    graph.wait(moving, what="motion")


@pytest.mark.parametrize("number", ENDING)
def test_the_last_command_is_zero(graph: Any, number: signal.Signals) -> None:
    for _ in range(REPEATS.get(number, 2)):
        commands = graph.listen(CMD_VEL)
        controller = graph.start_robot(ALONE, only=("controller",))["controller"]
        drive_by_keyboard(graph, commands)
        controller.send(number)
        controller.send(number)  # a launcher and a terminal both send one
        graph.wait(lambda: controller.returncode is not None, what="the end of the controller")  # noqa: B023
        graph.spin(0.2)
        last = commands[-1]
        assert (last.linear.x, last.linear.y, last.angular.z) == (0.0, 0.0, 0.0)
        assert controller.returncode == 0, controller.output()


@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_policy_that_loads_is_not_waited_for(graph: Any, number: signal.Signals, after_s: float) -> None:
    inference = graph.start_robot(only=("inference",))["inference"]
    graph.wait(lambda: "inference" in graph.node.get_node_names(), what="the node's name")
    graph.spin(after_s)
    inference.send(number)
    graph.wait(lambda: inference.returncode is not None, what="the end of the inference node")
    assert inference.returncode == 0, inference.output()
    assert "policy ready" not in inference.output()
    assert "Traceback" not in inference.output()


def test_every_process_can_be_killed_and_started_again(graph: Any) -> None:
    processes = graph.start_robot()
    instruction = graph.publisher(INSTRUCTION)
    instruction.publish(String(data="go to the red ball"))
    graph.arm()
    for name in ("simulator", "inference", "controller"):
        processes[name].kill()
        processes[name].wait(5)
        processes[name] = graph.start_robot(only=(name,))[name]
        actions, states = graph.listen(ACTION), graph.listen(CONTROLLER_STATE)
        graph.wait(lambda: len(actions) > 5, what=f"actions after the restart of {name}")  # noqa: B023
        graph.arm()
        graph.wait(lambda: states and "autonomy" in str(states[-1].values), what=f"autonomy after {name}")  # noqa: B023


def test_two_robots_in_two_namespaces(graph: Any) -> None:
    for namespace in ("robot1", "robot2"):
        graph.start_robot(only=("controller",), namespace=namespace, overrides=ALONE)
    first, second = graph.listen(CMD_VEL, "robot1"), graph.listen(CMD_VEL, "robot2")
    graph.arm("robot1")
    keyboard = graph.publisher(TELEOP_KEYBOARD, "robot1")

    def moving() -> bool:
        message = TwistStamped()
        message.header.stamp = graph.node.get_clock().now().to_msg()
        message.twist.linear.x = 0.3
        keyboard.publish(message)
        graph.spin(0.05)
        return bool(first) and first[-1].linear.x > 0.1

    graph.wait(moving, what="motion of the first robot")
    assert all(command.linear.x == 0.0 for command in second), "the second robot stays where it is"


@pytest.mark.parametrize(
    ("module", "name", "parameters", "sentence"),
    [
        ("mobile_vla_nodes.controller", "controller", {"rate_hz": 1.0}, "rate_hz must be >= 5, got 1"),
        (
            "mobile_vla_nodes.controller",
            "controller",
            {"rat_hz": 30.0},
            "unknown parameter 'rat_hz'; did you mean 'rate_hz'?",
        ),
        ("mobile_vla_nodes.inference", "inference", {"threads": 0}, "threads must be >= 1, got 0"),
        (
            "mobile_vla_nodes.recorder",
            "recorder",
            {"storage": "zip"},
            "storage must be one of mcap, sqlite3, got 'zip'",
        ),
        ("mobile_vla_nodes.camera", "camera", {"source": "/no/such/folder"}, "/no/such/folder"),
        ("mobile_vla_sim.node", "simulator", {"camera.rate_hz": -1.0}, "camera.rate_hz must be > 0, got -1"),
    ],
)
def test_wrong_parameters_end_a_node_with_one_sentence(
    graph: Any, module: str, name: str, parameters: dict[str, Any], sentence: str
) -> None:
    process = graph.start(module, name, parameters)
    assert process.wait(20) == 2, process.output()
    assert sentence in process.output()
    assert "Traceback" not in process.output()


@pytest.mark.parametrize(
    ("content", "arguments", "sentence"),
    [
        (b"a: [1,\n b: }{", (), "correct them: "),
        (b"\xff\xfe\x00\x00", (), "correct them: "),
        (b"controller: 5", (), "ros__parameters"),
        (b"/**:\n  ros__parameters:\n    rate_hz: [1, a]", (), "correct them: "),
        (b"/**:\n  ros__parameters:\n    rate_hz: [1, 2]", (), "rate_hz must be "),
        (None, ("--params-file", "no_such.yaml"), "no_such.yaml"),
        (None, ("-r", "nonsense"), "remap rule"),
        (None, ("-p", "use_sim_time:=5"), "use_sim_time"),
        (None, ("--log-level", "loud"), "severity"),
        (None, ("--no-such-flag",), "--no-such-flag"),
    ],
)
def test_arguments_that_cannot_be_read_end_a_node_with_one_sentence(
    graph: Any, tmp_path: Path, content: bytes | None, arguments: tuple[str, ...], sentence: str
) -> None:
    if content is not None:
        (tmp_path / "parameters.yaml").write_bytes(content)
        arguments = ("--params-file", "parameters.yaml")
    result = subprocess.run(
        [sys.executable, "-m", "mobile_vla_nodes.controller", "--ros-args", *arguments],
        env=graph.environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_checkpoint_is_said_and_nothing_moves(graph: Any) -> None:
    statuses = graph.listen(DIAGNOSTICS)
    graph.start("mobile_vla_nodes.inference", "inference", {"checkpoint": "missing.safetensors"})

    def said() -> bool:
        return any("missing.safetensors" in status.message for array in statuses for status in array.status)

    graph.wait(said, what="the missing file on /diagnostics")


def test_parameters_change_at_run_time_or_say_that_they_cannot(graph: Any) -> None:
    graph.start_robot(ALONE, only=("controller",))
    client = graph.node.create_client(SetParameters, "controller/set_parameters")
    graph.wait(client.service_is_ready, what="the parameter service")

    def change(name: str, value: Any) -> Any:
        future = client.call_async(SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()]))
        graph.wait(future.done, what="an answer")
        return future.result().results[0]

    assert change("limits.linear.velocity_mps", 0.45).successful
    too_fast = change("limits.linear.velocity_mps", 0.1)
    assert not too_fast.successful
    assert "must be <= limits.linear.velocity_mps" in too_fast.reason
    fixed = change("rate_hz", 50.0)
    assert not fixed.successful
    assert fixed.reason == "rate_hz cannot be changed while the node runs; restart it with rate_hz:=50.0"
