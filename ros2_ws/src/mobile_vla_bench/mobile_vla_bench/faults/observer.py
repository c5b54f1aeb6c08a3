"""The observer of a controller: what it commands, what it reports, and the services it offers.

Single-threaded: whatever waits, spins, so that a command is timestamped when it arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla_bench.faults.judge import CommandSample, LimitJudge
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bench.operator import Operator
from mobile_vla_ros.topics import CMD_VEL_STAMPED, CONTROLLER_STATE, ESTOP, Service


def parameter_messages(values: Mapping[str, Any]) -> list[Any]:
    """Parameters as a request carries them."""
    return [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]


class Observer:
    """Listens to one controller on a domain of its own, and judges its commands."""

    def __init__(self, setup: Setup, domain_id: int) -> None:
        self.setup = setup
        self.promised = with_values(ControllerConfig(), dict(setup.parameters.get("controller", {})))
        self.judge = LimitJudge(self.promised)
        self.samples: list[CommandSample] = []
        self.states: list[tuple[int, frozenset[str]]] = []
        self.background: list[Callable[[], None]] = []
        self._clients: dict[str, Any] = {}
        self.operator = Operator(domain_id, name="observer", stamped=True)
        self._estop = ESTOP.publisher(self.operator.node)
        self._stamps_count = "clock" not in setup.actors
        self.operator.node.create_subscription(
            CMD_VEL_STAMPED.type, CMD_VEL_STAMPED.name, self._on_command, QoSProfile(depth=100)
        )
        CONTROLLER_STATE.subscription(self.operator.node, self._on_state)

    def spin(self, seconds: float) -> None:
        """Handle what arrives for a fixed time."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self.operator.spin(min(left_s, 0.1))
            for work in self.background:
                work()

    def until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Handle what arrives until the condition holds; `Broken` when it never does."""
        try:
            self.operator.wait(condition, timeout_s, what, self._work)
        except UserError:
            raise PromiseBroken(f"{what} did not happen within {timeout_s:g} s (state: {self.state_text()})") from None

    def _work(self) -> None:
        for work in self.background:
            work()

    def client(self, service: Service) -> Any:
        """The client of a service, made once per process."""
        if service.name not in self._clients:
            self._clients[service.name] = service.client(self.operator.node)
        return self._clients[service.name]

    def call(self, service: Service, request: Any = None, timeout_s: float = 5.0) -> tuple[int, Any]:
        """Call a service; the steady time at which the request was sent, and the answer."""
        client = self.client(service)
        self.until(client.service_is_ready, timeout_s, f"service {service.name}")
        sent_ns = time.monotonic_ns()
        kind: Any = service.type
        future = client.call_async(kind.Request() if request is None else request)
        self.until(future.done, timeout_s, f"an answer of {service.name}")
        return sent_ns, future.result()

    def set_parameters(self, parameters: Sequence[Any]) -> list[Any]:
        """Set parameters of the controller; the results."""
        client = self.operator.node.create_client(SetParameters, "controller/set_parameters")
        try:
            self.until(client.service_is_ready, 5.0, "the parameter service")
            future = client.call_async(SetParameters.Request(parameters=list(parameters)))
            self.until(future.done, 5.0, "the parameters' answer")
            return list(future.result().results)
        finally:
            self.operator.node.destroy_client(client)

    def tick_rate_hz(self, seconds: float) -> float:
        """How often the controller sends a command, by its own stamps."""
        before = len(self.samples)
        self.spin(seconds)
        sent = [sample.sent_ns for sample in self.samples[before:] if sample.sent_ns is not None]
        return (len(sent) - 1) * 1e9 / (sent[-1] - sent[0]) if len(sent) > 1 else 0.0

    def send_malformed_estop(self) -> int:
        """Bytes on `estop` that are no message; the steady time just before."""
        injected_ns = time.monotonic_ns()
        self._estop.publish(b"\0\1\0\0")
        return injected_ns

    def press_estop(self, pressed: bool) -> int:
        """What a stop device publishes; the steady time just before."""
        injected_ns = time.monotonic_ns()
        self._estop.publish(Bool(data=pressed))
        return injected_ns

    @property
    def moving(self) -> bool:
        """Whether the last command moves the robot."""
        return bool(self.samples) and self.samples[-1].moving

    def mode_is(self, *modes: str) -> bool:
        """Whether the controller last said that it is in one of these modes."""
        return self.operator.state_values().get("mode", "") in modes

    @property
    def action_lifetime_s(self) -> float:
        """How long an action may be used after its image, as the controller last said; infinite before."""
        return float(self.operator.state_values().get("action_lifetime_s", "inf"))

    def reported(self, since_ns: int) -> set[str]:
        """Every mode, source and reason the controller said since a steady time."""
        return {word for when_ns, words in self.states if when_ns >= since_ns for word in words}

    def state_text(self) -> str:
        """The controller's last state in one line."""
        reported = self.operator.state.message or "the controller has said nothing"
        return f"{reported}; gamepad: {self.operator.messages.get('gamepad', '')}" if self.setup.gamepad else reported

    def evidence(self, node: str, text: str) -> bool:
        """Whether a node's diagnostics contain a text."""
        values = self.operator.diagnostics.get(node, {})
        words = [self.operator.messages.get(node, ""), *(f"{key}={value}" for key, value in values.items())]
        return any(text in word for word in words)

    def forget_evidence(self, *nodes: str) -> None:
        """Only what is said from now on counts, by these nodes or by all."""
        for node in nodes or tuple({**self.operator.diagnostics, **self.operator.messages}):
            self.operator.diagnostics.pop(node, None)
            self.operator.messages.pop(node, None)

    def forget_controller(self) -> None:
        """The controller process is another one from now on."""
        self.operator.state = DiagnosticStatus()
        self.judge.restart()

    def _on_command(self, message: TwistStamped) -> None:
        arrival_ns, stamp = time.monotonic_ns(), message.header.stamp
        linear, angular = message.twist.linear, message.twist.angular
        sent_ns = stamp.sec * 1_000_000_000 + stamp.nanosec if self._stamps_count else None
        others = (linear.z, angular.x, angular.y)
        sample = CommandSample(arrival_ns, linear.x, linear.y, angular.z, others, sent_ns)
        self.samples.append(sample)
        self.judge.take(sample)

    def _on_state(self, message: Any) -> None:
        values = {pair.key: pair.value for pair in message.values}
        words = frozenset(values.get(key, "") for key in ("mode", "source", "reason"))
        self.states.append((time.monotonic_ns(), words))
