"""One real controller with an imitated policy and pad, driven from the test's own node."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from mobile_vla.control import RELEASED
from mobile_vla_ros.topics import (
    ACTION,
    CMD_VEL,
    CMD_VEL_STAMPED,
    CONTROLLER_STATE,
    DIAGNOSTICS,
    POLICY_RESET,
    TELEOP_JOY,
)

MODULE = "mobile_vla_nodes.controller"


class Bench:
    """One controller with an imitated policy and pad, all driven from the test's own node."""

    def __init__(self, graph: Any, parameters: dict[str, Any] | None = None, namespace: str = "") -> None:
        self.graph = graph
        self.namespace = namespace
        self.node = graph.node
        self.commands: list[tuple[float, Any]] = []
        self.action: tuple[float, float] | None = (0.0, 0.0)
        self.stick: float | None = None
        self.ready = True
        self.resets = 0
        self._action = graph.publisher(ACTION, namespace)
        self._joy = graph.publisher(TELEOP_JOY, namespace)
        self._diagnostics = graph.publisher(DIAGNOSTICS)
        prefix = f"{namespace}/" if namespace else ""
        stamped = bool(parameters and parameters.get("output.stamped"))
        topic = CMD_VEL_STAMPED if stamped else CMD_VEL
        self.node.create_subscription(
            topic.type, prefix + topic.name, lambda m: self.commands.append((time.monotonic(), m)), topic.requested
        )
        self.node.create_service(POLICY_RESET.type, prefix + POLICY_RESET.name, self._on_reset)
        self.states = graph.listen(CONTROLLER_STATE, namespace)
        self.node.create_timer(0.05, self._send)
        self.node.create_timer(0.3, self._report)
        self.process = graph.start(MODULE, "controller", parameters, namespace)
        graph.wait(lambda: self.states, what="the controller's state")

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.resets += 1
        response.success = True
        return response

    def _send(self) -> None:
        stamp = self.node.get_clock().now().to_msg()
        if self.action is not None:
            message = TwistStamped()
            message.header.stamp, message.header.frame_id = stamp, "diff"
            message.twist.linear.x, message.twist.angular.z = self.action
            self._action.publish(message)
        if self.stick is not None:
            message = TwistStamped()
            message.header.stamp = stamp
            message.twist.linear.x = self.stick
            self._joy.publish(message)

    def release(self) -> None:
        """The person gives control back."""
        self.stick = None
        message = TwistStamped()
        message.header.stamp, message.header.frame_id = self.node.get_clock().now().to_msg(), RELEASED
        self._joy.publish(message)

    def _report(self) -> None:
        name = f"/{self.namespace}/inference" if self.namespace else "/inference"
        values = [KeyValue(key="ready", value=str(self.ready).lower())]
        status = DiagnosticStatus(name=name, message="probe failed", values=values)
        self._diagnostics.publish(DiagnosticArray(status=[status]))

    def value(self, key: str) -> str:
        return next((pair.value for pair in self.states[-1].values if pair.key == key), "")

    def wait_mode(self, mode: str, reason: str = "") -> None:
        self.graph.wait(
            lambda: self.value("mode") == mode and (not reason or self.value("reason") == reason),
            10.0,
            f"{mode} {reason} (now {self.states[-1].message})",
        )

    def drive(self, forward: float = 1.0) -> None:
        self.action = (forward, 0.0)
        self.graph.arm(self.namespace)
        self.wait_mode("autonomy")
        self.graph.wait(lambda: abs(self.speed - 0.3 * forward) < 1e-6, what="full speed")

    @property
    def speed(self) -> float:
        if not self.commands:
            return 0.0
        message = self.commands[-1][1]
        return float((message.twist if isinstance(message, TwistStamped) else message).linear.x)

    def first_after(self, moment: float, condition: Any) -> float:
        """Seconds from a moment to the first command that fulfils a condition, once the graph was spun long enough."""
        return next(when for when, message in self.commands if when >= moment and condition(message)) - moment

    def set(self, **values: Any) -> Any:
        client = self.node.create_client(SetParameters, "controller/set_parameters")
        self.graph.wait(client.service_is_ready, what="the parameter service")
        parameters = [
            Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()
        ]
        future = client.call_async(SetParameters.Request(parameters=parameters))
        self.graph.wait(future.done, what="the parameter answer")
        return future.result().results[0]
