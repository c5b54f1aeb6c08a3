"""A depth camera guards the robot: picture -> depth_scan -> controller, as real processes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from depth_scenes import Camera, metres, millimetres
from diagnostic_msgs.msg import DiagnosticStatus
from retried import retried
from sensor_msgs.msg import CameraInfo, Image

from mobile_vla.camera.depth import DepthPicture
from mobile_vla_bench.faults.actor import Actor
from mobile_vla_ros.topics import CAMERA_IMAGE, CMD_VEL, CONTROLLER_STATE, DEPTH_IMAGE, DEPTH_INFO, DIAGNOSTICS, SCAN

MODULE = "mobile_vla_nodes.depth_scan"
CAMERA = Camera(width=160, height=120, focal=110.0, pitch_deg=10.0)
MOUNT = {
    "height_m": CAMERA.mount_m,
    "pitch_down_deg": CAMERA.pitch_deg,
    "low_things_from_m": 0.4,
    "frozen_after_s": 0.0,
}
CONTROLLER = {"range_guard.use_scan": True, "limits.handover.duration_s": 0.0}
RATE_HZ = 15.0
FAR_M, NEAR_M = 2.5, 0.36  # near: less than stop_distance_m before the front edge (0.2 m each)
BUSY_SLACK_S = 0.1
SHARED = "camera, scan, controller and this observer share the machine's cores with everything else that runs"
CRATE_AHEAD = """
description: A low crate across the way.
room: {size_x_m: 5.0, size_y_m: 4.0}
start: {x_m: -1.5, y_m: 0.0, yaw_deg: 0}
instruction: go to the red ball
objects:
  - {kind: ball, colour: red, x_m: 0.0, y_m: 1.5}
blocks:
  - {x_m: 0.2, y_m: 0.0, half_x_m: 0.2, half_y_m: 0.3, height_m: 0.12}
"""


def room(wall_m: float) -> np.ndarray:
    return np.minimum(CAMERA.floor(), CAMERA.plane(0, wall_m))


class DepthCamera:
    """A depth camera's driver: pictures of a room with a wall ahead, as long as it is `on`."""

    def __init__(self, graph: Any) -> None:
        self.on = True
        self.sent: list[int] = []
        self.info: CameraInfo | None = CameraInfo(width=CAMERA.width, height=CAMERA.height, k=CAMERA.intrinsics.k)
        self.wall(FAR_M)
        self._node = graph.node
        self._image, self._info = graph.publisher(DEPTH_IMAGE), graph.publisher(DEPTH_INFO)
        graph.node.create_timer(1 / RATE_HZ, self._send)

    def wall(self, at_m: float) -> None:
        self.picture: DepthPicture = metres(room(at_m))

    def _send(self) -> None:
        if not self.on:
            return
        stamp = self._node.get_clock().now()
        picture = self.picture
        message = Image(height=picture.height_px, width=picture.width_px, encoding=picture.encoding, step=picture.step)
        message.data = picture.data
        message.header.stamp = stamp.to_msg()
        if self.info is not None:
            self._info.publish(self.info)
        self._image.publish(message)
        self.sent.append(stamp.nanoseconds)


class Said:
    """What a node says about itself on /diagnostics."""

    def __init__(self, graph: Any, node: str = "/depth_scan") -> None:
        self._arrays, self._node = graph.listen(DIAGNOSTICS), node

    def newest(self) -> DiagnosticStatus | None:
        found = [status for array in self._arrays for status in array.status if status.name == self._node]
        return found[-1] if found else None

    def says(self, level: bytes, text: str) -> bool:
        newest = self.newest()
        return newest is not None and newest.level == level and text in newest.message

    def value(self, key: str) -> str:
        newest = self.newest()
        return next((pair.value for pair in newest.values if pair.key == key), "") if newest else ""


@pytest.fixture
def policy(graph: Any) -> Iterator[Actor]:
    actor = Actor("policy", graph.environ, graph.tmp_path)
    yield actor
    actor.end()


