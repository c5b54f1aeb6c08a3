"""The simulated robot as a process of its own, on real DDS."""

from __future__ import annotations

import math
import signal
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from geometry_msgs.msg import Twist, TwistStamped
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from mobile_vla_ros.topics import (
    CAMERA_IMAGE,
    CAMERA_INFO,
    CAMERA_JPEG,
    CLOCK,
    CMD_VEL,
    CMD_VEL_STAMPED,
    DIAGNOSTICS,
    ODOM,
    RANGE,
    SCAN,
)

pytestmark = pytest.mark.graph

MODULE = "mobile_vla_sim.node"
SMALL = {"camera.width_px": 160, "camera.height_px": 120, "scenario": "open_floor"}


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def status(messages: list[Any]) -> dict[str, str]:
    return {pair.key: pair.value for pair in messages[-1].status[0].values} if messages else {}


def drive_until(graph: Any, publisher: Any, message: Any, reached: Callable[[], bool]) -> None:
    def driven() -> bool:
        publisher.publish(message)
        graph.spin(0.05)
        return reached()

    graph.wait(driven, what="the speed that was commanded")


def test_every_sensor_at_its_rate_with_its_frame(graph: Any) -> None:
    graph.start(MODULE, "simulator", SMALL)
    seen = {topic.name: graph.listen(topic) for topic in (CAMERA_IMAGE, CAMERA_INFO, SCAN, RANGE, ODOM)}
    graph.wait(lambda: all(seen.values()), what="one message of everything")
    graph.spin(3.0)
    for topic, rate_hz, frame in (
        (CAMERA_IMAGE, 30, "camera_optical_frame"),
        (CAMERA_INFO, 30, "camera_optical_frame"),
        (SCAN, 10, "lidar"),
        (RANGE, 15, "range"),
        (ODOM, 30, "odom"),
    ):
        messages = seen[topic.name]
        assert {message.header.frame_id for message in messages} == {frame}
        stamps = [stamp_ns(message) for message in messages]
        assert stamps == sorted(stamps)
        # Most gaps: a machine that is busy for a moment loses some messages, and changes no rate.
        gaps = [second - first for first, second in pairwise(stamps)]
        assert statistics.median(gaps) == pytest.approx(1e9 / rate_hz, rel=0.1), topic.name
        assert len(stamps) > 1.5 * rate_hz, topic.name
    image = seen[CAMERA_IMAGE.name][-1]
    assert (image.encoding, image.width, image.height, image.step) == ("rgb8", 160, 120, 480)
    info = seen[CAMERA_INFO.name][-1]
    assert info.k[0] == pytest.approx(80 / math.tan(math.radians(43)), rel=1e-6)
    scan = seen[SCAN.name][-1]
    assert len(scan.ranges) == 360
    assert scan.ranges[180] == pytest.approx(5.9, abs=0.1)


def test_the_robot_follows_cmd_vel_and_stops_when_it_ceases(graph: Any) -> None:
    graph.start(MODULE, "simulator", SMALL)
    odometry, command = graph.listen(ODOM), graph.publisher(CMD_VEL)
    graph.wait(lambda: odometry and command.get_subscription_count(), what="the simulator")
    twist = Twist()
    twist.linear.x = 0.4
    drive_until(
        graph,
        command,
        twist,
        lambda: (
            odometry[-1].pose.pose.position.x > 0.4
            and odometry[-1].twist.twist.linear.x == pytest.approx(0.4, abs=0.05)
        ),
    )
    ceased_at = stamp_ns(odometry[-1])
    graph.wait(lambda: stamp_ns(odometry[-1]) > ceased_at + 1.2e9, what="1.2 s of odometry")
    assert abs(odometry[-1].twist.twist.linear.x) < 0.01


