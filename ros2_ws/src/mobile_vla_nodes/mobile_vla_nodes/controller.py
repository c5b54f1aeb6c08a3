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
from functools import partial
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import LaserScan, Range
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from mobile_vla.config.instruction import too_long
from mobile_vla.control import (
    NS_PER_S,
    RELEASED,
    STILL,
    Command,
    ControllerConfig,
    Gate,
    Mode,
    Now,
    Outcome,
    ScanGeometry,
    Velocity,
    one_instant,
)
from mobile_vla.timing import Timings
from mobile_vla_nodes.controller_status import StateChanges, details, status
from mobile_vla_nodes.input_publishers import names_of_publishers, publishers
from mobile_vla_nodes.latch_file import LatchFile
from mobile_vla_nodes.paced import PacedExecutor
from mobile_vla_nodes.policy_reset import PolicyReset
from mobile_vla_nodes.policy_status import status_named
from mobile_vla_nodes.stop_input import StopInput
from mobile_vla_ros import topics
from mobile_vla_ros.diagnostics import WARN, Diagnostics, Status, to_message
from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.polled import PolledSubscriptions
from mobile_vla_ros.ros_time import RosTime
from mobile_vla_ros.run_folder import run_folder
from mobile_vla_ros.runtime import run
from mobile_vla_ros.scheduling import become_realtime, scheduled
from mobile_vla_ros.stamps import stamp_ns

WATCH_PERIOD_NS = 500_000_000
LOOKS_PER_MATCH = 2
SHUTDOWN_ACK_S = 0.5
TAKING_CPU_S = 0.005
"""Processor time of one tick for taking messages; stops are taken first and do not count."""
ASIDE_CPU_S = 0.003
MEANT_FOR_ONE = ("action", "scan", "range", "odom")
TELEOP = {"joy": topics.TELEOP_JOY, "keyboard": topics.TELEOP_KEYBOARD, "web": topics.TELEOP_WEB}


