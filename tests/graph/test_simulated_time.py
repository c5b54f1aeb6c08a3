"""The controller on simulated time: the same verdicts as on system time, whatever the rate of /clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from mobile_vla_ros.topics import ACTION, CLOCK, CMD_VEL, CONTROLLER_STATE, DIAGNOSTICS, POLICY_RESET

MODULE = "mobile_vla_nodes.controller"
FRESH_S = 0.0
"""Between two messages of a slow /clock such a stamp is ahead of it."""
OLD_S = 0.34
"""An action lives for 0.3 s; one tick is 0.033 s."""


class Simulation:
    """Simulated time that began 100 s ago, a policy that stamps with it exactly, and the controller."""

    def __init__(self, graph: Any, rate_hz: float) -> None:
        self.graph = graph
        self.age_s = FRESH_S
        self.running = True
        self.paused = False
        self.commands: list[tuple[float, float]] = []
        self._zero_s = time.monotonic() - 100.0
        self._time_s = 0.0
        self._clock = graph.publisher(CLOCK)
        self._action = graph.publisher(ACTION)
        self._diagnostics = graph.publisher(DIAGNOSTICS)
        graph.node.create_service(POLICY_RESET.type, POLICY_RESET.name, self._reset)
        graph.node.create_subscription(
            CMD_VEL.type,
            CMD_VEL.name,
            lambda m: self.commands.append((time.monotonic(), m.linear.x)),
            CMD_VEL.requested,
        )
        self.states = graph.listen(CONTROLLER_STATE)
        self.told = graph.listen(DIAGNOSTICS)
        graph.node.create_timer(0.05, self._send)
        graph.node.create_timer(0.3, self._report)
        self._thread = threading.Thread(target=self._tell_time, args=(1.0 / rate_hz,))
        self._thread.start()
        self.process = graph.start(MODULE, "controller", {"use_sim_time": True})
        graph.wait(lambda: self.states, what="the controller's state")

    def _tell_time(self, period_s: float) -> None:
        while self.running:
            if not self.paused:
                self._time_s = time.monotonic() - self._zero_s
            self._clock.publish(Clock(clock=_stamp(self._time_s)))
            time.sleep(period_s)

    def _send(self) -> None:
        message = TwistStamped()
        now_s = self._time_s if self.paused else time.monotonic() - self._zero_s
        message.header.stamp, message.header.frame_id = _stamp(now_s - self.age_s), "diff"
        message.twist.linear.x = 1.0
        self._action.publish(message)

    def _report(self) -> None:
        status = DiagnosticStatus(name="/inference", values=[KeyValue(key="ready", value="true")])
        self._diagnostics.publish(DiagnosticArray(status=[status]))

    def _reset(self, request: Any, response: Any) -> Any:
        response.success = True
        return response

    def count(self, key: str) -> int:
        """A counter of the controller, as its newest diagnostics have it."""
        for array in reversed(self.told):
            for status in array.status:
                if status.name == "/controller":
                    return int({pair.key: pair.value for pair in status.values}.get(key, "0"))
        return 0

    def wait_mode(self, mode: str) -> None:
        self.graph.wait(lambda: self.states[-1].message.startswith(mode), 20.0, f"{mode} ({self.states[-1].message})")

    @property
    def moves(self) -> bool:
        return bool(self.commands) and self.commands[-1][1] != 0.0

    def close(self) -> None:
        self.running = False
        self._thread.join()


def _stamp(seconds: float) -> Any:
    return Time(nanoseconds=round(seconds * 1e9)).to_msg()


@pytest.fixture
def simulation(graph: Any, request: pytest.FixtureRequest) -> Iterator[Simulation]:
    made = Simulation(graph, request.param)
    yield made
    made.close()


@pytest.mark.parametrize("simulation", [10.0, 100.0, 500.0], indirect=True)
def test_new_actions_drive_and_old_ones_do_not_at_every_rate_of_clock(simulation: Simulation) -> None:
    simulation.graph.arm()
    simulation.wait_mode("autonomy")
    refused = simulation.count("ignored.action.future_stamp")
    simulation.graph.spin(2.5)
    assert simulation.moves
    # One of 50 may have overtaken its /clock on a busy machine; with a clock read every 0.2 s most were refused.
    assert simulation.count("ignored.action.future_stamp") - refused <= 5
    simulation.age_s = OLD_S
    simulation.wait_mode("hold")
    simulation.graph.wait(lambda: not simulation.moves, what="standing")
    since = len(simulation.commands)
    simulation.graph.spin(3.0)
    assert {speed for _, speed in simulation.commands[since:]} == {0.0}
    assert simulation.count("ignored.action.too_old") > 20


@pytest.mark.parametrize("simulation", [100.0], indirect=True)
def test_a_paused_clock_stops_the_robot_and_driving_goes_on_after_it(simulation: Simulation) -> None:
    simulation.graph.arm()
    simulation.wait_mode("autonomy")
    simulation.paused = True
    simulation.wait_mode("hold")
    simulation.graph.wait(lambda: not simulation.moves, what="standing")
    simulation.graph.spin(1.0)
    assert not simulation.moves
    simulation.paused = False
    simulation.wait_mode("autonomy")


@pytest.mark.parametrize("simulation", [100.0], indirect=True)
def test_leaving_simulated_time_while_driving_stops_and_returning_goes_on(simulation: Simulation) -> None:
    graph = simulation.graph
    graph.arm()
    simulation.wait_mode("autonomy")
    client = graph.node.create_client(SetParameters, "controller/set_parameters")
    graph.wait(client.service_is_ready, what="the parameter service")

    def use_sim_time(value: bool) -> None:
        parameter = Parameter("use_sim_time", value=value).to_parameter_msg()
        future = client.call_async(SetParameters.Request(parameters=[parameter]))
        graph.wait(future.done, what="the parameter's answer")
        assert future.result().results[0].successful

    use_sim_time(False)
    simulation.wait_mode("hold")
    graph.wait(lambda: not simulation.moves, what="standing")
    use_sim_time(True)
    simulation.wait_mode("autonomy")
    assert simulation.process.returncode is None
