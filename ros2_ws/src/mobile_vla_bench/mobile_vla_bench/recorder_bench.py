"""What recording costs: a camera's raw images and small topics into the recorder process, counted on both sides."""

from __future__ import annotations

import array
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from mobile_vla.bags.config import RecorderConfig
from mobile_vla.bags.reader import BagReader
from mobile_vla.metrics import Metric
from mobile_vla_bench.operator import Operator
from mobile_vla_bringup.graph import KINDS, Graph, NodeSpec
from mobile_vla_bringup.session import open_session
from mobile_vla_ros import topics
from mobile_vla_ros.domain import borrowed
from mobile_vla_ros.topics import ACTION, CAMERA_IMAGE, TELEOP_JOY, TELEOP_KEYBOARD, TELEOP_WEB, Topic

RATE_HZ = 30.0
SMALL: tuple[Topic, ...] = (ACTION, TELEOP_JOY, TELEOP_KEYBOARD, TELEOP_WEB, topics.ODOM)
READY_TIMEOUT_S = 30.0


def bench_recorder(seconds: float, folder: Path, say: Callable[[str], None]) -> list[Metric]:
    """Send for `seconds`, then compare what was sent with what is in the bag."""
    config = RecorderConfig(out_dir=str(folder), name="recorded")
    graph = Graph("", (NodeSpec("recorder", KINDS["recorder"], config),), respawn=False)
    with (
        borrowed() as domain_id,
        open_session(graph, lambda *_: None, domain_id=domain_id, folder=folder / "log") as session,
        Operator(domain_id, name="bench") as operator,
    ):
        publishers = [(topic, topic.publisher(operator.node)) for topic in (CAMERA_IMAGE, *SMALL)]
        operator.wait(
            lambda: all(publisher.get_subscription_count() for _, publisher in publishers),
            READY_TIMEOUT_S,
            "the recorder",
        )
        operator.spin(1.0)
        say(f"sending 640x480 bgr8 and {len(SMALL)} small topics at {RATE_HZ:g} Hz for {seconds:g} s")
        frames = _frames()
        pid = session.supervisor.pid("recorder")
        cpu_before, began = _cpu_s(pid), time.monotonic()
        sent = 0
        while (elapsed := time.monotonic() - began) < seconds:
            if elapsed >= sent / RATE_HZ:
                stamp = operator.node.get_clock().now().to_msg()
                for topic, publisher in publishers:
                    publisher.publish(
                        _message(topic, Header(stamp=stamp, frame_id="bench"), frames[sent % len(frames)])
                    )
                sent += 1
            operator.spin(0.002)
        cpu_percent = 100 * (_cpu_s(pid) - cpu_before) / (time.monotonic() - began)
        operator.spin(1.0)
    with BagReader(folder / "recorded") as bag:
        counts = [bag.topics[f"/{topic.name}"].messages for topic, _ in publishers]
    shutil.rmtree(folder / "recorded")
    lost = sum(sent - count for count in counts)
    return [
        Metric("recorder_cpu_percent", cpu_percent, "% of one core", "lower", target=25.0),
        Metric("recorder_lost", float(lost), "messages", "lower", f"{sent * len(publishers)} sent", 0.0, sent),
    ]


def _message(topic: Topic, header: Header, pixels: array.array[int]) -> Image | TwistStamped | Odometry:
    if topic is CAMERA_IMAGE:
        return Image(header=header, height=480, width=640, encoding="bgr8", step=1920, data=pixels)
    return topic.type(header=header)


def _frames() -> list[array.array[int]]:
    """Pictures with structure and noise: zstd has to work for its result, as with a camera."""
    y, x = np.mgrid[0:480, 0:640]
    base = np.stack([x % 256, y % 256, (x + y) % 256], -1)
    random = np.random.default_rng(0)
    frames = []
    for _ in range(8):
        noisy = np.clip(base + random.normal(0, 3, base.shape), 0, 255).astype(np.uint8)
        data = array.array("B")
        data.frombytes(noisy.tobytes())
        frames.append(data)
    return frames


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0
