"""Whole evaluations of small bags with a policy whose actions can be read off the pictures."""

from __future__ import annotations

import argparse
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bag_making import START_NS, Messages
from foreign_bags import FRAMES, drive_topics, service_events, write_folder

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.writer import BagWriter
from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla.evaluate.eval_metrics import metric_report
from mobile_vla.evaluate.eval_report import evaluation_page, lag_sentence, verdicts
from mobile_vla.evaluate.evaluation import NamedPolicy, evaluate
from mobile_vla.evaluate.frames import Selection, prefetched
from mobile_vla.evaluate.moments import WorstMoments
from mobile_vla.evaluate.results import Evaluation
from mobile_vla.evaluate.rollout import RolloutFrame
from mobile_vla.evaluate.schedule import EvaluationOptions
from mobile_vla.policy.interface import Step
from mobile_vla_cli import main
from mobile_vla_cli.eval import add_arguments

FULL = (0.3, 0.8)
AS_IT_IS = EvaluationOptions()
ALL_OF_IT = Selection()
CONTROLLER = ControllerConfig()


class Reader:
    """Acts by the grey level: 0 is full speed backwards, 200 full speed ahead; turns against it. Counts resets."""

    def __init__(self, space: str = "diff") -> None:
        self.card = SimpleNamespace(action_space=space, untrained=False, control_rate_hz=10.0)
        self.description: dict[str, Any] = {"weights": "random"}
        self.resets = 0
        self.seen: list[tuple[int, str]] = []

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame_rgb: np.ndarray, instruction: str) -> Step:
        level = int(frame_rgb[0, 0, 0])
        self.seen.append((level, instruction))
        forward = level / 100 - 1
        return Step((forward, -forward), {"step": 1.0})

    def self_check(self) -> None: ...


def level_of(index: int) -> int:
    return 100 + round(80 * np.sin(index / 5))


def action_of(index: int) -> float:
    return level_of(index) / 100 - 1


def write(
    folder: Path,
    messages: Messages,
    *,
    frames: int = 60,
    instruct: tuple[tuple[int, str], ...] = ((0, "go"),),
    command: Callable[[int], tuple[float, float] | None] = lambda i: (0.3 * action_of(i), -0.8 * action_of(i)),
    mode: Callable[[int], str] | None = None,
    size: Callable[[int], tuple[int, int]] = lambda i: (24, 32),
    stamp: Callable[[int], int] = lambda i: START_NS + i * 100_000_000,
    encoding: str = "rgb8",
) -> Path:
    """10 frames a second; the recorded command lies 10 ms behind its frame."""
    with BagWriter(folder) as bag:
        for name, kind in (
            ("/camera/image_raw", "sensor_msgs/msg/Image"),
            ("/cmd_vel", "geometry_msgs/msg/Twist"),
            ("/instruction", "std_msgs/msg/String"),
            ("/controller/state", "diagnostic_msgs/msg/DiagnosticStatus"),
        ):
            bag.add_topic(name, kind)
        for i in range(frames):
            log_ns = START_NS + i * 100_000_000
            for at, text in instruct:
                if at == i:
                    bag.write("/instruction", log_ns, messages.text(text))
            if mode is not None:
                bag.write("/controller/state", log_ns, messages.state("", mode=mode(i)))
            pixels = np.full((*size(i), 3), level_of(i), np.uint8)
            bag.write("/camera/image_raw", log_ns, messages.image(stamp(i), pixels, encoding))
            recorded = command(i)
            if recorded is not None:
                bag.write("/cmd_vel", log_ns + 10_000_000, messages.command(*recorded))
    return folder


def run(
    bag: Path, *policies: Reader, options: EvaluationOptions = AS_IT_IS, selection: Selection = ALL_OF_IT, **more: Any
) -> Evaluation:
    readers = policies or (Reader(),)
    named = [NamedPolicy(name, policy) for name, policy in zip("AB"[: len(readers)], readers, strict=True)]
    return evaluate([bag], named, CONTROLLER, options, selection, **more)


