"""One controller with everybody a fault needs around it, on a domain of its own; and the observer of its commands.

Single-threaded: whatever waits, spins, so that a command is timestamped when it arrives.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla_bench.faults.actor import Actor
from mobile_vla_bench.faults.judge import LimitJudge, Sample
from mobile_vla_bench.faults.scheduling import prefer_this_process
from mobile_vla_bench.faults.scripted_inference import FOLDER
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bench.operator import Operator
from mobile_vla_bringup.graph import KINDS, Graph, NodeKind, NodeSpec
from mobile_vla_bringup.processes import NodeProcess
from mobile_vla_bringup.shared_memory import segments_of, sweep
from mobile_vla_bringup.supervisor import Supervisor
from mobile_vla_ros.environment import prepare
from mobile_vla_ros.topics import ARM, CMD_VEL_STAMPED, CONTROLLER_STATE, ESTOP, Service

START_TIMEOUT_S = 20.0
CRUISE_TIMEOUT_S = 15.0
STEADY_SAMPLES = 3
ARM_TRY_S = 0.3
SETTLED_S = 8.0
"""At 10 Hz more than the 64 actions over which the controller knows the policy's latency."""
LOOPBACK = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_LOCALHOST_ONLY": "1"}
SCRIPTED = NodeKind("", "", "mobile_vla_bench.faults.scripted_inference", KINDS["inference"].config)
OBSERVED = {"limits.handover.duration_s": 0.0, "output.stamped": True}
"""Autonomy need not begin softly in every repetition; the fault about handing back sets it to what it is. Stamps say
when the controller sent a command, whatever the machine does to it on the way."""
CRUISE = {"policy": "0.7 0.3", "keyboard": "0.2 0.0", "pad": "0.2 0.0", "web": "0.2 0.0", "joy": "1.0 0.0"}


def parameter_messages(values: Mapping[str, Any]) -> list[Any]:
    """Parameters as a request carries them."""
    return [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]


