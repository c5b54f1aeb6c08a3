"""Measures the real graph: raw images into the inference process, actions into the controller, commands out.

The frames come from the measuring process itself, at the camera's rate and with its topic and QoS, so that the
number sent is known exactly and nothing renders beside the measurement. Everything else is measured in the process
where it happens and read from /diagnostics.
"""

from __future__ import annotations

import array
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sensor_msgs.msg import Image

from mobile_vla.control import ControllerConfig
from mobile_vla.metrics import Metric, MetricReport, executed
from mobile_vla_bench.gate_bench import gate_tick_metric
from mobile_vla_bench.operator import Operator
from mobile_vla_bringup.graph import Choice, Graph, describe
from mobile_vla_bringup.session import open_session
from mobile_vla_ros.domain import borrowed
from mobile_vla_ros.topics import CAMERA_IMAGE

READY_TIMEOUT_S = 60.0
SETTLE_S = 2.0
DISTINCT_FRAMES = 16
ALONE = {"controller": {"require.odometry": False, "range_guard.use_scan": False}}
"""The bench has no base: nothing that only a base sends may be needed for arming."""


@dataclass(frozen=True)
class Stream:
    """The camera that is imitated."""

    frames: int = 900
    rate_hz: float = 30.0
    width: int = 640
    height: int = 480


def bench_graph(stream: Stream, policy: str, folder: Path, say: Callable[[str], None]) -> MetricReport:
    """Run inference and controller on a domain of their own and measure them while the frames flow."""
    described = describe(Choice(robot="sim", policy=policy, instruction="go to the red ball"), ALONE)
    nodes = tuple(node for node in described.nodes if node.name in ("controller", "inference"))
    with (
        borrowed() as domain_id,
        open_session(Graph("", nodes, respawn=False), lambda *_: None, domain_id=domain_id, folder=folder) as session,
        Operator(domain_id, name="bench") as operator,
    ):
        camera = _Camera(operator, stream)
        operator.wait_for_policy(lambda: session.supervisor.pid("inference"), session.supervisor.poll, say)
        operator.wait(camera.has_reader, READY_TIMEOUT_S, "the inference node's subscription to the camera")
        operator.spin(SETTLE_S)
        say(f"sending {stream.frames} frames of {stream.width}x{stream.height} at {stream.rate_hz:g} Hz")
        controller = _Usage(session.supervisor.pid("controller"))
        camera.start()
        operator.arm(READY_TIMEOUT_S)
        while camera.is_alive():
            operator.spin(0.1)
            session.supervisor.poll()
        cpu_percent, rss_mb = controller.since_start()
        operator.spin(SETTLE_S)
        report = _report(operator, stream, camera.sent, cpu_percent, rss_mb)
    config = described.node("controller").config
    assert isinstance(config, ControllerConfig)
    report.metrics.append(gate_tick_metric(config))
    return report


def _report(operator: Operator, stream: Stream, sent: int, cpu_percent: float, rss_mb: float) -> MetricReport:
    inference, controller = operator.diagnostics["inference"], operator.diagnostics["controller"]
    received = int(inference["frames_received"])
    half_period_ms = 500.0 / float(controller["rate_hz"])
    model_ms = float(inference["step_p50_ms"])
    without_model = {part: float(controller[f"camera_to_command_{part}_ms"]) - model_ms for part in ("p50", "p99")}
    facts = executed(
        weights="random" if inference.get("untrained") == "true" else "trained",
        stream=f"{stream.width}x{stream.height} bgr8 at {stream.rate_hz:g} Hz",
        **{key: inference[key] for key in ("engine", "device", "dtype", "threads") if key in inference},
        model_step_ms=model_ms,
    )
    metrics = [
        Metric("frames_sent", sent, "frames", "equal"),
        Metric("frames_lost", sent - received, "frames", "equal", "frames_sent", target=0, n=sent),
        Metric("transport_p99_ms", float(inference["transport_p99_ms"]), "ms", target=10.0, n=received),
        Metric(
            "camera_to_cmd_median_ms",
            without_model["p50"],
            "ms",
            baseline="model time taken off",
            target=8 + half_period_ms,
        ),
        Metric(
            "camera_to_cmd_p99_ms",
            without_model["p99"],
            "ms",
            baseline="model time taken off",
            target=25 + 2 * half_period_ms,
        ),
        Metric("controller_jitter_p99_ms", float(controller["tick_jitter_p99_ms"]), "ms", target=3.0),
        Metric("controller_cpu_percent", cpu_percent, "% of a core", target=5.0),
        Metric("controller_rss_mb", rss_mb, "MB", target=120.0),
    ]
    return MetricReport("vla bench graph", facts, metrics)


class _Camera(threading.Thread):
    """Publishes moving pictures from a thread of its own, one frame fewer than the rate says over the whole run: so the
    phase between camera and controller goes around once. At the very same rate it would stay as chance made it, and
    the latency with it.
    """

    def __init__(self, operator: Operator, stream: Stream) -> None:
        super().__init__(name="camera", daemon=True)
        self._publisher = CAMERA_IMAGE.publisher(operator.node)
        self._clock = operator.node.get_clock()
        self._stream = stream
        noise = np.random.default_rng(0).integers(
            0, 255, (DISTINCT_FRAMES, stream.height, stream.width, 3), dtype=np.uint8
        )
        self._pictures = [array.array("B", picture.tobytes()) for picture in noise]
        self.sent = 0

    def has_reader(self) -> bool:
        return bool(self._publisher.get_subscription_count())

    def run(self) -> None:
        stream = self._stream
        message = Image(height=stream.height, width=stream.width, encoding="bgr8", step=3 * stream.width)
        message.header.frame_id = "camera"
        start, period_s = time.monotonic(), (1 + 1 / stream.frames) / stream.rate_hz
        for number in range(stream.frames):
            time.sleep(max(0.0, start + number * period_s - time.monotonic()))
            message.data = self._pictures[number % DISTINCT_FRAMES]
            message.header.stamp = self._clock.now().to_msg()
            self._publisher.publish(message)
            self.sent += 1


class _Usage:
    """CPU time and memory of another process, from /proc."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._cpu_s, self._wall_s = self._cpu_seconds(), time.monotonic()

    def since_start(self) -> tuple[float, float]:
        """Percent of one core since construction, and resident MB now."""
        pages = int((self._folder / "statm").read_text().split()[1])
        percent = 100 * (self._cpu_seconds() - self._cpu_s) / (time.monotonic() - self._wall_s)
        return percent, pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _cpu_seconds(self) -> float:
        after_name = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