def test_a_policy_that_agrees_is_perfect(tmp_path: Path, messages: Messages) -> None:
    result = run(write(tmp_path / "bag", messages)).results[0]
    for axis, full in zip(result.axes, FULL, strict=True):
        assert axis.full == full
        assert axis.policy.n == 60
        assert axis.policy.mae == pytest.approx(0.0, abs=1e-12)
        assert axis.policy.r2 == pytest.approx(1.0)
        assert axis.baselines["zero"].mae > 0.1 * full
        assert axis.lag_ms == 0.0


def test_same_bytes_in_same_bytes_out(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages)
    options = EvaluationOptions(latency_ms=120, drop=0.3, seed=5, gate=True)
    first, second = (metric_report(run(bag, options=options), "vla eval", {}).to_dict() for _ in range(2))
    assert first["executed"]["predictions"] == second["executed"]["predictions"]
    drop = "times_real_time"
    assert [f for f in first["figures"] if f["name"] != drop] == [f for f in second["figures"] if f["name"] != drop]
    other = metric_report(run(bag, options=options._replace(seed=6)), "vla eval", {}).to_dict()
    assert other["executed"]["predictions"] != first["executed"]["predictions"]


def test_latency_shows_as_lag(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages)
    late = run(bag, options=EvaluationOptions(latency_ms=200.0)).results[0].axes[0]
    assert late.lag_ms == pytest.approx(-200.0)  # the recording is 200 ms earlier than the delayed policy
    assert late.policy.mae > 0.02


def test_dropped_frames_hold_the_last_action(tmp_path: Path, messages: Messages) -> None:
    policy = Reader()
    evaluation = run(write(tmp_path / "bag", messages), policy, options=EvaluationOptions(drop=0.5, seed=1))
    assert evaluation.columns.dropped == 60 - len(policy.seen)
    assert 15 < evaluation.columns.dropped < 45
    assert len(evaluation.columns.t) == 60


def test_episodes_reset_the_policy(tmp_path: Path, messages: Messages) -> None:
    policy = Reader()
    bag = write(tmp_path / "bag", messages, instruct=((0, "red"), (20, "blue"), (40, "red")))
    evaluation = run(bag, policy)
    assert policy.resets == 3
    assert {text for _, text in policy.seen} == {"red", "blue"}
    result = evaluation.results[0]
    assert [group.frames for group in result.by_episode] == [20, 20, 20]
    assert [(group.name, group.frames) for group in result.by_instruction] == [("blue", 20), ("red", 40)]
    assert result.axes[0].intervals["mae"] is not None


def test_only_frames_while_armed_count_unless_asked(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, mode=lambda i: "autonomy" if 20 <= i < 50 else "disarmed")
    evaluation = run(bag)
    assert (len(evaluation.columns.t), evaluation.columns.not_counted) == (30, 30)
    assert "30 of 60 frames were recorded while the robot was not armed: not counted." in evaluation.notes
    assert len(run(bag, options=EvaluationOptions(every_frame=True)).columns.t) == 60


def test_an_instruction_of_the_callers(tmp_path: Path, messages: Messages) -> None:
    policy = Reader()
    run(write(tmp_path / "bag", messages), policy, options=EvaluationOptions(instruction="other"))
    assert {text for _, text in policy.seen} == {"other"}


def test_with_the_gate_the_limits_of_the_robot_hold(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, frames=100)
    columns = run(bag, options=EvaluationOptions(gate=True)).columns
    forward = np.frombuffer(columns.predicted[0][0])
    assert forward.max() > 0.1
    assert forward.min() >= -CONTROLLER.limits.linear.reverse_mps - 1e-9
    steps = np.diff(forward) / 0.1
    assert steps.max() <= CONTROLLER.limits.linear.accel_mps2 + 0.2
    open_loop = np.frombuffer(run(bag).columns.predicted[0][0])
    assert open_loop.min() < -CONTROLLER.limits.linear.reverse_mps


def test_two_policies_are_compared_on_the_same_frames(tmp_path: Path, messages: Messages) -> None:
    class Worse(Reader):
        def step(self, frame_rgb: np.ndarray, instruction: str) -> Step:
            action = super().step(frame_rgb, instruction).action
            return Step((action[0] * 0.5, action[1]), {"step": 1.0})

    bag = write(tmp_path / "bag", messages, instruct=((0, "red"), (20, "blue"), (40, "green")))
    evaluation = run(bag, Worse(), Reader())
    (_, forward, interval), (_, turn, _) = evaluation.paired
    assert forward < 0.0
    assert turn == pytest.approx(0.0)
    assert interval is not None
    assert interval.high < 0.0
    assert any("m/s less than A" in sentence and "more than chance" in sentence for sentence in verdicts(evaluation))