def test_the_robot_stops_before_what_the_depth_camera_sees_and_when_it_is_gone(graph: Any, policy: Actor) -> None:
    commands: list[tuple[float, float]] = []
    graph.node.create_subscription(
        CMD_VEL.type, CMD_VEL.name, lambda m: commands.append((time.monotonic(), m.linear.x)), CMD_VEL.requested
    )
    state = graph.latest(CONTROLLER_STATE)
    camera = DepthCamera(graph)
    graph.start("mobile_vla_nodes.controller", "controller", CONTROLLER)
    graph.start(MODULE, "depth_scan", MOUNT)

    def reason() -> str:
        return next((pair.value for pair in state().values if pair.key == "reason"), "")

    def driving() -> bool:
        return bool(commands) and commands[-1][1] > 0.19

    def standing() -> bool:
        return commands[-1][1] == 0.0

    graph.wait(lambda: policy.replies and state(), what="the policy and the controller")
    policy.tell("ok 0.7 0.0")
    graph.arm()
    graph.wait(driving, what="driving")

    camera.wall(NEAR_M)
    graph.wait(lambda: standing() and reason() == "range_stop", what="a stop before the wall")
    camera.wall(FAR_M)
    graph.wait(driving, what="driving on")

    def go_dark() -> float:
        camera.on = False
        dark_s = time.monotonic()
        graph.wait(lambda: standing() and reason() == "range_timeout", what="a stop without pictures")
        zero_s = next(when for when, speed in commands if when > dark_s and speed == 0.0) - dark_s
        camera.on = True
        graph.wait(driving, what="driving again with pictures")
        # Timeout, two ticks, then 0.21 m/s at 1 m/s^2 with jerk 10 m/s^3 and the limiter's tail.
        assert zero_s <= 0.5 + 2 / 30 + 0.21 + 0.1 + 4 / 30 + BUSY_SLACK_S
        return zero_s

    assert retried(go_dark, SHARED) > 0.3

    camera.picture = millimetres(room(FAR_M))
    graph.wait(lambda: standing() and reason() == "range_timeout", what="a stop for another encoding")
    camera.wall(FAR_M)
    graph.wait(driving, what="driving again in the first encoding")


def test_a_scan_carries_the_pictures_stamp_and_says_what_is_seen(graph: Any) -> None:
    scans, said, camera = graph.listen(SCAN), Said(graph), DepthCamera(graph)
    camera.wall(1.0)
    process = graph.start(MODULE, "depth_scan", {**MOUNT, "beams": 60, "range_max_m": 2.0})
    graph.wait(lambda: len(scans) >= 10 and said.says(DiagnosticStatus.OK, "running"), what="scans")
    scan = scans[-1]
    assert {stamp.sec * 10**9 + stamp.nanosec for stamp in (one.header.stamp for one in scans)} <= set(camera.sent)
    assert scan.header.frame_id == "depth_scan"
    assert len(scan.ranges) == 60
    assert scan.angle_min == pytest.approx(-scan.angle_max)
    assert scan.angle_min + 59 * scan.angle_increment == pytest.approx(scan.angle_max, abs=1e-5)
    assert (scan.range_min, scan.range_max) == pytest.approx((0.02, 2.0))
    assert scan.ranges[29] == pytest.approx(1.0, abs=0.02)
    assert float(said.value("nearest_m")) == pytest.approx(1.0, abs=0.02)
    assert said.value("form") == "160 x 120 32FC1"
    assert process.stop() == 0