class ControllerNode(Node):
    """Parameters -> gate -> command topic, with services, state and diagnostics around it.

    How it knows before arming that camera and policy are alive: the policy, when the status of the node `inference` in
    this node's own namespace on /diagnostics says `ready: true` (loaded, probe and canary passed, active) and is not
    older than `staleness.policy_status_s`; the camera, when an action arrives whose stamp, which is its image's, is
    fresh. A status with `action_ready: false` counts as not ready; one with `image_trouble` names a picture that must
    not be used. Inference therefore publishes actions also while the controller is disarmed.
    """

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
        self._stamped = config.output.stamped
        self._publisher = (topics.CMD_VEL_STAMPED if self._stamped else topics.CMD_VEL).publisher(self)
        self._twist = Twist()
        self._state = topics.CONTROLLER_STATE.publisher(self)
        self._changes = StateChanges()
        self._jitter, self._work, self._latency = Timings(1000), Timings(1000), Timings(1000)
        self._last_tick_ns = 0
        self._last_action_ns = 0
        self._instruction: str | None = None
        self._refused_instruction = ""
        self._inference = f"{self.get_namespace().rstrip('/')}/inference"
        self._optional: dict[str, Any] = {}
        self._inputs = PolledSubscriptions(self)
        self._stops = StopInput(self, self._on_estop, lambda cause: self._gate.estop(cause, self._now()))
        self._always = {
            "estop": self._stops.subscriptions,
            "instruction": self._inputs.add_both(topics.INSTRUCTION, self._on_instruction),
            "action": (self._inputs.add(topics.ACTION, self._on_action),),
        }
        self._aside = PolledSubscriptions(self)
        self._aside.add_raw(
            topics.DIAGNOSTICS.type, topics.DIAGNOSTICS.name, self._on_diagnostics, topics.DIAGNOSTICS.requested
        )
        self._listen(config)
        arm = topics.ARM.server(self, self._on_arm)
        estop = topics.TRIGGER_ESTOP.server(self, self._on_estop_request)
        reset = topics.RESET_ESTOP.server(self, self._on_reset_request)
        self._reset = PolicyReset(self, lambda number: self._gate.policy_was_reset(number, self._now()))
        self._diagnostics = Diagnostics(self, self._report)
        self._looks, self._looked_ns = 0, 0
        self.period_s = config.period_s
        self.urgent = frozenset({arm, estop, reset, self._reset.client})
        self.alarms = self._stops.subscriptions
        self._scheduling = become_realtime(config.realtime_priority)
        gc.collect()
        gc.freeze()  # what exists now lives as long as the process: no collection needs to walk it
        self._latch_again()
        self._command = self._gate.tick(self._now())

    # inputs: taken at the start of a tick, only stored

    def _on_action(self, message: TwistStamped) -> None:
        self._gate.offer_action(stamp_ns(message), message.header.frame_id, _velocity(message.twist), self._now())

    def _on_teleop(self, source: str, message: TwistStamped) -> None:
        released = message.header.frame_id == RELEASED
        self._gate.offer_teleop(source, stamp_ns(message), _velocity(message.twist), self._now(), released)

    def _on_scan(self, message: LaserScan) -> None:
        geometry = ScanGeometry(message.angle_min, message.angle_increment, message.range_min, message.range_max)
        self._gate.offer_scan(stamp_ns(message), message.ranges, geometry, self._now(), message.header.frame_id)

    def _on_range(self, message: Range) -> None:
        self._gate.offer_range(stamp_ns(message), message.range, message.min_range, message.max_range, self._now())

    def _on_odometry(self, message: Odometry) -> None:
        twist = message.twist.twist
        self._gate.offer_odometry(stamp_ns(message), twist.linear.x, twist.angular.z, self._now())

    def _on_instruction(self, message: String) -> None:
        self._refused_instruction = too_long(message.data)
        if not self._refused_instruction and message.data != self._instruction:
            self._instruction = message.data
            self._gate.instruction_changed(self._now())

    def _on_estop(self, writer: str | None, pressed: bool, reader: int) -> None:
        self._gate.offer_estop_input(pressed, self._now(), writer, reader)

    def _hear_stops(self) -> bool:
        """Take what stop devices said; whether one of them pressed."""
        pressed, anonymous_release = self._stops.drain()
        if anonymous_release and self._gate.latched:
            self._look_for_stop_devices()
        return pressed

    def on_alarm(self) -> None:
        """Between two ticks: a zero leaves at once when a stop device pressed."""
        if self._hear_stops() and self._command.mode is not Mode.ESTOP:
            self._send(0.0, 0.0, 0.0, self._now())
            self._keep_latch()

    def _on_diagnostics(self, data: bytes) -> None:
        found = status_named(self._inference, data)
        if found is not None:
            ready = found.values.get("ready") == "true" and found.values.get("action_ready", "true") == "true"
            self._gate.offer_policy_status(ready, found.message, self._now())
            self._gate.offer_image_health(found.values.get("image_trouble", ""))

    def _look_for_stop_devices(self) -> None:
        self._gate.offer_estop_writers(self._stops.writers())

    def _check_graph(self) -> None:
        self._look_for_stop_devices()
        self._gate.offer_publishers({"cmd_vel": names_of_publishers(self, self._publisher.topic_name)})
        self._looks += 1
        if self._looks % LOOKS_PER_MATCH == 0:
            optional = {name: (subscription,) for name, subscription in self._optional.items()}
            found = publishers(self, {**self._always, **optional})
            self._gate.offer_incompatible_inputs(found.incompatible)
            self._gate.offer_publishers({name: found.compatible.get(name, []) for name in MEANT_FOR_ONE})

    def _latch_again(self) -> None:
        """An emergency stop that was latched when the controller before this one ended is latched now."""
        latched = self._latch_file.load()
        if latched is not None:
            self._gate.restore_estop(latched, self._now())
            self.get_logger().error(f"emergency stop: {latched.cause}")

    def _keep_latch(self) -> None:
        self._latch_file.keep(self._gate.latched)

    # operators

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        return self._answer(response, self._gate.arm if request.data else self._gate.disarm)

    def _on_estop_request(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """The zero leaves before the answer: sending that may wait 100 ms for a client that is new to this process."""
        now = self._now()
        outcome = self._gate.estop("service", now)
        self._send(0.0, 0.0, 0.0, now)
        self._keep_latch()
        return self._answer(response, lambda _: outcome)

    def _on_reset_request(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Decided on what has been said by now, and who is there now."""
        self._hear_stops()
        self._look_for_stop_devices()
        answer = self._answer(response, self._gate.reset_estop)
        self._keep_latch()
        return answer

    def _answer(self, response: Any, act: Callable[[Now], Outcome]) -> Any:
        response.success, response.message = act(self._now())
        self.get_logger().info(response.message)
        return response

    # decision

    def tick(self) -> None:
        """Take, decide, publish; then, now and then, what may take longer. Called by the executor at the set rate."""
        started_ns = time.monotonic_ns()
        self._time.poll()
        self._hear_stops()
        self._inputs.poll(TAKING_CPU_S)
        now = self._now()
        if self._last_tick_ns:
            late_s = (started_ns - self._last_tick_ns) / NS_PER_S - self._settings.value.period_s
            self._jitter.add(abs(late_s) * 1e3)
        self._last_tick_ns = started_ns
        command = self._command = self._gate.tick(now)
        if command.publish:
            self._send(command.linear_x, command.linear_y, command.angular_z, now)
        if command.action_stamp_ns > self._last_action_ns:
            self._latency.add((self._time.now_ns() - command.action_stamp_ns) / 1e6)
        self._last_action_ns = command.action_stamp_ns
        self._work.add((time.monotonic_ns() - started_ns) / 1e6)
        with self._failures.contained("latch file"):
            self._keep_latch()
        with self._failures.contained("policy reset"):
            self._reset.follow(command.reset_policy, now.steady_ns)
        with self._failures.contained("controller state"):
            self._say(command, now)
        if now.steady_ns - self._looked_ns >= WATCH_PERIOD_NS:
            self._looked_ns = now.steady_ns
            with self._failures.contained("look at the graph"):
                self._check_graph()

    def between_ticks(self) -> None:
        """What is neither a command nor a stop: the policy's status among everything on /diagnostics."""
        self._aside.poll(ASIDE_CPU_S)

    def tick_failed(self, sentence: str) -> None:
        """Zero, every time; and the stop is latched, because what the gate still knows cannot be trusted."""
        now = self._now()
        self._send(0.0, 0.0, 0.0, now)
        self._gate.estop(f"the controller failed: {sentence}", now)
        self._command = self._command._replace(
            publish=True, linear_x=0.0, linear_y=0.0, angular_z=0.0, mode=Mode.ESTOP, source="none", reason="estop"
        )
        self._say(self._command, now)
        self._keep_latch()

    def _send(self, linear_x: float, linear_y: float, angular_z: float, now: Now) -> None:
        """The stamp is the moment for which the limiters decided: stamps and values together keep the limits."""
        twist = self._twist
        twist.linear.x, twist.linear.y, twist.angular.z = linear_x, linear_y, angular_z
        if not self._stamped:
            self._publisher.publish(twist)
            return
        message = TwistStamped(twist=twist)
        message.header.stamp = Time(nanoseconds=now.ros_ns).to_msg()
        message.header.frame_id = self._settings.value.output.frame_id
        self._publisher.publish(message)

    def before_shutdown(self) -> None:
        """Zeros, and proof that every reader has them, before the process ends."""
        self._send(0.0, 0.0, 0.0, self._now())
        self._publisher.wait_for_all_acked(Duration(seconds=SHUTDOWN_ACK_S))

    # explanation

    def _say(self, command: Command, now: Now) -> None:
        if not self._changes.due(command, now.steady_ns):
            return
        self._state.publish(to_message(self.get_fully_qualified_name(), status(command, self._gate)))

    def _report(self) -> Status:
        level, message, values = status(self._command, self._gate)
        timings = {"tick_jitter": self._jitter, "tick": self._work, "camera_to_command": self._latency}
        measured = {key: value for name, unit in timings.items() for key, value in unit.as_values(name).items()}
        rate = {
            "rate_hz": f"{self._settings.value.rate_hz:g}",
            "scheduling": scheduled(self._scheduling),
            "ticks_with_messages_left": str(self._inputs.cut_short),
        }
        for problem in (self._latch_file.trouble, self._refused_instruction):
            if problem:
                level, message = max(level, WARN), f"{message}; {problem}"
        return Status(level, message, {**values, **rate, **measured, **details(self._gate)})

    # set-up

    def _on_change(self, config: ControllerConfig) -> None:
        self._gate.reconfigure(config)
        self._listen(config)

    def _listen(self, config: ControllerConfig) -> None:
        """Subscribe to exactly what the configuration uses."""
        wanted: dict[str, tuple[topics.Topic, bool, Callable[[Any], None]]] = {
            "scan": (topics.SCAN, config.range_guard.use_scan, self._on_scan),
            "range": (topics.RANGE, config.range_guard.use_range, self._on_range),
            "odom": (topics.ODOM, config.require.odometry, self._on_odometry),
        }
        for name, topic in TELEOP.items():
            wanted[name] = (topic, getattr(config.teleop, name).enabled, partial(self._on_teleop, name))
        for name, (topic, used, callback) in wanted.items():
            if used and name not in self._optional:
                self._optional[name] = self._inputs.add(topic, callback)
            elif not used and name in self._optional:
                self._inputs.remove(self._optional.pop(name))

    def _now(self) -> Now:
        return one_instant(self._time.now_ns)


def _velocity(twist: Twist) -> Velocity:
    """The components a robot on the ground has; anything else in the message makes no sense and is no number here."""
    unused = (twist.linear.z, twist.angular.x, twist.angular.y)
    if any(unused):
        return STILL._replace(forward=float("nan"))
    return Velocity(twist.linear.x, twist.linear.y, twist.angular.z)


def main() -> None:
    """Entry point."""
    sys.exit(run(ControllerNode, PacedExecutor, shared_memory=False))


if __name__ == "__main__":
    main()