def test_without_commands_it_runs_and_says_what_is_missing(tmp_path: Path, messages: Messages) -> None:
    evaluation = run(write(tmp_path / "bag", messages, command=lambda i: None))
    assert evaluation.results[0].axes[0].policy.n == 0
    assert evaluation.results[0].axes[0].character.flips_per_s > 0
    assert any("cannot be computed" in note for note in evaluation.notes)
    json.loads(metric_report(evaluation, "vla eval", {}).to_json())
    assert "cannot be computed" in evaluation_page(evaluation, [])


@pytest.mark.parametrize(
    ("best_ms", "correlations", "sentence"),
    [
        (0.0, [0.5, 0.9, 0.5], "without any shift"),
        (100.0, [0.2, 0.5, 0.9, 0.5], "100 ms before the recording"),
        (-100.0, [0.5, 0.9, 0.5, 0.2, 0.1], "100 ms behind the recording"),
        (100.0, [0.5, 0.6, 0.7], "largest shift that was tried, +100 ms"),
        (-100.0, [0.29, 0.1, 0.1, 0.0, 0.0], "0.29 at most"),
    ],
)
def test_a_lag_is_named_only_where_there_is_one(best_ms: float, correlations: list[float], sentence: str) -> None:
    """Shifts of 100 ms around 0; two entries before 0 where there are five, else one."""
    first = -2 if len(correlations) == 5 else -1
    curve = [(100.0 * (first + i), value) for i, value in enumerate(correlations)]
    assert sentence in lag_sentence(best_ms, curve)


def test_the_worst_moments_are_the_worst(tmp_path: Path, messages: Messages) -> None:
    def command(i: int) -> tuple[float, float]:
        return 0.3 * action_of(i) + (0.2 if i == 33 else 0.1 if i == 12 else 0.0), -0.8 * action_of(i)

    worst = WorstMoments(FULL, count=2)
    seen: list[RolloutFrame] = []

    def see(moment: RolloutFrame) -> None:
        seen.append(moment)
        worst(moment)

    evaluation = run(write(tmp_path / "bag", messages, command=command), on_moment=see)
    assert len(seen) == 60
    kept = worst.worst_first()
    assert [round(one.t, 1) for one in kept] == [3.3, 1.2]
    assert kept[0].error == pytest.approx(0.2 / 0.3)
    page = evaluation_page(evaluation, kept)
    assert page.count("data:image/jpeg;base64,") == 2
    assert "at 3.3 s" in page


