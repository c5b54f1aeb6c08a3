"""A bag as other tools see it: `rosbags`, the `mcap` library, plain sqlite3 and YAML."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bag_making import START_NS, Messages, write_drive
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from mobile_vla.bags import mcap_storage
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.recover import recover
from mobile_vla.bags.storage import StorageError
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError


def information(folder: Path) -> dict:
    return yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]


@pytest.mark.parametrize("options", [{}, {"compression": "lz4"}, {"compression": "none"}, {"storage": "sqlite3"}])
def test_rosbags_reads_back_the_same_bytes(tmp_path: Path, messages: Messages, options: dict) -> None:
    folder = write_drive(tmp_path / "bag", messages, **options)
    with AnyReader([folder]) as reader:
        read = [(c.topic, c.msgtype, log_ns, bytes(data)) for c, log_ns, data in reader.messages()]
        assert reader.message_count == 41
    commands = [data for topic, _, _, data in read if topic == "/cmd_vel"]
    assert commands == [messages.command(i / 100, -i / 100) for i in range(20)]
    assert read[0] == ("/instruction", "std_msgs/msg/String", START_NS, messages.text("go to the red cone"))
    assert [log_ns for _, _, log_ns, _ in read] == sorted(log_ns for _, _, log_ns, _ in read)


def test_metadata_says_what_ros2_bag_needs(drive: Path) -> None:
    info = information(drive)
    assert info["version"] == 9
    assert info["storage_identifier"] == "mcap"
    assert info["relative_file_paths"] == ["drive_0.mcap"]
    assert info["message_count"] == 41
    assert info["starting_time"] == {"nanoseconds_since_epoch": START_NS}
    assert info["duration"] == {"nanoseconds": 1_920_000_000}
    topics = {entry["topic_metadata"]["name"]: entry for entry in info["topics_with_message_count"]}
    twist = topics["/cmd_vel"]["topic_metadata"]
    assert twist["type"] == "geometry_msgs/msg/Twist"
    assert twist["serialization_format"] == "cdr"
    # the hash that ROS 2 itself computes for geometry_msgs/msg/Twist
    assert twist["type_description_hash"] == "RIHS01_9c45bf16fe0983d80e3cfe750d6835843d265a9a6c46bd2e609fcddde6fb8d2a"
    assert twist["offered_qos_profiles"][0]["depth"] == 3
    assert topics["/instruction"]["topic_metadata"]["offered_qos_profiles"][0]["durability"] == "transient_local"
    assert topics["/instruction"]["message_count"] == 1


def test_humble_gets_numbers_and_text(tmp_path: Path, messages: Messages) -> None:
    folder = write_drive(tmp_path / "bag", messages, metadata_version=8)
    entry = information(folder)["topics_with_message_count"][2]["topic_metadata"]
    profile = yaml.safe_load(entry["offered_qos_profiles"])[0]
    assert (profile["reliability"], profile["durability"], profile["history"]) == (1, 1, 1)
    with BagReader(folder) as reader:
        assert reader.topics["/instruction"].qos == Qos("reliable", "transient_local", "keep_last", 1)


def test_mcap_file_is_complete_and_carries_definitions(drive: Path) -> None:
    with (drive / "drive_0.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert reader.get_header().profile == "ros2"
        assert summary.statistics.message_count == 41
        image = next(schema for schema in summary.schemas.values() if schema.name == "sensor_msgs/msg/Image")
        assert image.encoding == "ros2msg"
        assert b"uint32 height" in image.data
        assert b"MSG: std_msgs/Header" in image.data
        assert {chunk.compression for chunk in summary.chunk_indexes} == {"zstd"}
        assert len(list(reader.iter_messages())) == 41


def test_the_folder_gets_its_name_when_complete(tmp_path: Path, messages: Messages) -> None:
    bag = BagWriter(tmp_path / "bag")
    bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
    bag.write("/cmd_vel", START_NS, messages.command(0.1, 0.0))
    assert [path.name for path in tmp_path.iterdir()] == ["bag.recording"]
    bag.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]
    assert sorted(path.name for path in (tmp_path / "bag").iterdir()) == ["bag_0.mcap", "metadata.yaml"]


def test_an_exception_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), BagWriter(tmp_path / "bag"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_split_by_time_keeps_every_message(tmp_path: Path, messages: Messages) -> None:
    folder = write_drive(tmp_path / "bag", messages, frames=50, split_s=2.0)
    info = information(folder)
    assert info["relative_file_paths"] == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]
    assert sum(entry["message_count"] for entry in info["files"]) == info["message_count"] == 101
    with AnyReader([folder]) as reader:
        assert len(list(reader.messages())) == 101


def test_split_by_size(tmp_path: Path, messages: Messages) -> None:
    with BagWriter(tmp_path / "bag", split_mb=1, compression="none", chunk_kb=64) as bag:
        bag.add_topic("/blob", "std_msgs/msg/String")
        for index in range(30):
            bag.write("/blob", START_NS + index, messages.text("x" * 100_000))
    assert information(tmp_path / "bag")["relative_file_paths"] == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]


def test_an_existing_bag_is_not_touched(drive: Path) -> None:
    with pytest.raises(UserError, match="exists already; choose another name"):
        BagWriter(drive)


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot record into .*file: Not a directory; choose another out_dir"):
        BagWriter(tmp_path / "file" / "bag")


def test_one_topic_has_one_type(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        with pytest.raises(
            UserError, match="recorded as geometry_msgs/msg/Twist, got a geometry_msgs/msg/TwistStamped"
        ):
            bag.add_topic("/cmd_vel", "geometry_msgs/msg/TwistStamped")


def test_unknown_type_is_recorded_without_definition(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        assert bag.add_topic("/own", "my_robot/msg/Own") is False
        bag.write("/own", START_NS, b"\0\1\0\0abcd")
    with BagReader(tmp_path / "bag") as reader:
        assert [message.data for message in reader.raw()] == [b"\0\1\0\0abcd"]


def test_definition_of_an_installed_package_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "my_robot" / "msg"
    folder.mkdir(parents=True)
    (folder / "Own.msg").write_text("std_msgs/Header header\nmy_robot/Part[] parts\n")
    (folder / "Part.msg").write_text("float32 value\n")
    with BagWriter(tmp_path / "bag", share_dirs=[tmp_path / "share"]) as bag:
        assert bag.add_topic("/own", "my_robot/msg/Own") is True
        bag.write("/own", START_NS, b"\0\1\0\0" + bytes(40))
    with AnyReader([tmp_path / "bag"]) as reader:
        assert "my_robot/msg/Part" in reader.typestore.fielddefs


@pytest.mark.parametrize("fail_after", [2, 3, 4, 5, 9])
def test_a_full_disk_leaves_a_readable_bag(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch, fail_after: int
) -> None:
    """The device refuses in the middle of a write; what was on the disk before opens with the ordinary tools."""
    real, writes = os.write, 0  # the first two are the file's magic and header

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal writes
        writes += 1
        if writes > fail_after:
            real(descriptor, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(mcap_storage.os, "write", write)
    bag = BagWriter(tmp_path / "bag", chunk_kb=64, compression="none")
    bag.add_topic("/blob", "std_msgs/msg/String")
    written = 0
    blob = messages.text("x" * 30_000)

    def fill() -> None:
        nonlocal written
        while True:
            bag.write("/blob", START_NS + written, blob)
            written += 1

    with pytest.raises(StorageError, match="No space left on device"):
        fill()
    folder = bag.finish()
    with (folder / "bag_0.mcap").open("rb") as file:
        kept = len(list(make_reader(file, validate_crcs=True).iter_messages()))
    assert kept == information(folder)["message_count"] == bag.message_count
    assert kept + bag.lost == written
    assert (kept > 0) == (fail_after > 2)
    if kept:
        with AnyReader([folder]) as reader:
            assert len(list(reader.messages())) == kept


def test_a_disk_that_refuses_even_the_end_of_the_file(
    tmp_path: Path, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EFBIG, "File too large")

    bag = BagWriter(tmp_path / "bag")
    bag.add_topic("/blob", "std_msgs/msg/String")
    bag.write("/blob", START_NS, messages.text("x"))
    monkeypatch.setattr(mcap_storage.os, "write", refuse)
    monkeypatch.setattr(mcap_storage, "seal", refuse)
    with pytest.raises(StorageError, match="File too large"):
        bag.flush()
    assert (bag.lost, bag.message_count) == (1, 0)


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mcap_storage.os, "write", write)
    with pytest.raises(StorageError, match=r"cannot record into .*: No space left on device"):
        BagWriter(tmp_path / "bag")
    assert list(tmp_path.iterdir()) == []


CHILD = """
import sys, time
from pathlib import Path
from mobile_vla.bags.types import Qos
from mobile_vla.bags.writer import BagWriter
bag = BagWriter(Path(sys.argv[1]), storage=sys.argv[2])
bag.add_topic("/blob", "std_msgs/msg/String", Qos(durability="transient_local", depth=3))
for index in range(100):
    bag.write("/blob", 10**18 + index, b"\\0\\1\\0\\0\\5\\0\\0\\0text\\0")
bag.flush()
for index in range(100, 150):
    bag.write("/blob", 10**18 + index, b"\\0\\1\\0\\0\\5\\0\\0\\0text\\0")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_killed_recorder_leaves_what_was_flushed(tmp_path: Path, storage: str) -> None:
    arguments = [sys.executable, "-c", CHILD, str(tmp_path / "bag"), storage]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGKILL)
    with BagReader(tmp_path / "bag.recording") as reader:
        assert reader.message_count == 100
        assert reader.damage is not None
        assert "no metadata.yaml" in reader.damage.message or "never finished" in reader.damage.message
    path, count, _ = recover(tmp_path / "bag.recording")
    assert (path, count) == (tmp_path / "bag", 100)
    with AnyReader([path]) as sound:
        assert len(list(sound.messages())) == 100
