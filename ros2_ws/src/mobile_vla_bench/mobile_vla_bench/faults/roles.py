"""What each stand-in publishes, healthy and broken. `message` gets the behaviour and the wall clock."""

from __future__ import annotations

import array
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Joy, LaserScan, Range
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from mobile_vla.control import RELEASED
from mobile_vla_ros import topics
from mobile_vla_ros.topics import Topic

NS = 1_000_000_000
GARBAGE = {"nan": math.nan, "inf": math.inf, "huge": 1e300}
FUTURE_NS = 5 * NS
LATE_NS = 3 * NS // 2
CLOCK_STEP_NS = 10 * NS
READY_PERIOD_S = 0.4
BEAMS = 180
DEADMAN, FORWARD_AXIS, TREMBLING_AXIS = 4, 1, 2
CUT_OFF_BYTES = 20
STATUSES, VALUES = 200, 5
FLOODED = (
    topics.ACTION,
    topics.TELEOP_JOY,
    topics.TELEOP_KEYBOARD,
    topics.SCAN,
    topics.RANGE,
    topics.ODOM,
    topics.ESTOP,
    topics.INSTRUCTION,
    topics.DIAGNOSTICS,
)


def stamp(ns: int) -> Time:
    """A stamp that may also be from before the beginning of time."""
    return Time(sec=ns // NS, nanosec=ns % NS)


class Role(ABC):
    """A source: its topic, its rate, the values it sends."""

    name = ""
    topic: Topic
    wrong_type: type = Twist
    period_s = 0.1
    first_behaviour = "ok"
    serves = False

    def __init__(self) -> None:
        self.value: tuple[float, ...] = (0.0, 0.0)
        self._last_ns = 0

    def begin(self, node: Node) -> None:  # noqa: B027  (a hook)
        """Whatever the role needs beside its publisher; the node is on no executor."""

    def serve(self, node: Node) -> None:  # noqa: B027  (a hook)
        """Services and timers of a role that `serves`."""

    @abstractmethod
    def message(self, behaviour: str, now_ns: int) -> Any:
        """The next message; None for none."""

    def stamp_ns(self, behaviour: str, now_ns: int) -> int:
        """The stamp a healthy or a broken sender would give."""
        if behaviour == "zero_stamp":
            return 0
        if behaviour == "negative_stamp":
            return -1
        if behaviour == "future_stamp":
            return now_ns + FUTURE_NS
        if behaviour == "delayed":
            return now_ns - LATE_NS
        self._last_ns = self._last_ns - NS // 10 if behaviour == "out_of_order" else now_ns
        return self._last_ns

    def garbage(self, behaviour: str, healthy: float) -> float:
        """A number, or what the behaviour makes of it."""
        return GARBAGE.get(behaviour, healthy)


class Velocities(Role):
    """A TwistStamped source: a policy's actions or a person's commands. `release`: one word, then silence."""

    frame_id = ""

    def __init__(self) -> None:
        super().__init__()
        self._released = False

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour == "wrong_type":
            return Twist()
        if behaviour == "release":
            return self._release(now_ns)
        self._released = False
        message = TwistStamped()
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        message.header.frame_id = "omni" if behaviour == "wrong_frame" else self.frame_id
        message.twist.linear.x = self.garbage(behaviour, self.value[0])
        message.twist.angular.z = self.value[1]
        return serialize_message(message)[:CUT_OFF_BYTES] if behaviour == "cut_off" else message

    def _release(self, now_ns: int) -> Any:
        if self._released:
            return None
        self._released = True
        message = TwistStamped()
        message.header.stamp = stamp(self.stamp_ns("release", now_ns))
        message.header.frame_id = RELEASED
        return message


class Policy(Velocities):
    """Inference as the controller sees it: actions, a ready status, the reset service."""

    name = "policy"
    topic = topics.ACTION
    frame_id = "diff"
    serves = True

    def serve(self, node: Node) -> None:
        self._status = topics.DIAGNOSTICS.publisher(node)
        topics.POLICY_RESET.server(node, self._reset)
        node.create_timer(READY_PERIOD_S, self._say)

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        return response

    def _say(self) -> None:
        status = DiagnosticStatus(
            name="/inference",
            message="running",
            values=[KeyValue(key="ready", value="true")],
            level=DiagnosticStatus.OK,
        )
        self._status.publish(DiagnosticArray(status=[status]))


class Pad(Velocities):
    """What the gamepad node sends."""

    name = "pad"
    first_behaviour = "silent"
    topic = topics.TELEOP_JOY
    period_s = 0.05


class Keyboard(Velocities):
    """What the keyboard node sends."""

    name = "keyboard"
    first_behaviour = "silent"
    topic = topics.TELEOP_KEYBOARD


class Web(Velocities):
    """What a browser page sends."""

    name = "web"
    first_behaviour = "silent"
    topic = topics.TELEOP_WEB


class Scanner(Role):
    """A laser scanner in a wide room."""

    name = "scan"
    topic = topics.SCAN
    wrong_type = Range

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour == "wrong_type":
            return Range()
        distance = self.garbage(behaviour, 5.0) if behaviour != "huge" else math.inf
        ranges = [distance] * BEAMS
        if behaviour == "blind_ahead":
            ranges[BEAMS // 3 : -BEAMS // 3] = [math.nan] * (BEAMS // 3)
        message = LaserScan(
            angle_min=-math.pi,
            angle_max=math.pi,
            angle_increment=2 * math.pi / BEAMS,
            range_min=0.05,
            range_max=10.0,
            ranges=ranges,
        )
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        return message


class Distance(Role):
    """A forward range sensor with nothing near."""

    name = "range"
    topic = topics.RANGE

    def message(self, behaviour: str, now_ns: int) -> Any:
        message = Range(
            min_range=0.05, max_range=4.0, range=self.garbage(behaviour, 3.0) if behaviour == "nan" else 3.0
        )
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        return message


class Base(Role):
    """The base's odometry."""

    name = "odom"
    topic = topics.ODOM
    period_s = 0.05

    def message(self, behaviour: str, now_ns: int) -> Any:
        message = Odometry()
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        message.twist.twist.linear.x = self.garbage(behaviour, 0.3)
        return message


class Camera(Role):
    """A small camera with noise; `value` is not used."""

    name = "camera"
    topic = topics.CAMERA_IMAGE
    width, height = 160, 120

    def begin(self, node: Node) -> None:
        noise = np.random.default_rng(0).integers(30, 225, (8, self.height, self.width, 3), dtype=np.uint8)
        self._pictures = [array.array("B", picture.tobytes()) for picture in noise]
        self._dark = array.array("B", bytes(3 * self.width * self.height))
        self._sent = 0

    def message(self, behaviour: str, now_ns: int) -> Any:
        self._sent += 0 if behaviour == "frozen" else 1
        width, height, data = self.width, self.height, self._pictures[self._sent % len(self._pictures)]
        if behaviour == "black":
            data = self._dark
        if behaviour == "smaller":
            width, height = width // 2, height // 2
            data = data[: 3 * width * height]
        message = Image(height=height, width=width, encoding="rgb8" if behaviour == "other_encoding" else "bgr8")
        message.step, message.data = 3 * width, data
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        return message


class JoyDriver(Role):
    """A joystick driver: an Xbox pad whose deadman is held while the forward stick (`value[0]`) is pushed."""

    name = "joy"
    topic = topics.JOY
    period_s = 0.05

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._repeated: Joy | None = None

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour == "repeat" and self._repeated is not None:
            return self._repeated
        self._sent += 0 if behaviour == "frozen" else 1
        message = Joy()
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        if behaviour != "empty":
            axes, buttons = [0.0] * 8, [0] * 11
            axes[TREMBLING_AXIS] = 0.01 * (self._sent % 2)
            if behaviour != "released":
                axes[FORWARD_AXIS] = self.garbage(behaviour, self.value[0])
                buttons[DEADMAN] = int(any(self.value))
            message.axes, message.buttons = axes, buttons
        self._repeated = message
        return message


class WallClock(Role):
    """Simulated time that follows the wall clock, until it does not."""

    name = "clock"
    topic = topics.CLOCK
    period_s = 0.01

    def message(self, behaviour: str, now_ns: int) -> Any:
        offset = {"back": -CLOCK_STEP_NS, "forward": CLOCK_STEP_NS}.get(behaviour, 0)
        if behaviour != "paused":
            self._last_ns = now_ns + offset
        return Clock(clock=stamp(self._last_ns))


class Intruder(Role):
    """A second node that offers the command topic, when told so. Offering is enough: it sends nothing."""

    name = "intruder"
    first_behaviour = "withdrawn"
    topic = topics.CMD_VEL_STAMPED

    def message(self, behaviour: str, now_ns: int) -> Any:
        return None


class SecondPolicy(Velocities):
    """Another inference node: full speed ahead, when told so."""

    name = "second_policy"
    first_behaviour = "withdrawn"
    topic = topics.ACTION
    frame_id = "diff"

    def __init__(self) -> None:
        super().__init__()
        self.value = (1.0, 0.0)


class SecondScanner(Scanner):
    """Another scanner that sees a wide room, when told so."""

    name = "second_scan"
    first_behaviour = "withdrawn"


class StopDevice(Role):
    """A device on the stop topic that repeats its state (`value[0]`); with `changes` it says each state once."""

    name = "stop_device"
    first_behaviour = "silent"
    topic = topics.ESTOP

    def __init__(self) -> None:
        super().__init__()
        self._said: bool | None = None

    def message(self, behaviour: str, now_ns: int) -> Any:
        pressed = bool(self.value[0])
        if behaviour == "changes" and pressed == self._said:
            return None
        self._said = pressed
        return Bool(data=pressed)


class StopRepeater(StopDevice):
    """Another one, which floods: 200 times a second."""

    name = "stop_repeater"
    period_s = 0.005


class StopPanel(StopDevice):
    """A third one."""

    name = "stop_panel"


class DiagnosticsFlood(Role):
    """A machine with many parts that says everything about them, all the time."""

    name = "diagnostics_flood"
    first_behaviour = "silent"
    topic = topics.DIAGNOSTICS
    period_s = 1 / 150

    def __init__(self) -> None:
        super().__init__()
        values = [KeyValue(key=f"key {number}", value="some value") for number in range(VALUES)]
        statuses = [DiagnosticStatus(name=f"/part{number}", values=values) for number in range(STATUSES)]
        self._bytes = serialize_message(DiagnosticArray(status=statuses))

    def message(self, behaviour: str, now_ns: int) -> Any:
        return self._bytes


class Flood(Velocities):
    """Garbage from nowhere: on the web topic, so that the policy's own messages still arrive."""

    name = "flood"
    topic = topics.TELEOP_WEB

    def begin(self, node: Node) -> None:
        others = (topics.TELEOP_JOY, topics.TELEOP_KEYBOARD, topics.SCAN, topics.ODOM, topics.ESTOP, topics.DIAGNOSTICS)
        self._others = [(topic.publisher(node), topic.type()) for topic in others]
        self._next = 0

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour != "flood":
            return None
        publisher, message = self._others[self._next % len(self._others)]
        self._next += 1
        publisher.publish(message)
        return super().message("nan", now_ns)


class EverythingFlood(Velocities):
    """Garbage on every input of the controller at once, the policy's included; otherwise it offers none of them."""

    name = "everything"
    first_behaviour = "silent"
    topic = topics.TELEOP_WEB

    def begin(self, node: Node) -> None:
        self._node = node
        self._all: list[tuple[Any, bytes]] = []

    def message(self, behaviour: str, now_ns: int) -> Any:
        if behaviour != "flood":
            while self._all:
                self._node.destroy_publisher(self._all.pop()[0])
            return None
        if not self._all:
            self._all = [(topic.publisher(self._node), serialize_message(topic.type())) for topic in FLOODED]
        for publisher, data in self._all:
            publisher.publish(data)
        return super().message("nan", now_ns)


class ActionFlood(Velocities):
    """Garbage on the action topic itself: whatever the policy says is displaced."""

    name = "action_flood"
    first_behaviour = "withdrawn"
    topic = topics.ACTION
    frame_id = "diff"

    def message(self, behaviour: str, now_ns: int) -> Any:
        return super().message("nan", now_ns) if behaviour == "flood" else None


ROLES: dict[str, Callable[[], Role]] = {
    role.name: role
    for role in (
        Policy,
        Pad,
        Keyboard,
        Web,
        Scanner,
        Distance,
        Base,
        Camera,
        JoyDriver,
        WallClock,
        Intruder,
        SecondPolicy,
        SecondScanner,
        StopDevice,
        StopRepeater,
        StopPanel,
        DiagnosticsFlood,
        EverythingFlood,
        Flood,
        ActionFlood,
    )
}
