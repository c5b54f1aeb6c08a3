"""The gate on the graph: the only publisher of the command topic. No model, no picture, one thread.

Every tick on the steady clock takes what has arrived, stores it in `mobile_vla.control.Gate`, asks the gate for the
command and publishes it. Stop devices come first; all others together get a bounded time per tick. Between two ticks
run operators' requests, stop devices and, for a bounded time, what is neither: a flood of messages delays no tick.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from mobile_vla.control import ControllerConfig, Gate, Mode, Now, Outcome, one_instant
from mobile_vla_nodes.command_output import CommandOutput
from mobile_vla_nodes.controller_inputs import ControllerInputs
from mobile_vla_nodes.controller_status import StateChanges, TickTimings, details, status, with_warnings
from mobile_vla_nodes.latch_file import LatchFile
from mobile_vla_nodes.paced import PacedExecutor
from mobile_vla_nodes.policy_reset import PolicyReset
from mobile_vla_ros import topics
from mobile_vla_ros.diagnostics import Diagnostics, Status, to_message
from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.ros_time import RosTime
from mobile_vla_ros.run_folder import run_folder
from mobile_vla_ros.runtime import run
from mobile_vla_ros.scheduling import become_realtime, scheduled

GRAPH_PERIOD_NS = 500_000_000
GRAPH_CHECKS_PER_INPUT_CHECK = 2


class ControllerNode(Node):
    """Parameters -> gate -> command topic, with services, state and diagnostics around it."""

    def __init__(self) -> None:
        super().__init__("controller")
        self._failures = failures_of(self)
        self._settings = Parameters(self, ControllerConfig, self._on_change)
        config = self._settings.value
        self._gate = Gate(config)
        self._time = RosTime(self)
        self._latch_file = LatchFile(
            run_folder(os.environ), self.context.get_domain_id(), self.get_fully_qualified_name()
        )
        self._output = CommandOutput(self, config.output.stamped, config.output.frame_id)
        self._state = topics.CONTROLLER_STATE.publisher(self)
        self._changes = StateChanges()
        self._timings = TickTimings()
        self._inputs = ControllerInputs(self, self._gate, self._now)
        self._inputs.configure(config)
        arm = topics.ARM.server(self, self._on_arm)
        estop = topics.TRIGGER_ESTOP.server(self, self._on_estop_request)
        reset = topics.RESET_ESTOP.server(self, self._on_reset_request)
        self._reset = PolicyReset(self, lambda number: self._gate.policy_was_reset(number, self._now()))
        self._diagnostics = Diagnostics(self, self._report)
        self._graph_checks, self._graph_checked_ns = 0, 0
        self.period_s = config.period_s
        self.urgent = frozenset({arm, estop, reset, self._reset.client})
        self.alarms = self._inputs.alarms
        self._scheduling = become_realtime(config.realtime_priority)
        gc.collect()
        gc.freeze()  # what exists now lives as long as the process: no collection needs to walk it
        self._restore_latch()
        self._command = self._gate.tick(self._now())

    # operators

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        return self._answer(response, self._gate.arm if request.data else self._gate.disarm)

    def _on_estop_request(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The zero leaves before the answer: sending that may wait 100 ms for a client that is new to this process."""
        now = self._now()
        outcome = self._gate.estop("service", now)
        self._output.stop(now)
        self._keep_latch()
        return self._answer(response, lambda _: outcome)

    def _on_reset_request(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Decided on what stop devices have sent by now, and which of them are there now."""
        self._inputs.take_stops()
        self._inputs.find_stop_devices()
        return self._answer(response, self._reset_estop)

    def _reset_estop(self, now: Now) -> Outcome:
        """The answer also says when the next controller will boot latched all the same."""
        success, message = self._gate.reset_estop(now)
        self._keep_latch()
        return Outcome(success, "; ".join(filter(None, (message, self._latch_file.left_behind))))

    def _answer(self, response: Any, act: Callable[[Now], Outcome]) -> Any:
        response.success, response.message = act(self._now())
        self.get_logger().info(response.message)
        return response

    # decision

    def tick(self) -> None:
        """Take, decide, publish; then, now and then, what may take longer. Called by the executor at the set rate."""
        started_ns = time.monotonic_ns()
        self._time.poll()
        self._inputs.take_stops()
        self._inputs.take_others()
        now = self._now()
        self._timings.begun(started_ns, self.period_s)
        command = self._command = self._gate.tick(now)
        if command.publish:
            self._output.send(command.linear_x, command.linear_y, command.angular_z, now)
        self._timings.decided(command, self._time.now_ns())
        self._timings.ended(time.monotonic_ns() - started_ns)
        with self._failures.contained("latch file"):
            self._keep_latch()
        with self._failures.contained("policy reset"):
            self._reset.follow(command.reset_policy, now.steady_ns)
        with self._failures.contained("controller state"):
            self._publish_state(now)
        if now.steady_ns - self._graph_checked_ns >= GRAPH_PERIOD_NS:
            self._graph_checked_ns = now.steady_ns
            with self._failures.contained("look at the graph"):
                self._check_graph()

    def on_alarm(self) -> None:
        """Between two ticks: a zero leaves at once when a stop device pressed."""
        if self._inputs.take_stops() and self._command.mode is not Mode.ESTOP:
            self._output.stop(self._now())
            self._keep_latch()

    def between_ticks(self) -> None:
        """What is neither a command nor a stop."""
        self._inputs.take_between_ticks()

    def tick_failed(self, message: str) -> None:
        """Zero, every time; and the stop is latched, because what the gate still knows cannot be trusted."""
        now = self._now()
        self._output.stop(now)
        self._gate.estop(f"the controller failed: {message}", now)
        self._command = self._command._replace(
            publish=True, linear_x=0.0, linear_y=0.0, angular_z=0.0, mode=Mode.ESTOP, source="none", reason="estop"
        )
        self._publish_state(now)
        self._keep_latch()

    def before_shutdown(self) -> None:
        """Zeros, and proof that every reader has them, before the process ends."""
        self._output.stop(self._now())
        self._output.wait_until_received()

    def _check_graph(self) -> None:
        self._inputs.find_stop_devices()
        self._gate.offer_publishers({"cmd_vel": self._output.publishers()})
        self._graph_checks += 1
        if self._graph_checks % GRAPH_CHECKS_PER_INPUT_CHECK == 0:
            self._inputs.check_publishers()

    def _restore_latch(self) -> None:
        """An emergency stop that was latched when the controller before this one ended is latched now."""
        latched = self._latch_file.load()
        if latched is not None:
            self._gate.restore_estop(latched, self._now())
            self.get_logger().error(f"emergency stop: {latched.cause}")

    def _keep_latch(self) -> None:
        self._latch_file.keep(self._gate.latched)

    # explanation

    def _publish_state(self, now: Now) -> None:
        if self._changes.due(self._command, now.steady_ns):
            said = with_warnings(status(self._command, self._gate), self._latch_file.left_behind)
            self._state.publish(to_message(self.get_fully_qualified_name(), said))

    def _report(self) -> Status:
        errors = (self._latch_file.error, self._inputs.refused_instruction)
        level, message, values = with_warnings(status(self._command, self._gate), *errors)
        rate = {
            "rate_hz": f"{self._settings.value.rate_hz:g}",
            "scheduling": scheduled(self._scheduling),
            "ticks_with_messages_left": str(self._inputs.cut_short),
        }
        return Status(level, message, {**values, **rate, **self._timings.as_values(), **details(self._gate)})

    # set-up

    def _on_change(self, config: ControllerConfig) -> None:
        self._gate.reconfigure(config)
        self._inputs.configure(config)

    def _now(self) -> Now:
        return one_instant(self._time.now_ns)


def main() -> None:
    """Entry point."""
    sys.exit(run(ControllerNode, PacedExecutor, shared_memory=False))


if __name__ == "__main__":
    main()
