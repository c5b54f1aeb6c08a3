"""One controller with everybody a fault needs around it, on a domain of its own: processes, stand-ins, driving."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from std_srvs.srv import SetBool

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.actor import Actor
from mobile_vla_bench.faults.judge import CommandSample
from mobile_vla_bench.faults.observer import Observer
from mobile_vla_bench.faults.scheduling import prefer_this_process
from mobile_vla_bench.faults.scripted_inference import FOLDER
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bringup.graph import KINDS, Graph, NodeKind, NodeSpec
from mobile_vla_bringup.processes import NodeProcess
from mobile_vla_bringup.shared_memory import segments_of, sweep
from mobile_vla_bringup.supervisor import Supervisor
from mobile_vla_ros.environment import prepare
from mobile_vla_ros.topics import ARM

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


class Rig(Observer):
    """Context manager; leaving it ends every process it started."""

    def __init__(self, setup: Setup, changes: Mapping[str, Any], domain_id: int, folder: Path) -> None:
        self.folder = folder
        self.actors: dict[str, Actor] = {}
        self.processes: dict[str, NodeProcess] = {}
        self.supervisor: Supervisor | None = None
        self._changes = dict(changes)
        self._closing: list[Callable[[], None]] = []
        os.environ.update(LOOPBACK)
        environ = {"ROS_DOMAIN_ID": str(domain_id), "ROS_LOG_DIR": str(folder / "ros"), FOLDER: str(folder)}
        self._stand_in_environ = {**prepare(dict(os.environ)), **environ}
        self.environ = {**self._stand_in_environ, **setup.environ}
        super().__init__(setup, domain_id)
        self._arm = ARM.client(self.operator.node)

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

    def cruise(self) -> CommandSample:
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
        process that starts beside many others are slower. On a machine that stays too busy the trial goes on.
        """
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

    def kill(self, name: str) -> int:
        """SIGKILL a node; the steady time just before. Its end is not waited for, as that of a stand-in is not."""
        supervised = self.supervisor is not None and name in self.setup.supervised
        pid = self.supervisor.pid(name) if self.supervisor and supervised else self.processes[name].pid
        segments = segments_of(pid)
        injected_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        self._closing.append(lambda: sweep(segments))
        return injected_ns
