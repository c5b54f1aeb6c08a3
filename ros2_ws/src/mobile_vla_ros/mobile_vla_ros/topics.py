"""The graph contract: every topic and service, its type and how it travels. Nodes take names from nowhere else.

Names are relative, so namespaces and remaps work as usual; `/diagnostics` and `/clock` are global by convention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Joy, LaserScan, Range
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from mobile_vla_ros import qos


@dataclass(frozen=True, eq=False)
class Topic:
    """One row of the contract table. `also` is a second request, for writers that the first does not match."""

    name: str
    type: type
    offered: QoSProfile
    requested: QoSProfile
    flow: str
    also: QoSProfile | None = None

    def publisher(self, node: Node) -> Publisher:
        return node.create_publisher(self.type, self.name, self.offered)

    def subscription(self, node: Node, callback: Callable[[Any], None], **options: Any) -> Subscription:
        return node.create_subscription(self.type, self.name, callback, self.requested, **options)

    def subscriptions(self, node: Node, callback: Callable[..., None], **options: Any) -> tuple[Subscription, ...]:
        """One for each request. A writer that matches both is heard twice."""
        requests = (self.requested, *([self.also] if self.also else []))
        return tuple(node.create_subscription(self.type, self.name, callback, qos, **options) for qos in requests)

    def at_once(self, node: Node, callback: Callable[..., None], **options: Any) -> Subscription:
        """One more, best effort, for a topic whose messages must wait for none that is missing. It must be added to
        those above: it loses messages, and what it hands on they hand on, too.
        """
        return node.create_subscription(self.type, self.name, callback, qos.at_once(self.requested), **options)


@dataclass(frozen=True, eq=False)
class Service:
    """One service of the contract."""

    name: str
    type: type
    purpose: str

    def server(self, node: Node, callback: Callable[[Any, Any], Any]) -> Any:
        return node.create_service(self.type, self.name, callback)

    def client(self, node: Node) -> Any:
        return node.create_client(self.type, self.name)


def _image(name: str, message: type, flow: str, requested: QoSProfile = qos.NEWEST_BEST_EFFORT) -> Topic:
    return Topic(name, message, qos.IMAGE_OUT, requested, flow)


def _command(name: str, message: type, flow: str) -> Topic:
    return Topic(name, message, qos.NEWEST_RELIABLE, qos.NEWEST_RELIABLE, flow)


def _latched(name: str, message: type, flow: str) -> Topic:
    return Topic(name, message, qos.LATCHED, qos.LATCHED, flow)


def _from_anybody(name: str, message: type, requested: QoSProfile, flow: str) -> Topic:
    """Latched by us, and heard from volatile writers, too: what every ROS tool publishes by default."""
    return Topic(name, message, qos.LATCHED, requested, flow, qos.volatile(requested))


def _sensor(name: str, message: type, flow: str) -> Topic:
    return Topic(name, message, qos.SENSOR, qos.SENSOR, flow)


CAMERA_IMAGE = _image("camera/image_raw", Image, "camera or simulator -> inference, recorder", qos.FRAMES_BEST_EFFORT)
CAMERA_JPEG = _image("camera/image_raw/compressed", CompressedImage, "camera or simulator, while subscribed")
CAMERA_INFO = _image("camera/camera_info", CameraInfo, "camera or simulator")
DEPTH_IMAGE = _image("camera/depth/image_raw", Image, "depth camera or simulator -> depth scan; 16UC1 mm or 32FC1 m")
DEPTH_INFO = _image("camera/depth/camera_info", CameraInfo, "depth camera or simulator -> depth scan")
INSTRUCTION = _from_anybody("instruction", String, qos.SENTENCE, "person, command line, any other node -> inference")
ACTION = _command(
    "policy/action",
    TwistStamped,
    "inference -> controller; normalised, stamp of the frame, frame_id is `controller.action.space`",
)
CMD_VEL = _command("cmd_vel", Twist, "controller -> base; nobody else")
CMD_VEL_STAMPED = _command("cmd_vel", TwistStamped, "controller -> base; nobody else")
TELEOP_JOY = _command("teleop/joy", TwistStamped, "gamepad -> controller; a zero with frame_id `released` gives back")
TELEOP_KEYBOARD = _command(
    "teleop/keyboard", TwistStamped, "keyboard -> controller; a zero with frame_id `released` gives back"
)
TELEOP_WEB = _command(
    "teleop/web", TwistStamped, "a sender of your own -> controller; a zero with frame_id `released` gives back"
)
JOY = _sensor("joy", Joy, "joystick driver -> gamepad")
SCAN = _sensor("scan", LaserScan, "base, depth scan or simulator -> controller")
RANGE = _sensor("range", Range, "base or simulator -> controller")
ODOM = _sensor("odom", Odometry, "base or simulator -> controller")
ESTOP = _from_anybody("estop", Bool, qos.EVERY_STOP, "any device that can stop the robot -> controller; true latches")
CONTROLLER_STATE = _latched("controller/state", DiagnosticStatus, "controller -> everyone; mode, source, reason, ages")
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, qos.EVENTS, qos.EVENTS, "every node")
CLOCK = Topic("/clock", Clock, qos.CLOCK, qos.CLOCK, "simulator or replay, when time is simulated")

TOPICS: tuple[Topic, ...] = (
    CAMERA_IMAGE,
    CAMERA_JPEG,
    CAMERA_INFO,
    DEPTH_IMAGE,
    DEPTH_INFO,
    INSTRUCTION,
    ACTION,
    CMD_VEL,
    TELEOP_JOY,
    TELEOP_KEYBOARD,
    TELEOP_WEB,
    JOY,
    SCAN,
    RANGE,
    ODOM,
    ESTOP,
    CONTROLLER_STATE,
    DIAGNOSTICS,
    CLOCK,
)

ARM = Service("controller/arm", SetBool, "person -> controller: allow motion, or forbid it")
TRIGGER_ESTOP = Service("controller/estop", Trigger, "person -> controller: stop now and latch")
RESET_ESTOP = Service("controller/reset_estop", Trigger, "person -> controller: release the latch, motion stays off")
POLICY_RESET = Service("policy/reset", Trigger, "clears the recurrent state of the policy")
RECORDER_SAVE = Service("recorder/save", Trigger, "writes what the ring buffer holds")

SERVICES: tuple[Service, ...] = (ARM, TRIGGER_ESTOP, RESET_ESTOP, POLICY_RESET, RECORDER_SAVE)