def test_stamped_commands_and_compressed_images(graph: Any) -> None:
    graph.start(MODULE, "simulator", {**SMALL, "stamped": True})
    odometry, jpegs = graph.listen(ODOM), graph.listen(CAMERA_JPEG)
    command = graph.publisher(CMD_VEL_STAMPED)
    graph.wait(lambda: odometry and jpegs and command.get_subscription_count(), what="odometry and a JPEG")
    assert bytes(jpegs[-1].data[:2]) == b"\xff\xd8"
    stamped = TwistStamped()
    stamped.twist.angular.z = 0.5
    drive_until(graph, command, stamped, lambda: odometry[-1].twist.twist.angular.z == pytest.approx(0.5, abs=0.05))


def test_simulated_time_runs_at_its_scale_and_stamps_everything(graph: Any) -> None:
    graph.start(MODULE, "simulator", {**SMALL, "publish_clock": True, "time_scale": 3.0, "camera.rate_hz": 10.0})
    clocks, scans = graph.listen(CLOCK), graph.listen(SCAN)
    graph.wait(lambda: clocks and scans, what="/clock")
    first, began_s = clocks[-1].clock, time.monotonic()
    graph.spin(2.0)
    last, waited_s = clocks[-1].clock, time.monotonic() - began_s
    passed = last.sec - first.sec + (last.nanosec - first.nanosec) / 1e9
    assert passed == pytest.approx(3.0 * waited_s, rel=0.15)
    assert stamp_ns(scans[-1]) <= last.sec * 10**9 + last.nanosec
    assert stamp_ns(scans[-1]) > (last.sec - 1) * 10**9


def test_diagnostics_say_where_the_robot_is_and_what_is_wrong(graph: Any) -> None:
    graph.start(MODULE, "simulator", SMALL)
    reports = graph.listen(DIAGNOSTICS)
    graph.wait(lambda: status(reports), what="diagnostics")
    assert status(reports)["goal"] == "blue ball"
    assert float(status(reports)["goal_distance_m"]) == pytest.approx(6.0, abs=0.01)
    assert status(reports)["collided"] == "false"
    first, second = graph.publisher(CMD_VEL), graph.publisher(CMD_VEL)
    graph.wait(lambda: "2 publishers on" in reports[-1].status[0].message, what="a complaint about a second publisher")
    graph.node.destroy_publisher(second)
    twist = Twist()
    twist.linear.y = 0.2
    first.publish(twist)
    graph.wait(
        lambda: "sideways command" in reports[-1].status[0].message, what="a complaint about the wrong action space"
    )


def test_a_new_seed_is_a_new_room_and_a_wrong_value_is_refused(graph: Any) -> None:
    graph.start(MODULE, "simulator", {**SMALL, "scenario": ""})
    reports = graph.listen(DIAGNOSTICS)
    graph.wait(lambda: status(reports), what="diagnostics")
    client = graph.node.create_client(SetParameters, "simulator/set_parameters")
    graph.wait(client.service_is_ready, what="the parameter service")

    def set_to(name: str, value: object) -> Any:
        future = client.call_async(SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()]))
        graph.wait(future.done, what=f"setting {name}")
        return future.result().results[0]

    assert set_to("seed", 5).successful
    graph.wait(lambda: status(reports)["seed"] == "5", what="the new room")
    assert set_to("camera.brightness", 0.5).successful
    refused = set_to("scenario", "nowhere")
    assert not refused.successful
    assert "nowhere" in refused.reason
    assert "cannot be changed while the node runs" in set_to("base.kind", "omni").reason


def test_a_wrong_scenario_is_one_sentence_and_exit_2(graph: Any) -> None:
    process = graph.start(MODULE, "simulator", {"scenario": "nowhere"})
    graph.wait(lambda: process.returncode is not None, what="the end of the process")
    assert process.returncode == 2
    assert "unknown scenario 'nowhere'" in process.output()
    assert "Traceback" not in process.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(graph: Any, number: int) -> None:
    process = graph.start(MODULE, "simulator", SMALL)
    images = graph.listen(CAMERA_IMAGE)
    graph.wait(lambda: images, what="an image")
    process.send(number)
    graph.wait(lambda: process.returncode is not None, timeout_s=5.0, what="the end of the process")
    assert process.returncode == 0
    assert "Error" not in process.output()