@pytest.mark.parametrize(
    ("bag", "options", "sentence"),
    [
        ({"instruct": ()}, EvaluationOptions(), "no instruction; give one with --instruction"),
        ({"mode": lambda i: "disarmed"}, EvaluationOptions(), "was the robot driven; count all with --every-frame"),
        (
            {"size": lambda i: (24, 32) if i < 30 else (48, 64)},
            EvaluationOptions(),
            r"bag: the camera picture changes from 32x24 to 64x48 at 3\.0 s",
        ),
        (
            {"stamp": lambda i: START_NS + (i if i < 30 else i - 20) * 100_000_000},
            EvaluationOptions(),
            r"bag: the camera's clock goes back 1\.90 s at 1\.0 s",
        ),
        (
            {"encoding": "purple8"},
            EvaluationOptions(),
            r"none of 60 messages on /camera/image_raw can be .* at 0\.0 s: unknown image encoding 'purple8'",
        ),
    ],
)
def test_bags_that_cannot_be_evaluated(
    tmp_path: Path, messages: Messages, bag: dict, options: EvaluationOptions, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        run(write(tmp_path / "bag", messages, **bag), options=options)


def test_a_recorder_whose_clock_was_set_back_is_suspected(tmp_path: Path, messages: Messages) -> None:
    """Log times and stamps went back together, so readers sort both drives into one."""
    bag = write(tmp_path / "bag", messages, stamp=lambda i: START_NS + (i // 2) * 100_000_000)
    assert any("30 of 60 frames repeat the stamp before them" in note for note in run(bag).notes)
    assert not any("repeat" in note for note in run(write(tmp_path / "sound", messages)).notes)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--delay-ms", "nan"), "--delay-ms must be a finite number"),
        (("--latency-ms", "-1"), "--latency-ms must not be negative"),
        (("--drop", "nan"), "--drop must be from 0 to below 1"),
        (("--start-s", "2", "--end-s", "1"), r"--end-s must be later than --start-s \(2\), got 1"),
        (("--video", "x.txt"), r"--video x\.txt must end in \.mp4"),
        (("--html", "/nonexistent/x.html"), "there is no folder /nonexistent"),
        (("--html", "/tmp"), "/tmp is a folder; name a file in it"),
        (("--seed", "-1"), "--seed must not be negative, got -1"),
        (("--seed", "9" * 4000), "--seed must be at most 1000000000, got 9{24}$"),
        (("--gate", "--latency-ms", "1e308"), r"--latency-ms must be at most 60000, got 1e\+308"),
        (("--start-s", "1e308"), r"--start-s must be at most 1000000000, got 1e\+308"),
    ],
)
def test_flags_that_make_no_sense(flags: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "bag", *flags]) == 2
    assert re.search(sentence, " ".join(capsys.readouterr().err.split()))


def test_the_earlier_name_of_the_gate_flag_is_understood() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [parser.parse_args(["bag", flag]).gate for flag in ("--gate", "--closed")] == [True, True]
    assert "--closed" not in parser.format_help()


