"""A defect of the controller's own: the tick raises. The command is zero, the stop latched, and both are explained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from std_srvs.srv import SetBool

from mobile_vla.control import Gate
from mobile_vla_nodes.controller import ControllerNode
from mobile_vla_nodes.paced import PacedExecutor
from mobile_vla_ros.topics import ARM, CMD_VEL, CONTROLLER_STATE, DIAGNOSTICS, RESET_ESTOP, TELEOP_KEYBOARD

PARAMETERS = {
    "require.camera": False,
    "require.policy": False,
    "require.odometry": False,
    "range_guard.use_scan": False,
    "estop.reset_delay_s": 0.5,
}


class Driving:
    """A controller in this process that a keyboard drives."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.node = ControllerNode()
        self.executor = PacedExecutor()
        self.executor.add_node(self.node)
        self.commands = graph.listen(CMD_VEL)
        self.states = graph.listen(CONTROLLER_STATE)
        self.keyboard = graph.publisher(TELEOP_KEYBOARD)

    def until(self, condition: Callable[[], Any], press: bool = False) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, self.said()
            if press:
                message = TwistStamped()
                message.header.stamp = self.node.get_clock().now().to_msg()
                message.twist.linear.x = 0.3
                self.keyboard.publish(message)
            self.executor.spin_once(0.02)
            self.graph.spin(0.001)

    def ask(self, service: Any, request: Any = None) -> Any:
        client = self.graph.node.create_client(service.type, service.name)
        self.until(client.service_is_ready)
        future = client.call_async(request or service.type.Request())
        self.until(future.done)
        return future.result()

    def arm(self) -> None:
        """Until it agrees: a key counts as held for 0.25 s, and after a gap between ticks it is to be asked again."""
        self.until(lambda: self.ask(ARM, SetBool.Request(data=True)).success)

    def said(self) -> dict[str, str]:
        return {pair.key: pair.value for pair in self.states[-1].values} if self.states else {}


@pytest.fixture
def driving(graph: Any) -> Iterator[Driving]:
    arguments = ["--ros-args", *(part for name, value in PARAMETERS.items() for part in ("-p", f"{name}:={value}"))]
    rclpy.init(args=[word.replace("=False", "=false") for word in arguments], domain_id=graph.domain_id)
    made = Driving(graph)
    try:
        made.arm()
        made.until(lambda: made.commands and made.commands[-1].linear.x > 0.1, press=True)
        yield made
    finally:
        made.executor.shutdown()
        made.node.destroy_node()
        rclpy.shutdown()


def test_a_tick_that_raises_stops_the_robot_until_somebody_resets_it(
    driving: Driving, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Gate.tick
    monkeypatch.setattr(Gate, "tick", lambda *_: 1 / 0)
    driving.commands.clear()
    driving.until(lambda: len(driving.commands) > 10, press=True)
    late = driving.commands[2:]  # what was under way when the defect came
    assert all((command.linear.x, command.angular.z) == (0.0, 0.0) for command in late)
    driving.until(lambda: driving.said().get("mode") == "estop", press=True)
    assert "ZeroDivisionError" in driving.said()["estop_cause"]
    assert driving.said()["linear_x_mps"] == "0.0000"

    monkeypatch.setattr(Gate, "tick", decide)
    driving.commands.clear()
    driving.until(lambda: len(driving.commands) > 20, press=True)
    assert all(command.linear.x == 0.0 for command in driving.commands), "it is latched"
    assert driving.ask(RESET_ESTOP).success
    driving.arm()
    driving.until(lambda: driving.commands[-1].linear.x > 0.1, press=True)


def test_what_fails_beside_the_decision_is_named_and_the_robot_drives_on(
    driving: Driving, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = driving.graph.listen(DIAGNOSTICS)
    monkeypatch.setattr(ControllerNode, "_check_graph", lambda *_: 1 / 0)

    def named() -> bool:
        words = [str(status) for array in statuses for status in array.status if status.name == "/controller"]
        return any("failed.look at the graph.ZeroDivisionError" in word for word in words)

    driving.until(named, press=True)
    assert driving.commands[-1].linear.x > 0.1