def test_the_simulated_robots_depth_camera_guards_it(graph: Any) -> None:
    nodes = graph.start_robot(
        {
            "simulator": {
                "scenario": "corridor_person",
                "camera": {"width_px": 160, "height_px": 120, "drop_share": 0.2},
            }
        },
        only=("simulator", "depth_scan"),
        robot="sim_depth",
    )
    pictures, depths, infos, scans = (graph.listen(topic) for topic in (CAMERA_IMAGE, DEPTH_IMAGE, DEPTH_INFO, SCAN))
    said = Said(graph)
    graph.wait(lambda: len(scans) >= 20 and said.says(DiagnosticStatus.OK, "running"), what="scans")
    depth = depths[-1]
    assert (depth.encoding, depth.width, depth.height, depth.step) == ("32FC1", 160, 120, 640)
    assert depth.header.frame_id == pictures[-1].header.frame_id
    stamps = [{(one.header.stamp.sec, one.header.stamp.nanosec) for one in each} for each in (pictures, depths, infos)]
    assert len(stamps[0] & stamps[1]) >= 15
    assert len(stamps[1] & stamps[2]) >= 15
    assert infos[-1].k[0] == pytest.approx(80 / math.tan(math.radians(43)), rel=1e-6)
    scan = scans[-1]
    for side in (-1, 1):  # the walls of a corridor 2.4 m wide
        index = round((side * math.radians(32) - scan.angle_min) / scan.angle_increment)
        bearing = abs(scan.angle_min + index * scan.angle_increment)
        assert scan.ranges[index] == pytest.approx(1.2 / math.sin(bearing), abs=0.06)
    for name in nodes:
        assert nodes[name].stop() == 0


def test_the_simulated_robot_stops_before_a_low_crate(graph: Any, policy: Actor) -> None:
    room_file = graph.tmp_path / "crate.yaml"
    room_file.write_text(CRATE_AHEAD)
    small = {"scenario": str(room_file), "camera": {"width_px": 160, "height_px": 120}}
    state, said = graph.latest(CONTROLLER_STATE), Said(graph, "/simulator")
    graph.start_robot({"simulator": small}, only=("controller", "simulator", "depth_scan"), robot="sim_depth")
    graph.wait(lambda: policy.replies and state(), what="the policy and the controller")
    policy.tell("ok 0.7 0.0")
    graph.arm()
    graph.wait(lambda: float(said.value("x_m") or -9) > -1.0, what="driving")
    # The guard lets it come nearer ever more slowly: the crate's face is at 0, the robot's edge 0.18 m before its
    # middle, and 0.2 m are kept.
    graph.wait(lambda: float(said.value("x_m")) > -0.46, what="the approach")
    graph.spin(4.0)
    assert {pair.value for pair in state().values} & {"range_slow", "range_stop"}
    assert -0.46 < float(said.value("x_m")) < -0.35
    assert said.value("collided") == "false"


def test_a_frozen_camera_gives_no_scan(graph: Any) -> None:
    scans, said, _ = graph.listen(SCAN), Said(graph), DepthCamera(graph)
    graph.start(MODULE, "depth_scan", {**MOUNT, "frozen_after_s": 0.5})
    graph.wait(lambda: said.says(DiagnosticStatus.ERROR, "no scan: depth camera frozen"), what="the frozen camera")
    count = len(scans)
    graph.spin(0.5)
    assert 3 <= count == len(scans)


def test_what_proves_nothing_gives_no_scan_and_is_said(graph: Any) -> None:
    scans, said, camera = graph.listen(SCAN), Said(graph), DepthCamera(graph)
    info, camera.info = camera.info, None
    graph.start(MODULE, "depth_scan", {**MOUNT, "stall_s": 0.5})
    graph.wait(lambda: said.says(DiagnosticStatus.ERROR, "no scan: the depth camera's camera_info has not come"))
    assert scans == []
    assert int(said.value("refused.no_info")) > 0
    camera.info = info
    graph.wait(lambda: said.says(DiagnosticStatus.OK, "running") and scans, what="scans")
    good, camera.picture = camera.picture, camera.picture._replace(step=100, data=camera.picture.data[:12000])
    graph.wait(lambda: said.says(DiagnosticStatus.ERROR, "step 100 is too small"), what="a damaged picture")
    count = len(scans)
    graph.spin(0.5)
    assert len(scans) == count
    camera.picture = good
    graph.wait(lambda: said.says(DiagnosticStatus.OK, "running"), what="recovery")
    other = graph.publisher(SCAN)
    graph.wait(lambda: said.says(DiagnosticStatus.ERROR, "/scan has 2 publishers"), what="the other scanner")
    graph.node.destroy_publisher(other)
    graph.wait(lambda: said.says(DiagnosticStatus.OK, "running"), what="recovery")
    camera.on = False
    graph.wait(lambda: said.says(DiagnosticStatus.ERROR, "no depth picture on /camera/depth/image_raw"), what="silence")