def test_an_instruction_that_is_too_long_is_one_sentence(
    tmp_path: Path, messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = write(tmp_path / "bag", messages)
    assert main(["eval", str(bag), "--instruction", "x" * 100_000]) == 2
    assert "the instruction is 100000 characters long" in " ".join(capsys.readouterr().err.split())


def test_a_bag_without_a_camera(tmp_path: Path, messages: Messages) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        bag.write("/cmd_vel", START_NS, messages.command(0.0, 0.0))
    with pytest.raises(UserError, match=r"has no camera topic .*, its topics: /cmd_vel"):
        run(tmp_path / "bag")


@pytest.mark.parametrize("flags", [(), ("--start-s", "1000")])
def test_the_bag_is_looked_at_before_a_policy_is_loaded(
    tmp_path: Path, messages: Messages, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    """A policy loads for seconds, a bag opens at once: the checkpoint that is missing is not even looked for."""
    if flags:
        bag, expected = write(tmp_path / "bag", messages), "bag ends at"
    else:
        bag, expected = write_folder(tmp_path / "bag", [service_events()]), "the bag has no camera topic"
    assert main(["eval", str(bag), "--checkpoint", str(tmp_path / "missing.safetensors"), *flags]) == 2
    assert expected in " ".join(capsys.readouterr().err.split())


def test_a_topic_that_cannot_be_read_is_named_and_costs_nothing_else(tmp_path: Path, messages: Messages) -> None:
    bag = write_folder(tmp_path / "bag", [*drive_topics(messages), service_events()])
    evaluation = run(bag)
    assert len(evaluation.columns.t) == FRAMES
    assert any(note.startswith("bag: /add_two_ints/_service_event cannot be read") for note in evaluation.notes)


def test_a_camera_topic_without_a_picture(tmp_path: Path, messages: Messages) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/camera/image_raw", "sensor_msgs/msg/Image")
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        bag.write("/cmd_vel", START_NS, messages.command(0.0, 0.0))
    with pytest.raises(UserError, match="holds no picture: its camera topic /camera/image_raw is empty"):
        run(tmp_path / "bag")


def test_the_wrong_robot_is_refused(tmp_path: Path, messages: Messages) -> None:
    with pytest.raises(UserError, match="acts in space omni, the robot's controller is configured for diff"):
        run(write(tmp_path / "bag", messages), Reader("omni"))


def test_omni_compares_the_sideways_axis(tmp_path: Path, messages: Messages) -> None:
    controller = with_values(ControllerConfig(), {"base.kind": "omni", "action.space": "omni"})
    named = [NamedPolicy("A", Reader("omni"))]
    evaluation = evaluate([write(tmp_path / "bag", messages)], named, controller, EvaluationOptions(), Selection())
    assert evaluation.axes == ("linear", "lateral")
    np.testing.assert_array_equal(np.frombuffer(evaluation.columns.recorded[1]), np.zeros(60))


def test_prefetching_keeps_order_and_raises_errors() -> None:
    def slow_when_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number

    assert list(prefetched(range(200), slow_when_even)) == list(range(200))
    with pytest.raises(ZeroDivisionError):
        list(prefetched([1, 0], lambda number: 1 / number))

    def broken() -> Any:
        yield 1
        raise UserError("broken")

    with pytest.raises(UserError, match="broken"):
        list(prefetched(broken(), abs))


def test_prefetching_is_bounded() -> None:
    taken: list[int] = []
    items = prefetched((taken.append(i) or i for i in range(1000)), abs, depth=5)
    next(items)
    assert len(taken) == 6
    before = threading.active_count()
    items.close()
    assert threading.active_count() < before
    assert len(taken) == 6


def spoil(bag: Path, topic: str, which: Callable[[int], bool], content: Callable[[bytes], bytes]) -> Path:
    """A copy of the bag beside it, with some messages of one topic changed."""
    copy, index = bag.with_name(f"{bag.name}_spoilt"), -1
    with BagReader(bag) as reader, BagWriter(copy) as writer:
        for name, info in reader.topics.items():
            writer.add_topic(name, info.type)
        for message in reader.raw():
            index += message.topic == topic
            bad = message.topic == topic and which(index)
            writer.write(message.topic, message.log_ns, content(message.data) if bad else message.data)
    return copy


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def test_damaged_messages_are_skipped_and_said_everywhere(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages)
    bag = spoil(bag, "/camera/image_raw", lambda i: i in (5, 6), half)
    bag = spoil(bag, "/camera/image_raw", lambda i: i == 3, lambda data: data.replace(b"rgb8", b"xyz8"))
    bag = spoil(bag, "/cmd_vel", lambda i: i == 50, half)
    policy = Reader()
    evaluation = run(bag, policy)
    assert [level for level, _ in policy.seen] == [level_of(i) for i in range(60) if i not in (3, 5, 6)]
    assert evaluation.results[0].axes[0].policy.mae == pytest.approx(0.0, abs=0.02)
    (note,) = [note for note in evaluation.notes if "skipped" in note]
    assert "3 of 60 messages on /camera/image_raw cannot be decoded" in note
    assert "1 of 60 messages on /cmd_vel cannot be decoded (the first at 5.0 s: not a geometry_msgs/msg/Twist" in note
    report = metric_report(evaluation, "vla eval", {}).to_dict()
    assert report["executed"]["undecodable"] == {str(bag): {"/camera/image_raw": 3, "/cmd_vel": 1}}
    assert "3 of 60 messages on /camera/image_raw cannot be decoded" in evaluation_page(evaluation, [])


@pytest.mark.parametrize(
    ("topic", "sentence"),
    [
        ("/camera/image_raw", r"none of 60 messages on /camera/image_raw can be decoded .* with --image-topic"),
        ("/instruction", r"none of 1 messages on /instruction can be decoded .*; give one with --instruction"),
    ],
)
def test_a_needed_topic_of_nothing_but_damage_is_one_sentence(
    tmp_path: Path, messages: Messages, topic: str, sentence: str
) -> None:
    bag = spoil(write(tmp_path / "bag", messages), topic, lambda i: True, half)
    with pytest.raises(UserError, match=f"{bag}: {sentence}"):
        run(bag)
    if topic == "/instruction":
        assert run(bag, options=EvaluationOptions("go")).columns.frames == 60


def test_damaged_commands_alone_do_not_end_an_evaluation(tmp_path: Path, messages: Messages) -> None:
    evaluation = run(spoil(write(tmp_path / "bag", messages), "/cmd_vel", lambda i: True, half))
    assert any("none of 60 messages on /cmd_vel can be decoded" in note for note in evaluation.notes)
    assert any("errors and baselines cannot be computed" in note for note in evaluation.notes)
