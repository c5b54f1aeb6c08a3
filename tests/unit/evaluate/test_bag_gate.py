"""`--gate` on small bags whose obstacles are known: what the gate must answer is worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bag_making import START_NS, Messages
from drive_making import odometry

from mobile_vla.bags.writer import BagWriter
from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla.evaluate.evaluation import NamedPolicy, evaluate
from mobile_vla.evaluate.frames import Selection
from mobile_vla.evaluate.results import Evaluation
from mobile_vla.evaluate.schedule import EvaluationOptions
from mobile_vla.policy.interface import Step

TICK_NS = 100_000_000
FULL_MPS = 0.3
# from the footprint's edge: 0.2 m stop zone; speed is what is left of the way over 1.2 s
GUARD = {"range_guard.front_m": 0.2, "range_guard.stop_distance_m": 0.2, "range_guard.slow_ttc_s": 1.2}
SCANNING = with_values(ControllerConfig(), {"range_guard.use_scan": True, **GUARD})
RANGING = with_values(ControllerConfig(), {"range_guard.use_range": True, **GUARD})
CLEAR_M, SLOW_M, STOP_M = 5.0, 0.2 + 0.2 + 0.12, 0.35
SLOW_MPS = 0.12 / 1.2


class Ahead:
    """Always full speed ahead."""

    def __init__(self) -> None:
        self.card = SimpleNamespace(action_space="diff", untrained=False, control_rate_hz=10.0)
        self.description: dict[str, Any] = {"weights": "random"}

    def reset(self) -> None: ...

    def step(self, frame_rgb: np.ndarray, instruction: str) -> Step:
        return Step((1.0, 0.0), {})

    def self_check(self) -> None: ...


def scan(messages: Messages, stamp_ns: int, ahead_m: float) -> bytes:
    """A beam in 2 degrees over half a circle around straight ahead; all but the middle one see nothing."""
    ranges = np.full(91, np.inf, np.float32)
    ranges[45] = ahead_m
    return messages.cdr(
        "sensor_msgs/msg/LaserScan",
        header=messages.header(stamp_ns, "scan"),
        angle_min=-np.pi / 2,
        angle_max=np.pi / 2,
        angle_increment=np.pi / 90,
        time_increment=0.0,
        scan_time=0.1,
        range_min=0.05,
        range_max=10.0,
        ranges=ranges,
        intensities=np.zeros(0, np.float32),
    )


def distance(messages: Messages, stamp_ns: int, ahead_m: float) -> bytes:
    return messages.cdr(
        "sensor_msgs/msg/Range",
        header=messages.header(stamp_ns, "range"),
        radiation_type=1,
        field_of_view=0.1,
        min_range=0.02,
        max_range=8.0,
        range=ahead_m,
        variance=0.0,
    )


SENSORS = {"scan": ("/scan", "sensor_msgs/msg/LaserScan", scan), "range": ("/range", "sensor_msgs/msg/Range", distance)}


def write(
    folder: Path,
    messages: Messages,
    *,
    sensor: str = "scan",
    ahead_m: Callable[[float], float | None] = lambda t: CLEAR_M,
    log_shift_ns: int = 0,
    also: tuple[str, ...] = (),
) -> Path:
    """8 s at 10 Hz; each scan was taken 20 ms before its frame, logged 10 ms before it; None: no scan then."""
    topic, kind, make = SENSORS[sensor]
    with BagWriter(folder) as bag:
        for name, type_ in (
            ("/camera/image_raw", "sensor_msgs/msg/Image"),
            ("/cmd_vel", "geometry_msgs/msg/Twist"),
            ("/instruction", "std_msgs/msg/String"),
            ("/odom", "nav_msgs/msg/Odometry"),
            *((name, kind) for name in (topic, *also)),
        ):
            bag.add_topic(name, type_)
        bag.write("/instruction", START_NS + log_shift_ns, messages.text("go"))
        for tick in range(80):
            stamp_ns = START_NS + tick * TICK_NS
            log_ns = stamp_ns + log_shift_ns
            seen_m = ahead_m(tick / 10)
            if seen_m is not None:
                for name in (topic, *also):
                    bag.write(name, log_ns - 10_000_000, make(messages, stamp_ns - 20_000_000, seen_m))
            bag.write("/camera/image_raw", log_ns, messages.image(stamp_ns, np.zeros((24, 32, 3), np.uint8)))
            bag.write("/cmd_vel", log_ns + 5_000_000, messages.command(0.0, 0.0))
    return folder


def run(bag: Path, controller: ControllerConfig, chosen: dict[str, str] | None = None) -> Evaluation:
    named = [NamedPolicy("ahead", Ahead())]
    return evaluate([bag], named, controller, EvaluationOptions(gate=True), Selection(), chosen=chosen)


def forward(evaluation: Evaluation) -> np.ndarray:
    return np.frombuffer(evaluation.columns.predicted[0][0])


def between(speeds: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    return speeds[round(start_s * 10) : round(end_s * 10)]


@pytest.mark.parametrize(("sensor", "controller"), [("scan", SCANNING), ("range", RANGING)])
def test_the_range_guard_slows_and_stops_as_on_the_robot(
    tmp_path: Path, messages: Messages, sensor: str, controller: ControllerConfig
) -> None:
    def ahead_m(t: float) -> float:
        return CLEAR_M if t < 3.0 else SLOW_M if t < 5.0 else STOP_M if t < 7.0 else CLEAR_M

    evaluation = run(write(tmp_path / "bag", messages, sensor=sensor, ahead_m=ahead_m), controller)
    speeds = forward(evaluation)
    np.testing.assert_allclose(between(speeds, 2.0, 3.0), FULL_MPS)
    np.testing.assert_allclose(between(speeds, 4.0, 5.0), SLOW_MPS, atol=1e-6)
    np.testing.assert_array_equal(between(speeds, 6.0, 7.0), 0.0)
    assert between(speeds, 7.5, 8.0).min() > 0.1
    assert speeds.min() == 0.0
    assert 35 <= evaluation.columns.guarded[0] <= 41
    assert f"The range guard held ahead back in {evaluation.columns.guarded[0]} of 80 frames." in evaluation.notes


def test_a_scan_timeout_stops_the_robot(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, ahead_m=lambda t: CLEAR_M if t < 3.0 else None)
    speeds = forward(run(bag, SCANNING))
    assert between(speeds, 2.0, 3.0).min() == pytest.approx(FULL_MPS)
    np.testing.assert_array_equal(between(speeds, 4.2, 8.0), 0.0)


def test_sensors_that_the_robot_lacks_are_ignored(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, ahead_m=lambda t: STOP_M)
    assert between(forward(run(bag, ControllerConfig())), 2.0, 8.0).min() == pytest.approx(FULL_MPS)
    assert forward(run(bag, SCANNING)).max() == 0.0


def test_a_sensor_that_was_not_recorded_is_said(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, ahead_m=lambda t: None)
    controller = with_values(SCANNING, {"require.odometry": True})
    evaluation = run(bag, controller)
    assert between(forward(evaluation), 2.0, 8.0).min() == pytest.approx(FULL_MPS)
    assert "bag has no scan and no odometry: the gate ran without, the robot would not." in evaluation.notes
    open_loop = evaluate([bag], [NamedPolicy("ahead", Ahead())], controller, EvaluationOptions(), Selection())
    assert not any("gate" in note for note in open_loop.notes)


def test_a_bag_logged_on_another_clock(tmp_path: Path, messages: Messages) -> None:
    """Simulated time in the stamps, the computer's in the log: stamps decide."""
    bag = write(tmp_path / "bag", messages, ahead_m=lambda t: CLEAR_M if t < 3.0 else STOP_M, log_shift_ns=3600 * 10**9)
    speeds = forward(run(bag, SCANNING))
    assert between(speeds, 2.0, 3.0).min() == pytest.approx(FULL_MPS)
    np.testing.assert_array_equal(between(speeds, 4.0, 8.0), 0.0)