class Rig:
    """Context manager; leaving it ends every process it started."""

    def __init__(self, setup: Setup, changes: Mapping[str, Any], domain_id: int, folder: Path) -> None:
        self.setup = setup
        self.folder = folder
        self.promised = with_values(ControllerConfig(), dict(setup.parameters.get("controller", {})))
        self.judge = LimitJudge(self.promised)
        self.samples: list[Sample] = []
        self.states: list[tuple[int, frozenset[str]]] = []
        self.background: list[Callable[[], None]] = []
        self.actors: dict[str, Actor] = {}
        self.processes: dict[str, NodeProcess] = {}
        self.supervisor: Supervisor | None = None
        self._changes = dict(changes)
        self._closing: list[Callable[[], None]] = []
        self._clients: dict[str, Any] = {}
        os.environ.update(LOOPBACK)
        environ = {"ROS_DOMAIN_ID": str(domain_id), "ROS_LOG_DIR": str(folder / "ros"), FOLDER: str(folder)}
        self._stand_in_environ = {**prepare(dict(os.environ)), **environ}
        self.environ = {**self._stand_in_environ, **setup.environ}
        self.operator = Operator(domain_id, name="observer", stamped=True)
        self._arm = ARM.client(self.operator.node)
        self._estop = ESTOP.publisher(self.operator.node)
        self._stamps_count = "clock" not in setup.actors
        self.operator.node.create_subscription(
            CMD_VEL_STAMPED.type, CMD_VEL_STAMPED.name, self._on_command, QoSProfile(depth=100)
        )
        CONTROLLER_STATE.subscription(self.operator.node, self._on_state)

    # life

    def __enter__(self) -> Rig:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for close in reversed(self._closing):
            close()
        for actor in self.actors.values():
            actor.end()
        for process in self.processes.values():
            process.send(signal.SIGCONT)
            process.stop()
        self.operator.__exit__(kind, error, trace)

    def _start(self) -> None:
        setup = self.setup
        for role in setup.actors:
            self.enter(role)
        if setup.supervised:
            self._supervise()
        names = ["controller", *(name for name in ("gamepad", "recorder") if getattr(setup, name))]
        names += ["inference"] if setup.vision else []
        for name in names:
            if name not in setup.supervised:
                self.launch(name)

    def _supervise(self) -> None:
        nodes = tuple(
            NodeSpec(name, self._kind(name), with_values(KINDS[name].config(), self._parameters(name)))
            for name in self.setup.supervised
        )
        self.supervisor = Supervisor(Graph("", nodes), self.environ, self.folder, lambda *_: None)
        self.supervisor.__enter__()
        self._closing.append(lambda: self.supervisor.__exit__() if self.supervisor else None)
        self.background.append(self.supervisor.poll)

    def on_leaving(self, close: Callable[[], None]) -> None:
        """Something to undo when the rig is left."""
        self._closing.append(close)

    def enter(self, role: str) -> Actor:
        """Start a stand-in, without waiting for it; one that was killed is another process from now on."""
        if role in self.actors:
            self.actors[role].end()
        actor = self.actors[role] = Actor(role, self._stand_in_environ, self.folder)
        return actor

    def launch(self, name: str) -> NodeProcess:
        """Start a node, without waiting for it."""
        parameters: dict[str, Any] = self._parameters(name)
        if name == "controller" and "clock" in self.setup.actors:
            parameters["use_sim_time"] = True
        self.processes[name] = NodeProcess.start(
            self._kind(name).module, name, parameters, environ=self.environ, folder=self.folder
        )
        return self.processes[name]

    def _kind(self, name: str) -> NodeKind:
        return SCRIPTED if name == "inference" else KINDS[name]

    def _parameters(self, name: str) -> dict[str, Any]:
        given = dict(self.setup.parameters.get(name, {}))
        if name == "controller":
            return {**OBSERVED, **given, **self._changes}
        if name == "inference":
            return {"instruction": "drive", **given}
        if name == "recorder":
            return {"out_dir": str(self.folder / "bags"), "min_free_mb": 16, **given}
        return given

    # time

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

    # the people and sources around the controller

    def tell(self, role: str, line: str) -> int:
        """Tell a stand-in what to do; the steady time at which it took effect."""
        actor = self.actors[role]
        number = actor.tell(line)
        self.until(lambda: len(actor.replies) > number, START_TIMEOUT_S, f"an answer of {role}")
        return actor.replies[number]

    def arm(self) -> None:
        """Ask until the controller agrees; a request to a killed server is never answered, so none is waited for."""
        refusal = ""

        def agreed() -> bool:
            nonlocal refusal
            future = self._arm.call_async(SetBool.Request(data=True))
            self.operator.spin(ARM_TRY_S)
            if not future.done():
                self._arm.remove_pending_request(future)
                return False
            refusal = future.result().message
            return bool(future.result().success)

        try:
            self.until(agreed, CRUISE_TIMEOUT_S, "arming")
        except PromiseBroken as error:
            raise PromiseBroken(f"{error}; the controller says: {refusal or 'nothing'}") from None

    def client(self, service: Service) -> Any:
        """This process's client of a service, made once."""
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

    # driving

    def cruise(self) -> Sample:
        """Armed and at a steady speed, under the driver of the set-up; the speed."""
        prefer_this_process()  # the transport makes threads as others come and go
        driver = self.setup.driver
        teleop = driver != "policy"
        for role in self.setup.actors:
            if role in CRUISE and role in (driver, "policy"):
                self.tell(role, f"ok {CRUISE[role]}")
        if not self.mode_is("hold", "autonomy", "teleop"):
            if teleop:
                self.tell(driver, "released 0 0" if driver == "joy" else "silent 0 0")
                self.spin(0.4)
            if self.setup.gamepad:
                self.until(lambda: self.evidence("gamepad", "ready"), START_TIMEOUT_S, "a ready gamepad")
            self.arm()
            if teleop:
                self.tell(driver, f"ok {CRUISE[driver]}")
        self._settle()
        wanted = "teleop" if teleop else "autonomy"

        def steady() -> bool:
            return self.mode_is(wanted) and self._steady()

        if driver == "joy":
            self.forget_evidence("gamepad")
            self.until(
                lambda: steady() or self._release_deadman_if_asked(),
                CRUISE_TIMEOUT_S,
                "motion, or a word of the gamepad",
            )
        self.until(steady, CRUISE_TIMEOUT_S, f"steady motion under {wanted}")
        return self.samples[-1]

    def _settle(self) -> None:
        """Let actions live no longer than the promises count on: with a latency of 0.1 s at most. The first steps of a
        process that starts beside many others are slower. On a machine that stays too busy the trial goes on."""
        shortest_s = with_values(ControllerConfig(), self._parameters("controller")).staleness.action_min_s
        with suppress(PromiseBroken):
            self.until(lambda: self.action_lifetime_s <= shortest_s, SETTLED_S, "a latency of 0.1 s at most")

    def _release_deadman_if_asked(self) -> bool:
        """A person does what the gamepad says: after a gap in the pad's states the deadman must be released once."""
        if "release" not in self.operator.messages.get("gamepad", ""):
            return False
        self.tell("joy", "released 0 0")
        self.forget_evidence("gamepad")
        self.until(lambda: self.evidence("gamepad", "ready"), START_TIMEOUT_S, "a ready gamepad")
        self.tell("joy", f"ok {CRUISE['joy']}")
        return True

    def _steady(self) -> bool:
        recent = self.samples[-STEADY_SAMPLES:]
        speeds = {sample[1:4] for sample in recent}
        near = bool(recent) and time.monotonic_ns() - recent[0].arrival_ns < 1e9
        return len(recent) == STEADY_SAMPLES and near and len(speeds) == 1 and recent[-1].forward > 0.19

    # what is known

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
        sample = Sample(arrival_ns, linear.x, linear.y, angular.z, others, sent_ns)
        self.samples.append(sample)
        self.judge.take(sample)

    def _on_state(self, message: Any) -> None:
        values = {pair.key: pair.value for pair in message.values}
        words = frozenset(values.get(key, "") for key in ("mode", "source", "reason"))
        self.states.append((time.monotonic_ns(), words))

    def kill(self, name: str) -> int:
        """SIGKILL a node; the steady time just before. Its end is not waited for, as that of a stand-in is not."""
        supervised = self.supervisor is not None and name in self.setup.supervised
        pid = self.supervisor.pid(name) if self.supervisor and supervised else self.processes[name].pid
        segments = segments_of(pid)
        injected_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        self._closing.append(lambda: sweep(segments))
        return injected_ns
