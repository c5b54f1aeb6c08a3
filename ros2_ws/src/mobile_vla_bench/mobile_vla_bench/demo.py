"""The demonstration: the whole graph with the simulated robot, recorded, and a report of what happened and why."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobile_vla.bags.recover import recover
from mobile_vla.bags.writer import SUFFIX
from mobile_vla.control.modes import REASONS
from mobile_vla.errors import UserError
from mobile_vla_bench.tasks import ANOTHER, NONE, Tasks, another_object
from mobile_vla_bringup.graph import Choice, describe
from mobile_vla_bringup.session import Session, open_session
from mobile_vla_ros.domain import borrowed
from mobile_vla_sim.truth import GroundTruth, read_truth

if TYPE_CHECKING:
    from mobile_vla_bench.operator import Operator

READY_TIMEOUT_S = 60.0
TRAINED_S, UNTRAINED_S = 60.0, 20.0
EVERYDAY = ("ok", "limits")
"""Reasons that come and go many times a second: nothing to tell."""
AFTERWARDS_S = 1.5
"""After the last arrival, so that the video shows that it stays."""
RECORDER = {"images": "jpeg"}
"""A demonstration is looked at, not trained on: a tenth of the space."""


@dataclass(frozen=True)
class DemoPlan:
    """How long to drive, and what to say half way. None: what suits the policy."""

    seconds: float | None = None
    then: str | None = None
    """A second instruction; `another`: another object of the room; `none`."""


@dataclass(frozen=True)
class DemoRun:
    """What a demonstration left behind, before the report is written."""

    bag: Path
    facts: dict[str, Any]


def run_demo(
    choice: Choice,
    overrides: dict[str, dict[str, Any]],
    plan: DemoPlan,
    folder: Path,
    *,
    started: float,
    stopped: Callable[[], bool],
    say: Callable[[str], None],
    on_line: Callable[[str, str], None],
) -> DemoRun:
    """Start the graph on a free domain, arm, let it drive, stop it. `started` is when the command began (monotonic)."""
    bag = folder / "bag"
    recorder = {**RECORDER, **overrides.get("recorder", {})}
    graph = describe(dataclasses.replace(choice, bag=str(bag)), {**overrides, "recorder": recorder})
    from mobile_vla_bench.operator import Operator  # rclpy is loaded once the choice is known to be right

    with ExitStack() as stack:
        domain_id = stack.enter_context(borrowed())
        session = stack.enter_context(open_session(graph, on_line, domain_id=domain_id, folder=folder / "logs"))
        operator = stack.enter_context(Operator(domain_id, graph.namespace))
        say(f"{len(graph.nodes)} processes on ROS domain {domain_id}: {', '.join(node.name for node in graph.nodes)}")
        drive = _Drive(session, operator, plan, stopped, say)
        try:
            drive.begin(choice.instruction)
            say(f"armed after {time.monotonic() - started:.1f} s; instruction: {drive.instruction!r}")
            drive.run()
            operator.disarm()
            operator.spin(0.5)
        except KeyboardInterrupt:
            drive.finish("it was stopped by hand")
        facts = {
            "instruction": drive.instruction,
            "robot": choice.robot,
            "policy": graph.policy,
            "device": choice.device,
            "seconds": drive.seconds,
            "ended": drive.ended,
            "tasks": drive.tasks.facts(),
            "armed_at_ns": drive.armed_at_ns,
            "first_motion_s": None if operator.first_motion is None else operator.first_motion - started,
            "restarts": session.supervisor.restarts(),
            "diagnostics": operator.diagnostics,
            "messages": operator.messages,
        }
    _completed(bag, say)
    if not bag.exists():
        raise UserError(f"nothing was recorded ({drive.ended}); the logs are in {folder / 'logs'}")
    return DemoRun(bag, facts)


def _completed(bag: Path, say: Callable[[str], None]) -> None:
    """A recorder that still had much to write when its time to end was over leaves a bag that can be completed."""
    unfinished = bag.with_name(bag.name + SUFFIX)
    if bag.exists() or not unfinished.exists():
        return
    _, messages, cut_bytes = recover(unfinished)
    say(f"the recorder was ended before its bag was complete: {messages} messages are kept, {cut_bytes} bytes are not")


class _Drive:
    """One drive from arming to disarming: gives the instructions, follows what becomes of them."""

    def __init__(
        self,
        session: Session,
        operator: Operator,
        plan: DemoPlan,
        stopped: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._session = session
        self._operator = operator
        self._plan = plan
        self._stopped = stopped
        self._say = say
        self._armed = time.monotonic()
        self.armed_at_ns: int | None = None
        """In the time of the bag, None before."""
        self.tasks = Tasks()
        self.seconds = 0.0
        self.ended = ""
        self.instruction = ""
        self._then = NONE

    def begin(self, instruction: str) -> None:
        """Wait for the room and the policy, give the first instruction, arm."""
        operator = self._operator
        operator.wait(lambda: self._truth() is not None, READY_TIMEOUT_S, "a room", self._watch)
        truth = self._truth()
        assert truth is not None
        self.instruction = instruction or truth.instruction
        operator.instruct(self.instruction)
        operator.wait_for_policy(lambda: self._session.supervisor.pid("inference"), self._watch, self._say)
        operator.arm(READY_TIMEOUT_S, also=self._watch)
        self._armed = time.monotonic()
        self.armed_at_ns = operator.node.get_clock().now().nanoseconds
        self.tasks.tell(0.0, self.instruction, truth)
        trained = operator.value("inference", "untrained") == "false"
        self.seconds = self._plan.seconds or (TRAINED_S if trained else UNTRAINED_S)
        self._then = self._plan.then or (ANOTHER if trained else NONE)

    def run(self) -> None:
        """Until the last instruction is fulfilled or the time is over."""
        said = ""
        while (now_s := self._now_s()) < self.seconds:
            self._operator.spin(min(0.2, self.seconds - now_s))
            self._watch()
            state = self._operator.state
            if state.message != said and self._operator.state_values().get("reason") not in EVERYDAY:
                said = state.message
                self._say(said)
            self._follow()
            last = self.tasks.told[-1]
            if self._then == NONE and last.arrived_s is not None and self._now_s() > last.arrived_s + AFTERWARDS_S:
                self.finish("it had arrived")
                return
        self.finish("the time was over")

    def finish(self, ended: str) -> None:
        """The drive is over; the instruction that was being followed gets its reason."""
        self.ended = ended
        reason = self._operator.state_values().get("reason", "")
        held_by = "" if reason in ("", "ok") else REASONS.get(reason, reason)
        self.tasks.finish(self._now_s(), self._truth(), ended, held_by)
        for task in self.tasks.told:
            self._say(task.sentence())

    def _follow(self) -> None:
        truth = self._truth()
        if truth is None:
            return
        self.tasks.observe(self._now_s(), truth)
        half_time = self._now_s() >= self.seconds / 2.0
        if self._then != NONE and (half_time or self.tasks.half_way(truth)):
            self._change(truth)

    def _change(self, truth: GroundTruth) -> None:
        text = f"go to the {another_object(truth, self.tasks.told[-1].object)}" if self._then == ANOTHER else self._then
        self._then = NONE
        self._operator.instruct(text)
        self.tasks.tell(self._now_s(), text, truth)
        self._say(f"new instruction after {self._now_s():.1f} s: {text!r}")

    def _watch(self) -> None:
        self._session.supervisor.poll()
        if self._stopped():
            raise KeyboardInterrupt

    def _truth(self) -> GroundTruth | None:
        return read_truth(self._operator.diagnostics.get("simulator", {}))

    def _now_s(self) -> float:
        return time.monotonic() - self._armed
