"""The doctor's look at ROS: distribution, transports, and a message that really travels."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from mobile_vla.device.checks import CheckResult, CheckStatus
from mobile_vla_ros.domain import borrowed
from mobile_vla_ros.environment import prepare, ros_distribution

ROUND_TRIP_TIMEOUT_S = 5.0


def ros() -> Iterator[CheckResult]:
    """Start a node on a free domain and send an image-sized message to itself."""
    prepare()
    import rclpy  # the environment comes first

    wheels = "" if os.environ.get("ROS_DISTRO") else " from wheels"
    middleware = rclpy.get_rmw_implementation_identifier()
    yield CheckResult("ros", CheckStatus.FINE, f"{ros_distribution(os.environ)}{wheels}, {middleware}")
    yield CheckResult("discovery", CheckStatus.FINE, _discovery())
    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE") or os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE")
    if profile is None:
        yield CheckResult(
            "dds", CheckStatus.MISSING, "no transport profile; raw images may be lost (config/dds/fastdds.xml)"
        )
    with borrowed() as domain_id:
        milliseconds = _image_round_trip(domain_id)
    if milliseconds is None:
        text = "an image did not come back within 5 s; check the firewall and /dev/shm"
        yield CheckResult("dds", CheckStatus.BROKEN, text)
    else:
        yield CheckResult("dds", CheckStatus.FINE, f"a raw 640x480 image travels in {milliseconds:.1f} ms")


def _discovery() -> str:
    if os.environ.get("ROS_LOCALHOST_ONLY") == "1":
        return "this host only (ROS_LOCALHOST_ONLY=1)"
    return f"ROS_AUTOMATIC_DISCOVERY_RANGE={os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE', 'SUBNET')}"


def _image_round_trip(domain_id: int) -> float | None:
    """Milliseconds from publish to callback through DDS, None when nothing arrives."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image

    from mobile_vla_ros.topics import CAMERA_IMAGE

    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    sender, receiver = (rclpy.create_node(name, context=context) for name in ("doctor_out", "doctor_in"))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(receiver)
    arrived: list[float] = []
    CAMERA_IMAGE.subscription(receiver, lambda _: arrived.append(time.perf_counter()))
    publisher = CAMERA_IMAGE.publisher(sender)
    message = Image(height=480, width=640, encoding="bgr8", step=1920)
    message.data.frombytes(bytes(480 * 1920))
    try:
        end = time.monotonic() + ROUND_TRIP_TIMEOUT_S
        while time.monotonic() < end:
            sent = time.perf_counter()
            publisher.publish(message)
            executor.spin_once(timeout_sec=0.2)
            if arrived:
                return (arrived[-1] - sent) * 1e3
        return None
    finally:
        executor.shutdown()
        sender.destroy_node()
        receiver.destroy_node()
        rclpy.shutdown(context=context)
