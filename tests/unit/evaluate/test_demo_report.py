"""The report of a drive in which everything is known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest
from bag_making import START_NS, Messages
from drive_making import write_known_drive

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import find_roles
from mobile_vla.bags.writer import BagWriter
from mobile_vla.evaluate import video
from mobile_vla.evaluate.demo_report import write_demo_report
from mobile_vla.evaluate.drive import RecordedDrive, read_drive
from mobile_vla.evaluate.html import STYLE


def drive_of(bag: Path) -> RecordedDrive:
    with BagReader(bag) as reader:
        return read_drive(reader, find_roles(reader.topics.values()))


def test_columns_and_sums(known_drive: Path) -> None:
    drive = drive_of(known_drive)
    assert drive.path_m == pytest.approx(1.0)  # 2 s at 0.5 m/s
    assert (len(drive.frames), len(drive.commands.t), len(drive.actions.t)) == (41, 41, 41)
    assert drive.camera_to_action_ms == pytest.approx([30.0] * 41)
    assert drive.camera_to_command_ms == pytest.approx([40.0] * 41)
    assert [(s.mode, round(s.start, 3), round(s.end, 3)) for s in drive.stretches] == [
        ("disarmed", 0.0, 1.0),
        ("autonomy", 1.0, 3.0),
        ("disarmed", 3.0, 4.061),
    ]
    assert drive.mode_seconds == pytest.approx({"disarmed": 2.061, "autonomy": 2.0})


def test_the_three_files(known_drive: Path, tmp_path: Path) -> None:
    summary = write_demo_report(
        known_drive, tmp_path, {"robot": "sim", "first_motion_s": 7.25, "restarts": {"camera": 2}}
    )
    assert summary.report == tmp_path / "report.html"
    assert json.loads(summary.metrics_file.read_text()) == json.loads(json.dumps(summary.metrics, default=str))
    metrics = {metric["name"]: metric for metric in summary.metrics["figures"]}
    assert metrics["path_m"]["value"] == pytest.approx(1.0)
    assert metrics["camera_to_command_ms"]["value"] == pytest.approx(40.0)
    assert metrics["first_motion_s"]["value"] == 7.25
    assert summary.metrics["executed"]["weights"] == "random"
    assert summary.metrics["timings_ms"]["/inference"]["step"] == {"mean": 6.2, "p95": 7.9, "worst": 12.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "metrics.json", "report.html", "video.mp4"]


def test_what_came_before_the_start_of_a_drive_is_kept_where_it_still_holds(known_drive: Path) -> None:
    with BagReader(known_drive) as reader:
        drive = read_drive(reader, find_roles(reader.topics.values()), START_NS + 500_000_000)
    assert (drive.start_ns, drive.duration_s) == (START_NS + 500_000_000, pytest.approx(3.561))
    assert [(told.t, told.text) for told in drive.instructions] == [(0.0, "go to the <red> cone")]
    assert [(s.mode, round(s.start, 3), round(s.end, 3)) for s in drive.stretches] == [
        ("disarmed", 0.0, 0.5),
        ("autonomy", 0.5, 2.5),
        ("disarmed", 2.5, 3.561),
    ]
    assert (len(drive.frames), len(drive.commands.t), len(drive.track.t)) == (36, 36, 36)
    assert drive.camera_to_command_ms == pytest.approx([40.0] * 36)
    assert drive.frames[0] == 0.0


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_start_outside_the_bag_is_its_nearest_end(known_drive: Path, seconds: int) -> None:
    with BagReader(known_drive) as reader:
        drive = read_drive(reader, find_roles(reader.topics.values()), START_NS + seconds * 10**9)
        assert drive.start_ns == (reader.start_ns if seconds < 0 else reader.end_ns)


def test_report_and_video_begin_two_seconds_before_arming(known_drive: Path, tmp_path: Path) -> None:
    summary = write_demo_report(known_drive, tmp_path, {"armed_at_ns": START_NS + 2_500_000_000})
    metrics = {metric["name"]: metric["value"] for metric in summary.metrics["figures"]}
    assert metrics["duration_s"] == pytest.approx(3.561)
    assert summary.sentences[0].startswith("In 3.6 s the robot drove 1.00 m")
    assert (
        "The first 0.5 s of the bag, while everything started, are left out of report and video." in summary.sentences
    )
    assert "armed_at_ns" not in summary.metrics["facts"]
    assert summary.video is not None
    with av.open(str(summary.video)) as container:
        frames = [(float(frame.time or 0.0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert len(frames) == 36
    assert frames[0][0] == pytest.approx(0.0)
    assert frames[0][1][60:200, 20:300].mean() == pytest.approx(25, abs=6)  # the camera image of 0.5 s


@pytest.mark.parametrize("armed_after_s", [1.0, -60.0, 60.0])
def test_a_bag_that_begins_late_or_was_armed_in_another_time_is_shown_whole(
    known_drive: Path, tmp_path: Path, armed_after_s: float
) -> None:
    summary = write_demo_report(known_drive, tmp_path, {"armed_at_ns": START_NS + round(armed_after_s * 1e9)})
    assert summary.metrics["figures"][0]["value"] == pytest.approx(4.061)
    assert not any("left out" in sentence for sentence in summary.sentences)


def test_the_description_says_what_happened(known_drive: Path, tmp_path: Path) -> None:
    told = write_demo_report(known_drive, tmp_path, {"restarts": {"camera": 2}}).sentences
    assert told[0] == 'In 4.1 s the robot drove 1.00 m and turned 0 degrees in all. It was told "go to the <red> cone".'
    assert "UNTRAINED" in told[1]
    assert "It ended 1.25 m from the goal (red cone) and did not arrive." in told
    assert "It touched nothing." in told
    assert "Modes: 2.1 s disarmed, 2.0 s autonomy." in told
    assert "Nothing limited the policy while it drove." in told
    assert "camera was started again 2 times." in told


def test_task_results_replace_the_final_distance(known_drive: Path, tmp_path: Path) -> None:
    tasks = [{"sentence": "Told A: arrived.", "arrived": True}, {"sentence": "Told B: <not>.", "arrived": False}]
    summary = write_demo_report(known_drive, tmp_path, {"tasks": tasks})
    assert summary.sentences.index("Told A: arrived.") + 1 == summary.sentences.index("Told B: <not>.")
    assert not any("from the goal" in sentence for sentence in summary.sentences)
    page = summary.report.read_text()
    assert "<b>1 of 2</b><span>arrived where it was told</span>" in page
    assert "Told B: &lt;not&gt;." in page


def test_a_goal_that_was_replaced_counts_neither_way(known_drive: Path, tmp_path: Path) -> None:
    tasks = [
        {"sentence": "Told A: replaced.", "arrived": False, "replaced": True},
        {"sentence": "Told B: arrived.", "arrived": True, "replaced": False},
    ]
    summary = write_demo_report(known_drive, tmp_path, {"tasks": tasks})
    page = summary.report.read_text()
    assert "<b>1 of 1</b><span>arrived where it was told</span>" in page
    assert "Told A: replaced." in page


def test_report_and_video_have_the_same_colours(known_drive: Path, tmp_path: Path) -> None:
    dark = STYLE[STYLE.index("prefers-color-scheme: dark") :]
    for name, rgb in (("c1", video._ACTION), ("c2", video._COMMAND), ("c3", video._MEASURED)):
        assert f"--{name}:#{bytes(rgb).hex()}" in dark
    page = write_demo_report(known_drive, tmp_path, {}).report.read_text()
    assert '<span><i class="key s2"></i>commanded</span>' in page
    assert '<span><i class="key s3"></i>measured</span>' in page


def test_the_codes_of_the_timeline_are_explained(known_drive: Path, tmp_path: Path) -> None:
    page = write_demo_report(known_drive, tmp_path, {}).report.read_text()
    assert "disarmed: not armed" in page
    assert "ok: nothing limits the command" in page


def test_the_page_is_self_contained_and_escaped(known_drive: Path, tmp_path: Path) -> None:
    text = write_demo_report(known_drive, tmp_path, {}).report.read_text()
    outside = set(re.findall(r'(?:https?:)?//[^"\s<]+', re.sub(r"base64,[^\"]*", "", text)))
    assert outside == {"http://www.w3.org/2000/svg"}
    assert "<link" not in text
    assert "go to the &lt;red&gt; cone" in text
    assert "<red>" not in text
    assert 'src="data:video/mp4;base64,' in text
    assert "UNTRAINED policy: random weights" in text


def test_a_trained_policy_gets_no_warning(tmp_path: Path, messages: Messages) -> None:
    bag = write_known_drive(tmp_path / "bag", messages, untrained="false")
    assert "UNTRAINED" not in write_demo_report(bag, tmp_path, {}).report.read_text()


def test_the_video_shows_the_right_frame_at_the_right_time(known_drive: Path, tmp_path: Path) -> None:
    video = write_demo_report(known_drive, tmp_path, {}).video
    assert video is not None
    with av.open(str(video)) as container:
        frames = [(float(frame.time or 0.0), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert len(frames) == 41
    for time_s, picture in frames[::8]:
        grey = picture[60:200, 20:300].mean()  # the camera's part, above the arrow, below the banner
        assert grey == pytest.approx(round(time_s * 10) * 5, abs=6)
    banner = frames[0][1][4:26, 400:600].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(banner, (176, 104, 0), atol=14)


def test_a_bag_without_pictures_or_odometry_still_gives_a_report(tmp_path: Path, messages: Messages) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        bag.write("/cmd_vel", 10**18, messages.command(0.1, 0.0))
        bag.write("/cmd_vel", 10**18 + 10**9, messages.command(0.1, 0.0))
    summary = write_demo_report(tmp_path / "bag", tmp_path, {})
    assert summary.video is None
    assert "There is no odometry" in summary.sentences[0]
    assert "No camera images were recorded." in summary.sentences
    assert not (tmp_path / "video.mp4").exists()
