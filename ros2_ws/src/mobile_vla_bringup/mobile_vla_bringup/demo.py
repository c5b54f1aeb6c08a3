"""The demonstration: the whole graph with the simulated robot, recorded, and a report of what happened and why."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobile_vla.errors import UserError
from mobile_vla_bringup.graph import Choice, describe
from mobile_vla_bringup.session import open_session
from mobile_vla_ros.domain import borrowed

READY_TIMEOUT_S = 60.0
RECORDER = {"images": "jpeg"}
"""A demonstration is looked at, not trained on: a tenth of the space."""


@dataclass(frozen=True)
class DemoRun:
    """What a demonstration left behind, before the report is written."""

    bag: Path
    facts: dict[str, Any]


def run_demo(
    choice: Choice,
    overrides: dict[str, dict[str, Any]],
    seconds: float,
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
    from mobile_vla_bringup.operator import Operator  # rclpy is loaded once the choice is known to be right

    with ExitStack() as stack:
        domain_id = stack.enter_context(borrowed())
        session = stack.enter_context(open_session(graph, on_line, domain_id=domain_id, folder=folder / "logs"))
        operator = stack.enter_context(Operator(domain_id, graph.namespace))

        def watch() -> None:
            session.supervisor.poll()
            if stopped():
                raise KeyboardInterrupt

        say(f"{len(graph.nodes)} processes on ROS domain {domain_id}: {', '.join(node.name for node in graph.nodes)}")
        instruction = choice.instruction
        try:
            if not instruction:
                operator.wait(
                    lambda: operator.value("simulator", "instruction") != "", READY_TIMEOUT_S, "a room", watch
                )
                instruction = operator.value("simulator", "instruction")
            operator.instruct(instruction)
            operator.arm(READY_TIMEOUT_S, also=watch)
            say(f"armed after {time.monotonic() - started:.1f} s; instruction: {instruction!r}")
            _drive(operator, seconds, watch, say)
            operator.disarm()
            operator.spin(0.5)
            ended = "the time was over"
        except KeyboardInterrupt:
            ended = "it was stopped by hand"
        facts = {
            "instruction": instruction,
            "robot": choice.robot,
            "policy": choice.policy,
            "device": choice.device,
            "seconds": seconds,
            "ended": ended,
            "first_motion_s": None if operator.first_motion is None else operator.first_motion - started,
            "restarts": session.supervisor.restarts(),
            "diagnostics": operator.diagnostics,
            "messages": operator.messages,
        }
    if not bag.exists():
        raise UserError(f"nothing was recorded ({ended}); the logs are in {folder / 'logs'}")
    return DemoRun(bag, facts)


def _drive(operator: Any, seconds: float, watch: Callable[[], None], say: Callable[[str], None]) -> None:
    end = time.monotonic() + seconds
    said = ""
    while (left := end - time.monotonic()) > 0:
        operator.spin(min(0.2, left))
        watch()
        if operator.state.message != said:
            said = operator.state.message
            say(said)
