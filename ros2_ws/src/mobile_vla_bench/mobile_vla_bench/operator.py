"""What a person does beside the robot, for programs: give an instruction, arm, watch, stop.

One node in the calling process; nothing happens in the background, the caller spins it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import SetBool

from mobile_vla.errors import UserError
from mobile_vla_bench.loading import Work, wait_for_policy, work_of
from mobile_vla_ros.environment import prepare
from mobile_vla_ros.topics import ARM, CMD_VEL, CMD_VEL_STAMPED, CONTROLLER_STATE, DIAGNOSTICS, INSTRUCTION, Service

MOVING = 1e-3
ARM_AGAIN_S = 0.25


class Operator:
    """Context manager around one observing and commanding node; `stamped`: the commands are TwistStamped."""

    def __init__(self, domain_id: int, namespace: str = "", name: str = "operator", stamped: bool = False) -> None:
        prepare()
        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node(name, namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.state = DiagnosticStatus()
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.messages: dict[str, str] = {}
        self.first_motion: float | None = None
        self._instruction = INSTRUCTION.publisher(self.node)
        CONTROLLER_STATE.subscription(self.node, self._on_state)
        DIAGNOSTICS.subscription(self.node, self._on_diagnostics)
        (CMD_VEL_STAMPED if stamped else CMD_VEL).subscription(self.node, self._on_command)

    def __enter__(self) -> Operator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin(self, seconds: float) -> None:
        """Handle what arrives, for a fixed time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def wait(
        self, condition: Callable[[], bool], timeout_s: float, what: str, also: Callable[[], None] | None = None
    ) -> None:
        """Handle what arrives until the condition holds, running `also` in between; `UserError` when it never does."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise UserError(f"{what} did not happen within {timeout_s:g} s; {self._reason()}")
            if also is not None:
                also()
            self._executor.spin_once(timeout_sec=0.05)

    def instruct(self, text: str) -> None:
        self._instruction.publish(String(data=text))

    def value(self, node: str, key: str) -> str:
        """One value of a node's diagnostics; empty while it has said nothing."""
        return self.diagnostics.get(node, {}).get(key, "")

    def wait_for_policy(
        self, pid: Callable[[], int], also: Callable[[], None], say: Callable[[str], None] = lambda text: None
    ) -> None:
        """Until the policy is loaded. `pid` is that of inference, which may start anew; `also` runs in between."""

        def pause() -> None:
            also()
            self._executor.spin_once(timeout_sec=0.05)

        def work() -> Work:
            try:
                return work_of(pid())
            except UserError:
                return Work()

        wait_for_policy(lambda: self.value("inference", "ready") == "true", work, pause, self._reason, say=say)

    def arm(self, timeout_s: float, also: Callable[[], None] | None = None) -> None:
        """Ask until the controller agrees; it says why it refuses."""
        end = time.monotonic() + timeout_s
        while True:
            answer = self.call(ARM, SetBool.Request(data=True), max(0.0, end - time.monotonic()), also)
            if answer.success:
                return
            if time.monotonic() > end:
                raise UserError(f"the controller could not be armed within {timeout_s:g} s; {answer.message}")
            self.spin(ARM_AGAIN_S)

    def set_parameter(self, node: str, name: str, value: Any, timeout_s: float) -> None:
        """Change one live parameter of a node; `UserError` with the node's own words when it refuses."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        service = Service(f"{node}/set_parameters", SetParameters, f"settings of {node}")
        result = self.call(service, request, timeout_s).results[0]
        if not result.successful:
            raise UserError(f"{node} refuses {name} = {value}: {result.reason}")

    def disarm(self) -> None:
        self.call(ARM, SetBool.Request(data=False), 5.0)

    def call(self, service: Service, request: Any, timeout_s: float, also: Callable[[], None] | None = None) -> Any:
        client = service.client(self.node)
        try:
            self.wait(client.service_is_ready, timeout_s, f"service {service.name}", also)
            future = client.call_async(request)
            self.wait(future.done, timeout_s, f"an answer of {service.name}", also)
            return future.result()
        finally:
            self.node.destroy_client(client)

    def state_values(self) -> dict[str, str]:
        """mode, source, limiting reason and ages, as the controller last said."""
        return {pair.key: pair.value for pair in self.state.values}

    def _on_state(self, message: DiagnosticStatus) -> None:
        self.state = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = status.name.rpartition("/")[2]
            self.diagnostics[name] = {pair.key: pair.value for pair in status.values}
            self.messages[name] = status.message

    def _on_command(self, message: Twist | TwistStamped) -> None:
        twist = message.twist if isinstance(message, TwistStamped) else message
        if self.first_motion is None and abs(twist.linear.x) + abs(twist.linear.y) + abs(twist.angular.z) > MOVING:
            self.first_motion = time.monotonic()

    def _reason(self) -> str:
        said = [f"{name}: {message}" for name, message in self.messages.items()]
        return "; ".join(said) or "no node has reported anything"
