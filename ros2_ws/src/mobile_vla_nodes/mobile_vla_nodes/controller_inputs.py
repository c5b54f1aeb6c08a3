"""The controller's subscriptions: what arrives is stored in the gate; nothing is decided here.

Stop devices are read first and whatever they send; all other messages together get a bounded time per tick, and what is
neither a command nor a stop is read between two ticks. What people send waits for no message that is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import LaserScan, Range
from std_msgs.msg import String

from mobile_vla.config.instruction import too_long
from mobile_vla.control import RELEASED, ControllerConfig, Gate, Now, OffPlane, ScanGeometry, Velocity
from mobile_vla_nodes.input_publishers import names_of_publishers, publishers
from mobile_vla_nodes.policy_status import status_named
from mobile_vla_nodes.stop_input import StopInput
from mobile_vla_ros import topics
from mobile_vla_ros.polled import PolledSubscriptions, Subscribed
from mobile_vla_ros.stamps import stamp_ns

TICK_CPU_S = 0.005
"""Processor time of one tick for taking messages; stops are taken first and do not count."""
BETWEEN_TICKS_CPU_S = 0.003
MEANT_FOR_ONE = ("action", "scan", "range", "odom")
TELEOP = {"joy": topics.TELEOP_JOY, "keyboard": topics.TELEOP_KEYBOARD, "web": topics.TELEOP_WEB}


class ControllerInputs:
    """Everything the controller reads from the graph.

    How the gate knows before arming that camera and policy are alive: the policy, when the status of the node
    `inference` in the controller's own namespace on /diagnostics says `ready: true` (loaded, probe and canary passed,
    active) and is not older than `staleness.policy_status_s`; the camera, when an action arrives whose stamp, which is
    its image's, is fresh. A status with `action_ready: false` counts as not ready; one with `image_trouble` names a
    picture that must not be used. Inference therefore publishes actions also while the controller is disarmed.
    """

    def __init__(self, node: Node, gate: Gate, now: Callable[[], Now]) -> None:
        self._node = node
        self._gate = gate
        self._now = now
        self._instruction: str | None = None
        self.refused_instruction = ""
        """Why the newest instruction is ignored; empty when it is not."""
        self._inference = f"{node.get_namespace().rstrip('/')}/inference"
        self._optional: dict[str, Subscribed] = {}
        self._polled = PolledSubscriptions(node)
        self._stops = StopInput(node, self._on_estop, lambda cause: gate.estop(cause, now()))
        self._always = {
            "estop": self._stops.subscriptions,
            "instruction": self._polled.add_at_once(topics.INSTRUCTION, self._on_instruction).matching,
            "action": (self._polled.add(topics.ACTION, self._on_action),),
        }
        self._between_ticks = PolledSubscriptions(node)
        self._between_ticks.add_raw(
            topics.DIAGNOSTICS.type, topics.DIAGNOSTICS.name, self._on_diagnostics, topics.DIAGNOSTICS.requested
        )

    @property
    def alarms(self) -> tuple[Subscription, ...]:
        """The subscriptions of stop devices, which the executor watches between two ticks."""
        return self._stops.alarms

    @property
    def cut_short(self) -> int:
        """Ticks whose time for messages was used up with messages waiting."""
        return self._polled.cut_short

    def configure(self, config: ControllerConfig) -> None:
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
                self._optional[name] = self._subscribe(name, topic, callback)
            elif not used and name in self._optional:
                gone = self._optional.pop(name)
                self._polled.remove(*gone.matching, *gone.beside)

    def _subscribe(self, name: str, topic: topics.Topic, callback: Callable[[Any], None]) -> Subscribed:
        if name in TELEOP:
            return self._polled.add_at_once(topic, callback)
        return Subscribed((self._polled.add(topic, callback),))

    def take_stops(self) -> bool:
        """Take what stop devices sent; whether one of them pressed."""
        pressed, anonymous_release = self._stops.drain()
        if anonymous_release and self._gate.latched:
            self.find_stop_devices()
        return pressed

    def take_others(self) -> None:
        """Take everything else that waits, within the time of a tick."""
        self._polled.poll(TICK_CPU_S)

    def take_between_ticks(self) -> None:
        """The policy's status among everything on /diagnostics."""
        self._between_ticks.poll(BETWEEN_TICKS_CPU_S)

    def find_stop_devices(self) -> None:
        """Ask the graph which stop devices there are now."""
        self._gate.offer_estop_writers(self._stops.writers())

    def check_publishers(self) -> None:
        """Ask the graph who publishes on the inputs: call it about once a second."""
        optional = {name: subscribed.matching for name, subscribed in self._optional.items()}
        found = publishers(self._node, {**self._always, **optional})
        if "odom" not in optional:  # not read here, and named all the same: others rely on it
            found.compatible["odom"] = names_of_publishers(self._node, topics.ODOM.name)
        self._gate.offer_incompatible_inputs(found.incompatible)
        self._gate.offer_publishers({name: found.compatible.get(name, []) for name in MEANT_FOR_ONE})

    def _on_action(self, message: TwistStamped) -> None:
        velocity, off_plane = _parts(message.twist)
        self._gate.offer_action(stamp_ns(message), message.header.frame_id, velocity, self._now(), off_plane=off_plane)

    def _on_teleop(self, source: str, message: TwistStamped) -> None:
        released = message.header.frame_id == RELEASED
        velocity, off_plane = _parts(message.twist)
        self._gate.offer_teleop(source, stamp_ns(message), velocity, self._now(), released, off_plane=off_plane)

    def _on_scan(self, message: LaserScan) -> None:
        geometry = ScanGeometry(message.angle_min, message.angle_increment, message.range_min, message.range_max)
        self._gate.offer_scan(stamp_ns(message), message.ranges, geometry, self._now(), message.header.frame_id)

    def _on_range(self, message: Range) -> None:
        self._gate.offer_range(stamp_ns(message), message.range, message.min_range, message.max_range, self._now())

    def _on_odometry(self, message: Odometry) -> None:
        twist = message.twist.twist
        self._gate.offer_odometry(stamp_ns(message), twist.linear.x, twist.angular.z, self._now())

    def _on_instruction(self, message: String) -> None:
        self.refused_instruction = too_long(message.data)
        if not self.refused_instruction and message.data != self._instruction:
            self._instruction = message.data
            self._gate.instruction_changed(self._now())

    def _on_estop(self, writer: str | None, pressed: bool, reader: int) -> None:
        self._gate.offer_estop_input(pressed, self._now(), writer, reader)

    def _on_diagnostics(self, data: bytes, _: object) -> None:
        found = status_named(self._inference, data)
        if found is not None:
            ready = found.values.get("ready") == "true" and found.values.get("action_ready", "true") == "true"
            self._gate.offer_policy_status(ready, found.message, self._now())
            self._gate.offer_image_health(found.values.get("image_trouble", ""))


def _parts(twist: Twist) -> tuple[Velocity, OffPlane]:
    """The motion on the ground, and what else the message asks for."""
    velocity = Velocity(twist.linear.x, twist.linear.y, twist.angular.z)
    return velocity, OffPlane(twist.linear.z, twist.angular.x, twist.angular.y)
