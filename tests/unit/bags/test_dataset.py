"""From bags to episodes and out again in every format."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from bag_making import COMMAND_DELAY_NS, FRAME_NS, START_NS, Messages
from dataset_making import SMALL, drive, picture

from mobile_vla.bags.dataset import export_npz, hdf5, lerobot
from mobile_vla.bags.dataset.build import build, motion_shares, split
from mobile_vla.bags.dataset.check import check
from mobile_vla.bags.dataset.episode import Episode, read_episode, write_episode
from mobile_vla.bags.dataset.manifest import EpisodeEntry, Manifest, load_manifest
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import find_roles
from mobile_vla.bags.types import BagCommand, BagFrame, BagInstruction
from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError
from mobile_vla_cli import main
from mobile_vla_cli.dataset import verdict


def test_episodes_are_cut_at_the_instruction_and_aligned(built: Manifest) -> None:
    assert [(entry.frames, entry.instruction) for entry in built.episodes] == [(30, "red"), (30, "blue")] * 3
    episode = built.read(built.episodes[1])
    assert (episode.stamps_ns == START_NS + (30 + np.arange(30)) * FRAME_NS).all()
    np.testing.assert_allclose(episode.actions[:, 0], 0.2)
    np.testing.assert_allclose(episode.actions[:10, 2], [0.3] * 5 + [-0.3] * 5, atol=1e-6)
    shown = np.stack(list(episode.frames()))
    assert shown.shape == (30, 48, 64, 3)
    assert np.abs(shown[4].astype(int) - picture(0, 34)).mean() < 6  # JPEG


def test_splits_are_by_episode_and_repeatable(built: Manifest) -> None:
    splits = [entry.split for entry in built.episodes]
    assert {name: splits.count(name) for name in set(splits)} == {"train": 4, "val": 1, "test": 1}
    again = split(built.episodes, SMALL)
    assert [entry.split for entry in again] == splits
    other = [split(built.episodes, SMALL._replace(seed=seed)) for seed in range(1, 8)]
    assert any([entry.split for entry in one] != splits for one in other)


def test_the_manifest_round_trips(built: Manifest) -> None:
    loaded = load_manifest(built.folder)
    assert loaded == built
    assert loaded.statistics["actions"]["linear"]["mean"] == pytest.approx(0.2)
    assert loaded.statistics["frames"] == 120
    (built.folder / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="is not a data set"):
        load_manifest(built.folder)


@pytest.mark.parametrize(("rate_hz", "expected"), [(10.0, 30), (5.0, 15), (2.0, 6), (0.0, 30)])
def test_the_rate_is_kept(tmp_path: Path, messages: Messages, rate_hz: float, expected: int) -> None:
    manifest = build([drive(tmp_path / "bag", messages)], tmp_path / "set", SMALL._replace(rate_hz=rate_hz))
    assert [entry.frames for entry in manifest.episodes] == [expected, expected]


def test_pictures_can_be_scaled(tmp_path: Path, messages: Messages) -> None:
    manifest = build([drive(tmp_path / "bag", messages)], tmp_path / "set", SMALL._replace(width=32))
    assert (manifest.width, manifest.height) == (32, 24)
    assert next(manifest.read(manifest.episodes[0]).frames()).shape == (24, 32, 3)


def test_a_recording_without_usable_frames_is_reported(tmp_path: Path, messages: Messages) -> None:
    bag = drive(tmp_path / "bag", messages)
    with pytest.raises(UserError, match="60 frames in episodes that are too short"):
        build([bag], tmp_path / "set", SMALL._replace(least_frames=500))
    with pytest.raises(UserError, match="not an empty folder"):
        build([bag], bag, SMALL)


def test_an_intact_data_set_has_no_errors(built: Manifest) -> None:
    assert [finding for finding in check(built) if finding.level == "error"] == []


def test_a_stuck_camera_is_found(tmp_path: Path, messages: Messages) -> None:
    bags = [drive(tmp_path / "ok", messages, 1), drive(tmp_path / "stuck", messages, 2, still=True)]
    findings = check(build(bags, tmp_path / "set", SMALL))
    errors = [finding for finding in findings if finding.level == "error"]
    assert [finding.what for finding in errors] == ["stuck camera", "stuck camera"]
    assert "frozen for 2.9 s from 0.0 s on" in errors[0].message


@pytest.mark.parametrize(("shares", "missing"), [({"val_share": 0.0}, "val"), ({}, "val")])
def test_a_data_set_without_a_split_is_not_usable(
    tmp_path: Path, messages: Messages, capsys: pytest.CaptureFixture[str], shares: dict[str, float], missing: str
) -> None:
    bags = [drive(tmp_path / f"bag{number}", messages, number) for number in range(3 if shares else 1)]
    folder = build(bags, tmp_path / "set", SMALL._replace(**shares)).folder
    assert main(["dataset", "check", str(folder)]) == 1
    said = capsys.readouterr().out
    assert f"has no {missing} episodes" in said
    assert "build it again with --val-share above 0" in said
    assert "not usable" in said


def test_few_frames_and_a_lone_instruction_are_counted_in_words(
    tmp_path: Path, messages: Messages, capsys: pytest.CaptureFixture[str]
) -> None:
    bags = [drive(tmp_path / f"bag{number}", messages, number) for number in range(3)]
    manifest = build(bags, tmp_path / "set", SMALL)
    frames = sum(entry.frames for entry in manifest.of_split("train"))
    sentences = [finding.message for finding in check(manifest)]
    assert (
        f"There are only {frames} training frames: too few to train a policy on (less than 1000); record more."
        in sentences
    )
    assert main(["dataset", "check", str(manifest.folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("usable, but read the warning")
    assert verdict([]) == "usable: nothing was found"
    others = [dataclasses.replace(one, split="val", instruction="elsewhere") for one in manifest.of_split("val")[:1]]
    alone = dataclasses.replace(manifest, episodes=[*manifest.of_split("train"), *others])
    assert any(finding.message.startswith("1 instruction occurs in val") for finding in check(alone))


def test_the_same_recording_in_two_splits_is_a_leak(tmp_path: Path, messages: Messages) -> None:
    bag = drive(tmp_path / "bag", messages, frames=120)
    manifest = build([bag, bag, bag], tmp_path / "set", SMALL)
    what = {(finding.level, finding.what) for finding in check(manifest)}
    assert ("error", "leak") in what  # the same stretch of time
    assert ("warning", "leak") in what  # the same pictures


def test_one_sided_turning_and_constant_commands_are_reported(tmp_path: Path, messages: Messages) -> None:
    manifest = build([drive(tmp_path / "bag", messages)], tmp_path / "set", SMALL)
    for entry in manifest.episodes:
        episode = manifest.read(entry)
        actions = np.tile(np.array([[0.1, 0.0, 0.5]], np.float32), (len(episode), 1))
        write_episode(manifest.folder / entry.file, dataclasses.replace(episode, actions=actions))
    sentences = " ".join(finding.message for finding in check(manifest))
    assert "Turns go mostly left" in sentences
    assert "one command throughout (0.10, 0.00, 0.50)" in sentences


def test_motion_by_hand() -> None:
    actions = np.array([[0, 0, 0], [0.2, 0, 0.05], [0.2, 0, 0.5], [0, 0, -0.5]], np.float32)
    assert motion_shares(actions) == {"still": 0.25, "straight": 0.25, "left": 0.25, "right": 0.25}


def test_episode_file_round_trip(tmp_path: Path) -> None:
    episode = Episode("gehe zur roten Tür", np.arange(3), np.ones((3, 3), np.float32), [b"a", b"", b"ccc"])
    write_episode(tmp_path / "e.npz", episode)
    back = read_episode(tmp_path / "e.npz")
    assert (back.instruction, back.jpegs) == (episode.instruction, episode.jpegs)
    (tmp_path / "e.npz").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a readable episode"):
        read_episode(tmp_path / "e.npz")


def test_npz_export(built: Manifest, tmp_path: Path) -> None:
    files = export_npz.export(built, tmp_path / "out")
    assert len(files) == 6
    with np.load(files[0]) as content:
        assert content["images"].shape == (30, 48, 64, 3)
        np.testing.assert_array_equal(content["actions"], built.read(built.episodes[0]).actions)
        assert str(content["instruction"]) == "red"


def test_hdf5_out_and_back_into_a_bag(built: Manifest, tmp_path: Path) -> None:
    files = hdf5.export(built, tmp_path / "out")
    with h5py.File(files[0]) as file:
        assert set(file) == {"images", "actions", "action_event_types"}
        assert file["images"].shape == (30, 48, 64, 3)
        assert file["action_event_types"].asstr()[:6].tolist() == ["episode_start", *["hold"] * 4, "start_action"]
    folder = hdf5.import_episode(files[0], tmp_path / "back", rate_hz=3.0)
    with BagReader(folder) as reader:
        read = list(reader.events(find_roles(reader.topics.values())))
    commands = [event for event in read if isinstance(event, BagCommand)]
    frames = [event for event in read if isinstance(event, BagFrame)]
    actions = built.read(built.episodes[0]).actions
    np.testing.assert_allclose([command.angular_radps for command in commands], actions[:, 2], atol=1e-6)
    assert {event.text for event in read if isinstance(event, BagInstruction)} == {"red"}
    assert frames[1].stamp_ns - frames[0].stamp_ns == FRAME_NS  # the file's own duration beats 3 Hz


def test_event_types_by_hand() -> None:
    actions = np.array([[0, 0, 0], [0, 0, 0], [0.2, 0, 0], [0.2, 0, 0], [0.2, 0, 0.1], [0, 0, 0]], np.float32)
    assert hdf5.event_types(actions) == ["episode_start", "hold", "start_action", "hold", "start_action", "stop_action"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, "has no 'actions'; it has images"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "actions": np.zeros((3, 2))}, "one action per RGB image"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "actions": np.zeros((2, 2))}, "carries no instruction"),
    ],
)
def test_hdf5_that_cannot_be_imported(tmp_path: Path, content: dict, sentence: str) -> None:
    with h5py.File(tmp_path / "e.h5", "w") as file:
        for name, values in content.items():
            file[name] = values
    with pytest.raises(UserError, match=sentence):
        hdf5.import_episode(tmp_path / "e.h5", tmp_path / "bag", 10.0)
    assert not (tmp_path / "bag").exists()


def test_lerobot_layout(built: Manifest, tmp_path: Path) -> None:
    """The documented schema of v3.0; tests/unit/bags/test_lerobot.py opens it with the real library."""
    out = lerobot.export(built, tmp_path / "out", fps=10)
    info = json.loads((out / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_episodes"], info["total_frames"]) == ("v3.0", 10, 6, 180)
    assert info["splits"] == {"train": "0:4", "val": "4:5", "test": "5:6"}
    data = pq.read_table(out / "data/chunk-000/file-000.parquet").to_pydict()
    assert data["index"] == list(range(180))
    assert data["episode_index"] == [number for number in range(6) for _ in range(30)]
    assert data["timestamp"][:3] == pytest.approx([0.0, 0.1, 0.2])
    ordered = [entry for name in ("train", "val", "test") for entry in built.of_split(name)]
    np.testing.assert_allclose(data["action"][30:60], built.read(ordered[1]).actions, atol=1e-6)
    tasks = pq.read_table(out / "meta/tasks.parquet").to_pydict()
    named = dict(zip(tasks["task_index"], tasks["__index_level_0__"], strict=True))
    assert [named[data["task_index"][number * 30]] for number in range(6)] == [entry.instruction for entry in ordered]
    episodes = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pydict()
    assert episodes["dataset_to_index"] == [30, 60, 90, 120, 150, 180]
    stats = json.loads((out / "meta/stats.json").read_text())
    every = np.concatenate([built.read(entry).actions for entry in ordered])
    assert stats["action"]["mean"] == pytest.approx(every.mean(axis=0).tolist(), abs=1e-6)
    with av.open(str(out / "videos/observation.images.front/chunk-000/file-000.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(shown) == 180
    expected = list(built.read(ordered[2]).frames())[7]
    assert np.abs(shown[67].astype(int) - expected).mean() < 8


def test_manifest_entries_have_the_right_split_names() -> None:
    entries = [EpisodeEntry(f"{i}", "train", "bag", i, i, 1, "go") for i in range(2)]
    assert [entry.split for entry in split(entries, SMALL)] == ["train", "train"]


def test_a_camera_that_changes_inside_an_episode_is_refused(tmp_path: Path, messages: Messages) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/camera/image_raw", "sensor_msgs/msg/Image")
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        for index in range(20):
            stamp = START_NS + index * FRAME_NS
            pixels = picture(0, index)
            bag.write("/camera/image_raw", stamp, messages.image(stamp, pixels if index < 10 else pixels[:24], "rgb8"))
            bag.write("/cmd_vel", stamp + COMMAND_DELAY_NS, messages.command(0.2, 0.1))
    options = SMALL._replace(instruction="go")
    with pytest.raises(UserError, match=r"/camera/image_raw at 1\.0 s: .* changes from 64x48 to 64x24; use --width"):
        build([tmp_path / "bag"], tmp_path / "set", options)


def test_what_is_no_data_set_and_no_episode_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a data set \(manifest\.json: No such file or directory\)"):
        load_manifest(tmp_path)
    with pytest.raises(UserError, match=r"absent\.h5: No such file or directory; check the path"):
        hdf5.import_episode(tmp_path / "absent.h5", tmp_path / "bag", 10.0)


def test_a_pipe_is_no_episode_to_import(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.h5")
    with pytest.raises(UserError, match=r"f\.h5 is a pipe \(FIFO\), not a file"):
        hdf5.import_episode(tmp_path / "f.h5", tmp_path / "bag", 10.0, "x")


def with_jpegs(folder: Path, messages: Messages, spoil: Callable[[int, bytes], bytes]) -> Path:
    """The usual drive with JPEG pictures, each of which may be spoilt."""
    with BagReader(drive(folder.with_name("raw"), messages)) as reader, BagWriter(folder) as bag:
        bag.add_topic("/camera/image_raw", "sensor_msgs/msg/CompressedImage")
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        bag.add_topic("/instruction", "std_msgs/msg/String")
        index = 0
        for message in reader.raw():
            data = message.data
            if message.topic == "/camera/image_raw":
                stamp = START_NS + index * FRAME_NS
                jpeg = cv2.imencode(".jpg", picture(0, index))[1].tobytes()
                fields = {"format": "jpeg", "data": np.frombuffer(spoil(index, jpeg), np.uint8)}
                data = messages.cdr("sensor_msgs/msg/CompressedImage", header=messages.header(stamp), **fields)
                index += 1
            bag.write(message.topic, message.log_ns, data)
    return folder


def test_damaged_pictures_and_commands_are_left_out_and_said(tmp_path: Path, messages: Messages) -> None:
    """Half a JPEG too, which OpenCV would fill up with grey."""
    bag = with_jpegs(tmp_path / "bag", messages, lambda i, jpeg: jpeg[: len(jpeg) // 2] if i in (3, 40) else jpeg)
    manifest = build([bag], tmp_path / "set", SMALL)
    assert [entry.frames for entry in manifest.episodes] == [29, 29]
    assert manifest.left_out == {"that cannot be decoded": 2}
    (sentence,) = manifest.damage
    assert (
        "2 of 60 messages on /camera/image_raw cannot be decoded (the first at 0.3 s: the JPEG is damaged" in sentence
    )
    assert load_manifest(tmp_path / "set").damage == manifest.damage
    stamps = manifest.read(manifest.episodes[0]).stamps_ns
    assert [int(stamp - START_NS) // FRAME_NS for stamp in stamps] == [i for i in range(30) if i != 3]


def test_nothing_but_damaged_pictures_is_one_sentence_and_leaves_nothing(tmp_path: Path, messages: Messages) -> None:
    bag = with_jpegs(tmp_path / "bag", messages, lambda i, jpeg: jpeg[:50])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        UserError, match=r"bag: none of 60 messages on /camera/image_raw can be decoded .* leave it out"
    ):
        build([bag], tmp_path / "new/a/set", SMALL)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--rate-hz", "nan"), "--rate-hz must be a finite number, got nan"),
        (("--rate-hz", "1e-308"), "--rate-hz must be 0 or at least 0.001, got 1e-308"),
        (("--delay-ms=-1e308",), "--delay-ms must be at most 60000, got -1e+308"),
        (("--tolerance-ms", "-1"), "--tolerance-ms must not be negative, got -1"),
        (("--width", "-640"), "--width must not be negative, got -640"),
        (("--seed", "-1"), "--seed must not be negative, got -1"),
        (("--val-share", "0.7"), "--val-share must be from 0 to below 0.5, got 0.7"),
    ],
)
def test_flags_that_make_no_sense(
    flags: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", "build", "bag", "--out", str(tmp_path / "set"), *flags]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
