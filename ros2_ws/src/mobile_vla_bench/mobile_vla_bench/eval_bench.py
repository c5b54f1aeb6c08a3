"""How fast bags are read, aligned and evaluated, and whether memory grows with their length."""

from __future__ import annotations

import math
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from rosbags.highlevel import AnyReader

from mobile_vla.bags.align import align
from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import find_roles
from mobile_vla.bags.writer import BagWriter
from mobile_vla.control import ControllerConfig
from mobile_vla.evaluate.evaluation import NamedPolicy, evaluate
from mobile_vla.evaluate.frames import Selection
from mobile_vla.evaluate.schedule import EvaluationOptions
from mobile_vla.metrics import Metric
from mobile_vla.policy.interface import Policy, Step

FRAME_HZ, COMMAND_HZ = 10, 30
LONG_S, SHORT_S = 7200, 600
_START_NS = 1_700_000_000_000_000_000
_ROUNDS = 5
_EVALUATIONS = 3


def make_bag(folder: Path, seconds: int, width: int = 640, height: int = 480) -> Path:
    """A bag of JPEG frames at 10 Hz and commands at 30 Hz, as a robot would record it."""
    pictures = [_jpeg(index, width, height) for index in range(20)]
    store = standard_types()
    types = store.types
    image_type, twist_type, text_type = (
        "sensor_msgs/msg/CompressedImage",
        "geometry_msgs/msg/Twist",
        "std_msgs/msg/String",
    )
    vector = types["geometry_msgs/msg/Vector3"]
    with BagWriter(folder) as bag:
        bag.add_topic("/camera/image_raw/compressed", image_type)
        bag.add_topic("/cmd_vel", twist_type)
        bag.add_topic("/instruction", text_type)
        bag.write("/instruction", _START_NS, bytes(store.serialize_cdr(types[text_type](data="go"), text_type)))
        for tick in range(seconds * COMMAND_HZ):
            now_ns = _START_NS + tick * 1_000_000_000 // COMMAND_HZ
            if tick % (COMMAND_HZ // FRAME_HZ) == 0:
                stamp = types["builtin_interfaces/msg/Time"](sec=now_ns // 10**9, nanosec=now_ns % 10**9)
                header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
                message = types[image_type](header=header, format="jpeg", data=pictures[tick % len(pictures)])
                bag.write("/camera/image_raw/compressed", now_ns, bytes(store.serialize_cdr(message, image_type)))
            speed = 0.3 * math.sin(tick / 40)
            twist = types[twist_type](linear=vector(x=speed, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=-speed))
            bag.write("/cmd_vel", now_ns + 5_000_000, bytes(store.serialize_cdr(twist, twist_type)))
    return folder


def ratio_to_iteration(bag: Path) -> Metric:
    """CPU time of reading typed and aligned, over that of `rosbags` merely iterating the same bag; run in turns."""
    ours, theirs = [], []
    for _ in range(_ROUNDS):
        theirs.append(_cpu_s(lambda: _iterate(bag)))
        ours.append(_cpu_s(lambda: _read_and_align(bag)))
    ratios = [mine / base for mine, base in zip(ours, theirs, strict=True)]
    base = f"rosbags iterating: {statistics.median(theirs) * 1e3:.0f} ms"
    return Metric.of_samples("ratio_to_iteration", ratios, "x", better="lower", baseline=base, target=1.5)


def times_real_time(bag: Path, seconds: float, policy: Policy, name: str) -> list[Metric]:
    """Recorded seconds evaluated per second, and the processor time of a frame, which other processes disturb less."""
    rates, costs = [], []
    for _ in range(_EVALUATIONS):
        began_s = time.process_time()
        evaluation = evaluate([bag], [NamedPolicy(name, policy)], ControllerConfig(), EvaluationOptions(), Selection())
        costs.append(1e3 * (time.process_time() - began_s) / evaluation.columns.frames)
        rates.append(seconds / evaluation.wall_s)
    base = f"policy {name}"
    return [
        Metric.of_samples("times_real_time", rates, "x", better="higher", baseline=base, target=20.0),
        Metric.of_samples("eval_cpu_ms_per_frame", costs, "ms", better="lower", baseline=base),
    ]


def memory_growth(folder: Path, short_s: int = SHORT_S, long_s: int = LONG_S) -> Metric:
    """Peak memory of evaluating a long bag over that of a short one, each in a fresh process, without a model."""
    peaks = []
    for seconds in (short_s, long_s):
        bag = make_bag(folder / f"bag_{seconds}", seconds, 160, 120)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(peak_mb, (bag,)))
    base = f"{peaks[0]:.0f} MB for {short_s} s, {peaks[1]:.0f} MB for {long_s} s"
    return Metric("memory_growth", peaks[1] / peaks[0], "x", "lower", base, 1.1, 1)


def peak_mb(bag: Path) -> float:
    """Evaluate a bag with a policy that costs nothing; peak resident memory of this process image."""
    evaluate([bag], [NamedPolicy("still", Still())], ControllerConfig(), EvaluationOptions(), Selection())
    status = Path("/proc/self/status").read_text()  # getrusage would count the parent's memory before exec
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


class Still:
    """Does nothing, at no cost: what remains is the cost of the evaluation."""

    def __init__(self) -> None:
        self.card: Any = SimpleNamespace(action_space="diff", untrained=False, control_rate_hz=10.0)
        self.description: dict[str, Any] = {"weights": "none"}

    def reset(self) -> None: ...

    def step(self, frame_rgb: Any, instruction: str) -> Step:
        return Step((0.0, 0.0), {})

    def self_check(self) -> None: ...


def _iterate(bag: Path) -> None:
    with AnyReader([bag]) as reader:
        for _ in reader.messages():
            pass


def _read_and_align(bag: Path) -> None:
    with BagReader(bag) as reader:
        for _ in align(reader.events(find_roles(reader.topics.values()))):
            pass


def _cpu_s(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _jpeg(index: int, width: int, height: int) -> Any:
    """A picture with structure and noise, so that it compresses like a camera's."""
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([(x + 7 * index) % 256, (y * 2) % 256, (x + y) % 256], -1)
    noisy = np.clip(base + np.random.default_rng(index).normal(0, 6, base.shape), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].reshape(-1)
