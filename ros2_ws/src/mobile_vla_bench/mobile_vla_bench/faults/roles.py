"""What each stand-in publishes, healthy and broken. `message` gets the behaviour and the wall clock."""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Joy, LaserScan, Range
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from mobile_vla_bench.faults.floods import ActionFlood, DiagnosticsFlood, EverythingFlood, Flood
from mobile_vla_bench.faults.role import NS, Role, Velocities, stamp
from mobile_vla_ros import topics

CLOCK_STEP_NS = 10 * NS
READY_PERIOD_S = 0.4
BEAMS = 180
DEADMAN, FORWARD_AXIS, TREMBLING_AXIS = 4, 1, 2


class PolicyRole(Velocities):
    """Inference as the controller sees it: actions, a ready status, the reset service."""

    name = "policy"
    topic = topics.ACTION
    frame_id = "diff"
    serves = True

    def serve(self, node: Node) -> None:
        self._status = topics.DIAGNOSTICS.publisher(node)
        topics.POLICY_RESET.server(node, self._reset)
        node.create_timer(READY_PERIOD_S, self._publish_status)

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        return response

    def _publish_status(self) -> None:
        status = DiagnosticStatus(
            name="/inference",
            message="running",
            values=[KeyValue(key="ready", value="true")],
            level=DiagnosticStatus.OK,
        )
        self._status.publish(DiagnosticArray(status=[status]))


class GamepadRole(Velocities):
    """What the gamepad node sends."""

    name = "pad"
    first_behaviour = "silent"
    topic = topics.TELEOP_JOY
    period_s = 0.05


class KeyboardRole(Velocities):
    """What the keyboard node sends."""

    name = "keyboard"
    first_behaviour = "silent"
    topic = topics.TELEOP_KEYBOARD


class WebRole(Velocities):
    """What a browser page sends."""

    name = "web"
    first_behaviour = "silent"
    topic = topics.TELEOP_WEB


class ScannerRole(Role):
    """A laser scanner in a wide room."""

    name = "scan"
    topic = topics.SCAN
    wrong_type = Range
    _odd = False

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
        self._odd = not self._odd
        message.header.frame_id = "laser_rear" if behaviour == "two" and self._odd else "laser"
        return message


class RangeRole(Role):
    """A forward range sensor with nothing near."""

    name = "range"
    topic = topics.RANGE

    def message(self, behaviour: str, now_ns: int) -> Any:
        message = Range(
            min_range=0.05, max_range=4.0, range=self.garbage(behaviour, 3.0) if behaviour == "nan" else 3.0
        )
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        return message


class OdometryRole(Role):
    """The base's odometry."""

    name = "odom"
    topic = topics.ODOM
    period_s = 0.05

    def message(self, behaviour: str, now_ns: int) -> Any:
        message = Odometry()
        message.header.stamp = stamp(self.stamp_ns(behaviour, now_ns))
        message.twist.twist.linear.x = self.garbage(behaviour, 0.3)
        return message


class CameraRole(Role):
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


class SecondScanner(ScannerRole):
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
        if behaviour in ("changes", "empty_first") and pressed == self._said:
            return None
        self._said = pressed
        said = Bool(data=pressed)
        return [b"", said] if behaviour == "empty_first" else said


class StopRepeater(StopDevice):
    """Another one, which floods: 200 times a second."""

    name = "stop_repeater"
    period_s = 0.005


class StopPanel(StopDevice):
    """A third one."""

    name = "stop_panel"


ROLES: dict[str, Callable[[], Role]] = {
    role.name: role
    for role in (
        PolicyRole,
        GamepadRole,
        KeyboardRole,
        WebRole,
        ScannerRole,
        RangeRole,
        OdometryRole,
        CameraRole,
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
