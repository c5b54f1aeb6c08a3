"""What the policy that drove would score on its own drive, and what of it is delay and what the gate."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_making import START_NS, Messages
from test_evaluation import Reader, action_of, level_of, run

from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError
from mobile_vla.evaluate.eval_metrics import metric_report
from mobile_vla.evaluate.eval_report import evaluation_page, own_columns, verdicts
from mobile_vla.evaluate.frames_file import check_frames_file, frames_table, write_frames

FRAMES, PERIOD_NS = 100, 100_000_000
FULL = (0.3, 0.8)
EXACT = 1e-9
"""The same arithmetic on both sides, in another order."""


def write(
    folder: Path,
    messages: Messages,
    *,
    gate: Callable[[float], float] = lambda speed: speed,
    late_frames: int = 2,
    actions: bool = True,
    mode: Callable[[int], str] = lambda i: "autonomy",
) -> Path:
    """Actions answer their image `late_frames` frames later; a command follows at once, and every frame has one."""
    with BagWriter(folder) as bag:
        for name, kind in (
            ("/camera/image_raw", "sensor_msgs/msg/Image"),
            ("/cmd_vel", "geometry_msgs/msg/Twist"),
            ("/policy/action", "geometry_msgs/msg/TwistStamped"),
            ("/instruction", "std_msgs/msg/String"),
            ("/controller/state", "diagnostic_msgs/msg/DiagnosticStatus"),
        ):
            bag.add_topic(name, kind)
        bag.write("/instruction", START_NS, messages.text("go"))
        for i in range(FRAMES + late_frames):
            at_ns = START_NS + i * PERIOD_NS
            if i < FRAMES:
                bag.write("/controller/state", at_ns, messages.state("", mode=mode(i)))
                pixels = np.full((24, 32, 3), level_of(i), np.uint8)
                bag.write("/camera/image_raw", at_ns, messages.image(at_ns, pixels, "rgb8"))
            answered = i - late_frames
            if answered < 0:
                continue
            value = action_of(answered)
            if actions:
                stamped = messages.stamped(START_NS + answered * PERIOD_NS, value, -value)
                bag.write("/policy/action", at_ns + 1_000_000, stamped)
            command = (gate(FULL[0] * value), gate(-FULL[1] * value))
            bag.write("/cmd_vel", at_ns + 2_000_000, messages.command(*command))
    return folder


def test_a_copy_of_the_policy_scores_what_the_policy_itself_scores(tmp_path: Path, messages: Messages) -> None:
    evaluation = run(write(tmp_path / "bag", messages))
    for axis in evaluation.results[0].axes:
        assert axis.itself is not None
        assert axis.itself.own.n == axis.policy.n == FRAMES - 2
        assert axis.itself.own == pytest.approx(axis.policy, abs=EXACT)
        assert axis.itself.reproduced.r2 == pytest.approx(1.0, abs=EXACT)
        # nothing but the delay stands between action and command
        assert axis.policy.r2 < 0.9
        assert axis.itself.r2_lost_to_delay == pytest.approx(1.0 - axis.policy.r2, abs=EXACT)
        assert axis.itself.r2_lost_to_gate == pytest.approx(0.0, abs=EXACT)
    assert not any("self reference" in note for note in evaluation.notes)


def test_without_delay_the_remaining_error_is_due_to_the_gate(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, late_frames=0, gate=lambda speed: float(np.clip(speed, -0.1, 0.1)))
    for axis in run(bag).results[0].axes:
        assert axis.itself is not None
        assert axis.itself.r2_lost_to_delay == pytest.approx(0.0, abs=EXACT)
        assert axis.itself.r2_lost_to_gate == pytest.approx(1.0 - axis.itself.own.r2, abs=EXACT)
        assert axis.itself.r2_lost_to_gate > 0.1


def test_another_policy_scores_differently_from_the_driving_one(tmp_path: Path, messages: Messages) -> None:
    class Stubborn(Reader):
        def step(self, frame_rgb: np.ndarray, instruction: str) -> Any:
            return super().step(200 - frame_rgb, instruction)

    axis = run(write(tmp_path / "bag", messages), Stubborn()).results[0].axes[0]
    assert axis.itself is not None
    assert axis.itself.own.r2 > 0.5
    assert axis.itself.reproduced.r2 < 0.0


def test_a_bag_without_actions_says_why_there_is_no_reference(tmp_path: Path, messages: Messages) -> None:
    evaluation = run(write(tmp_path / "bag", messages, actions=False))
    assert all(axis.itself is None for axis in evaluation.results[0].axes)
    assert any(note.startswith("There is no self reference: no policy/action is recorded") for note in evaluation.notes)
    assert ".self" not in metric_report(evaluation, "vla eval", {}).to_json()


def test_frames_that_a_person_drove_do_not_count_for_it(tmp_path: Path, messages: Messages) -> None:
    bag = write(tmp_path / "bag", messages, mode=lambda i: "teleop" if i >= 60 else "autonomy")
    evaluation = run(bag)
    axis = evaluation.results[0].axes[0]
    assert axis.itself is not None
    assert (axis.policy.n, axis.itself.own.n) == (FRAMES - 2, 58)
    reference = axis.itself
    assert reference.same_frames.n == reference.own.n
    assert reference.same_frames == pytest.approx(reference.own, abs=EXACT)  # it is a copy of the policy that drove
    assert axis.policy.r2 != pytest.approx(reference.own.r2, abs=1e-3)  # over all frames it is not comparable
    assert [head for head, _ in own_columns(axis, "policy", "self")] == ["policy, 58 frames", "self, 58 frames"]
    assert "on the 58 frames that the recorded policy drove" in " ".join(verdicts(evaluation))
    assert any(note.startswith("The self reference is of 58 of 98 compared frames") for note in evaluation.notes)
    everything = run(write(tmp_path / "other", messages, mode=lambda i: "teleop"))
    assert any("no frame was driven by a recorded action" in note for note in everything.notes)


def test_metrics_words_and_page_carry_it(tmp_path: Path, messages: Messages) -> None:
    evaluation = run(write(tmp_path / "bag", messages))
    metrics = {metric.name: metric.value for metric in metric_report(evaluation, "vla eval", {}).metrics}
    assert metrics["linear.r2.self"] == pytest.approx(metrics["linear.r2"], abs=EXACT)
    assert metrics["linear.r2.self"] + metrics["linear.r2.self_lost_to_delay"] + metrics[
        "linear.r2.self_lost_to_gate"
    ] == pytest.approx(1.0, abs=EXACT)
    assert metrics["angular.mae.self"] is not None
    assert any("the policy that drove scores" in sentence for sentence in verdicts(evaluation))
    assert "the policy that drove, on its own drive" in evaluation_page(evaluation, [])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_frame_is_a_row(tmp_path: Path, messages: Messages, suffix: str) -> None:
    evaluation = run(write(tmp_path / "bag", messages))
    path = tmp_path / f"frames{suffix}"
    write_frames(path, evaluation)
    if suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = parquet.read_table(path).to_pylist()
    assert len(rows) == FRAMES
    row = rows[50]
    assert int(row["stamp_ns"]) == START_NS + 50 * PERIOD_NS
    assert (row["instruction"], int(row["episode"])) == ("go", 0)
    # a csv is written with six digits
    assert float(row["predicted_linear_mps"]) == pytest.approx(FULL[0] * action_of(50), abs=1e-6)
    assert float(row["recorded_angular_radps"]) == pytest.approx(-FULL[1] * action_of(48), abs=1e-6)
    assert float(row["own_action_in_force_linear_mps"]) == pytest.approx(FULL[0] * action_of(48), abs=1e-6)
    assert rows[0]["recorded_linear_mps"] in ("", None)
    assert list(tmp_path.glob(".frames*")) == []


def test_two_policies_have_a_column_each(tmp_path: Path, messages: Messages) -> None:
    table = frames_table(run(write(tmp_path / "bag", messages), Reader(), Reader()))
    assert table["predicted_by_A_linear_mps"] == table["predicted_by_B_linear_mps"]
    assert "predicted_linear_mps" not in table


def test_a_frames_file_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"x\.txt must end in \.csv or \.parquet"):
        check_frames_file(tmp_path / "x.txt")
    check_frames_file(tmp_path / "x.csv")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"x\.parquet needs pyarrow; install mobile_vla\[dataset\], or name a \.csv"):
        check_frames_file(tmp_path / "x.parquet")
