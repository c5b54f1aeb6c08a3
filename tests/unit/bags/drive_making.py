"""One small recorded drive in which everything is known: 4 s, straight at 0.5 m/s from 1 s to 3 s, then stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from bag_making import START_NS, Messages

from mobile_vla.bags.writer import BagWriter

TICK_NS = 100_000_000
TOPICS = {
    "/camera/image_raw": "sensor_msgs/msg/Image",
    "/cmd_vel": "geometry_msgs/msg/Twist",
    "/policy/action": "geometry_msgs/msg/TwistStamped",
    "/odom": "nav_msgs/msg/Odometry",
    "/controller/state": "diagnostic_msgs/msg/DiagnosticStatus",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    "/instruction": "std_msgs/msg/String",
}


def odometry(messages: Messages, stamp_ns: int, x: float, linear: float) -> bytes:
    types, covariance = messages.types, np.zeros(36)
    pose = types["geometry_msgs/msg/Pose"](
        position=types["geometry_msgs/msg/Point"](x=x, y=0.0, z=0.0),
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    return messages.cdr(
        "nav_msgs/msg/Odometry",
        header=messages.header(stamp_ns),
        child_frame_id="base",
        pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=covariance),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=messages.twist(linear, 0.0), covariance=covariance),
    )


def diagnostics(messages: Messages, stamp_ns: int, name: str, message: str, **values: str) -> bytes:
    pairs = [messages.types["diagnostic_msgs/msg/KeyValue"](key=key, value=value) for key, value in values.items()]
    fields = {"level": 0, "name": name, "message": message, "hardware_id": "", "values": pairs}
    status = messages.types["diagnostic_msgs/msg/DiagnosticStatus"](**fields)
    return messages.cdr("diagnostic_msgs/msg/DiagnosticArray", header=messages.header(stamp_ns), status=[status])


def write_known_drive(folder: Path, messages: Messages, untrained: str = "true") -> Path:
    with BagWriter(folder) as bag:
        for name, kind in TOPICS.items():
            bag.add_topic(name, kind)
        bag.write("/instruction", START_NS, messages.text("go to the <red> cone"))
        x = 0.0
        for tick in range(41):
            now, t = START_NS + tick * TICK_NS, tick / 10
            speed = 0.5 if 1.0 <= t < 3.0 else 0.0
            mode, reason = ("autonomy", "ok") if 1.0 <= t < 3.0 else ("disarmed", "disarmed")
            source = "policy" if mode == "autonomy" else "none"
            image = np.full((48, 64, 3), tick * 5, np.uint8)
            bag.write("/controller/state", now, messages.state(reason, mode=mode, source=source, reason=reason))
            bag.write("/camera/image_raw", now, messages.image(now, image))
            bag.write("/policy/action", now + 30_000_000, messages.stamped(now, 0.5, -0.25))
            bag.write("/cmd_vel", now + 40_000_000, messages.command(speed, 0.0))
            bag.write("/odom", now + 50_000_000, odometry(messages, now, x, speed))
            x += speed * 0.1
        last = START_NS + 40 * TICK_NS
        timing = {f"step_{part}_ms": value for part, value in (("mean", "6.20"), ("p95", "7.90"), ("worst", "12.00"))}
        inference = diagnostics(
            messages, last, "/inference", "running", untrained=untrained, weights="random", **timing
        )
        truth = {"goal": "red cone", "goal_distance_m": "1.25", "arrived": "false", "collided": "false"}
        bag.write("/diagnostics", last + 60_000_000, inference)
        bag.write("/diagnostics", last + 61_000_000, diagnostics(messages, last, "/simulator", "simulating", **truth))
    return folder