def test_two_scanners_matter_only_where_one_is_read(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, also=("/rear/scan",))
    assert run(bag, ControllerConfig()).columns.guarded == [0]
    with pytest.raises(UserError, match=r"2 scan topics: /rear/scan, /scan; choose one with --scan-topic"):
        run(bag, SCANNING)
    assert between(forward(run(bag, SCANNING, {"scan": "/scan"})), 2.0, 8.0).min() == pytest.approx(FULL_MPS)


def test_an_odometry_timeout_stops_a_robot_that_requires_odometry(tmp_path: Path, messages: Messages) -> None:
    controller = with_values(ControllerConfig(), {"require.odometry": True})
    bag = write(tmp_path / "bag", messages)
    assert forward(run(bag, controller)).max() == pytest.approx(FULL_MPS)  # the topic is empty: not recorded
    with BagWriter(tmp_path / "with_odom") as copy:
        for name, kind in (("/camera/image_raw", "sensor_msgs/msg/Image"), ("/instruction", "std_msgs/msg/String")):
            copy.add_topic(name, kind)
        copy.add_topic("/odom", "nav_msgs/msg/Odometry")
        copy.write("/instruction", START_NS, messages.text("go"))
        for tick in range(80):
            stamp_ns = START_NS + tick * TICK_NS
            if tick < 30:
                copy.write("/odom", stamp_ns - 1_000_000, odometry(messages, stamp_ns - 2_000_000, 0.0, 0.0))
            copy.write("/camera/image_raw", stamp_ns, messages.image(stamp_ns, np.zeros((24, 32, 3), np.uint8)))
    speeds = forward(run(tmp_path / "with_odom", controller))
    assert between(speeds, 2.0, 3.0).min() == pytest.approx(FULL_MPS)
    np.testing.assert_array_equal(between(speeds, 4.2, 8.0), 0.0)
