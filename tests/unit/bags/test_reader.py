"""Typed streams, damaged bags, topics by role."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bag_making import COMMAND_DELAY_NS, FRAME_NS, START_NS, Messages, write_drive
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores, get_typestore

from mobile_vla.bags.convert import DecodeError, decode
from mobile_vla.bags.definitions import standard_types
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.roles import Roles, find_roles
from mobile_vla.bags.types import (
    BagAction,
    BagCommand,
    BagDiagnostic,
    BagFrame,
    BagInstruction,
    BagMode,
    BagOdometry,
    RawMessage,
    TopicInfo,
)
from mobile_vla.bags.writer import BagWriter
from mobile_vla.errors import UserError


def events(folder: Path) -> list:
    with BagReader(folder) as reader:
        return list(reader.events(find_roles(reader.topics.values())))


def test_frames_commands_and_instruction(drive: Path) -> None:
    read = events(drive)
    frames = [event for event in read if isinstance(event, BagFrame)]
    commands = [event for event in read if isinstance(event, BagCommand)]
    assert [event.text for event in read if isinstance(event, BagInstruction)] == ["go to the red cone"]
    assert (len(frames), len(commands)) == (20, 20)
    third = frames[3]
    assert (third.stamp_ns, third.encoding, third.height, third.width, third.step) == (
        START_NS + 3 * FRAME_NS,
        "bgr8",
        24,
        32,
        96,
    )
    assert bytes(third.data) == bytes([3]) * (24 * 96)
    assert commands[3] == BagCommand(
        START_NS + 3 * FRAME_NS + COMMAND_DELAY_NS,
        START_NS + 3 * FRAME_NS + COMMAND_DELAY_NS,
        "/cmd_vel",
        0.03,
        0.0,
        -0.03,
    )


def test_every_other_role(tmp_path: Path, messages: Messages) -> None:
    types = messages.types
    pose = types["geometry_msgs/msg/Pose"](
        position=types["geometry_msgs/msg/Point"](x=1.0, y=2.0, z=0.0),
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=float(np.sin(0.25)), w=float(np.cos(0.25))),
    )
    covariance = np.zeros(36)
    odometry = messages.cdr(
        "nav_msgs/msg/Odometry",
        header=messages.header(START_NS + 5),
        child_frame_id="base",
        pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=covariance),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=messages.twist(0.3, 0.4), covariance=covariance),
    )
    status = messages.store.deserialize_cdr(messages.state("slow", rate="9"), "diagnostic_msgs/msg/DiagnosticStatus")
    array = messages.cdr(
        "diagnostic_msgs/msg/DiagnosticArray", header=messages.header(START_NS + 7), status=[status, status]
    )
    with BagWriter(tmp_path / "bag") as bag:
        for topic, kind, data in (
            ("/odom", "nav_msgs/msg/Odometry", odometry),
            ("/policy/action", "geometry_msgs/msg/TwistStamped", messages.stamped(START_NS + 6, 0.5, -0.5)),
            ("/controller/state", "diagnostic_msgs/msg/DiagnosticStatus", messages.state("driving", mode="autonomy")),
            ("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", array),
        ):
            bag.add_topic(topic, kind)
            bag.write(topic, START_NS + 10, data)
    read = events(tmp_path / "bag")
    pose_read = next(event for event in read if isinstance(event, BagOdometry))
    assert pose_read[:5] == (START_NS + 5, START_NS + 10, "/odom", 1.0, 2.0)
    assert pose_read.yaw_rad == pytest.approx(0.5)
    assert (pose_read.linear_mps, pose_read.angular_radps) == (0.3, 0.4)
    assert BagAction(START_NS + 6, START_NS + 10, "/policy/action", 0.5, 0.0, -0.5, "diff") in read
    mode = next(event for event in read if isinstance(event, BagMode))
    assert (mode.message, mode.values) == ("driving", {"mode": "autonomy"})
    assert [(d.message, d.values) for d in read if isinstance(d, BagDiagnostic)] == [("slow", {"rate": "9"})] * 2


def test_stamped_commands_and_compressed_frames(tmp_path: Path, messages: Messages) -> None:
    jpeg = np.frombuffer(b"\xff\xd8 pixels \xff\xd9", np.uint8)
    kind = "sensor_msgs/msg/CompressedImage"
    data = messages.cdr(kind, header=messages.header(START_NS), format="rgb8; jpeg compressed bgr8", data=jpeg)
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/front/compressed", kind)
        bag.add_topic("/base/cmd_vel", "geometry_msgs/msg/TwistStamped")
        bag.write("/front/compressed", START_NS, data)
        bag.write("/base/cmd_vel", START_NS + 9, messages.stamped(START_NS + 3, 0.2, 0.1, "base_link"))
    frame, command = events(tmp_path / "bag")
    assert (frame.encoding, bytes(frame.data)) == ("jpeg", jpeg.tobytes())
    assert command == BagCommand(START_NS + 3, START_NS + 9, "/base/cmd_vel", 0.2, 0.0, 0.1)


def test_ros1_bag(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    path = tmp_path / "old.bag"
    with Writer1(path) as bag:
        image = bag.add_connection("/camera/image_raw", "sensor_msgs/msg/Image", typestore=store)
        time = types["builtin_interfaces/msg/Time"](sec=5, nanosec=7)
        value = types["sensor_msgs/msg/Image"](
            header=types["std_msgs/msg/Header"](seq=1, stamp=time, frame_id="c"),
            height=2,
            width=2,
            encoding="mono8",
            is_bigendian=0,
            step=2,
            data=np.arange(4, dtype=np.uint8),
        )
        bag.write(image, 6_000_000_000, store.serialize_ros1(value, "sensor_msgs/msg/Image"))
    (frame,) = events(path)
    assert (frame.stamp_ns, frame.encoding, bytes(frame.data)) == (5_000_000_007, "mono8", bytes([0, 1, 2, 3]))


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_truncated_mcap_gives_what_is_left(tmp_path: Path, messages: Messages, keep: float) -> None:
    folder = write_drive(tmp_path / "bag", messages, frames=200, chunk_kb=64, compression="none")
    file = folder / "bag_0.mcap"
    size = file.stat().st_size
    with file.open("r+b") as handle:
        handle.truncate(int(size * keep))
    with BagReader(folder) as reader:
        read = list(reader.raw())
        assert reader.damage is not None
        assert reader.damage.messages_expected == 401
        assert reader.damage.messages_read == len(read)
        assert 401 * keep * 0.7 < len(read) < 401
        assert f"{401 - len(read)} of 401 messages are missing" in reader.damage.message
        assert [message.log_ns for message in read] == sorted(message.log_ns for message in read)


def test_a_damaged_chunk_is_skipped_and_counted(tmp_path: Path, messages: Messages) -> None:
    folder = write_drive(tmp_path / "bag", messages, frames=200, chunk_kb=64, compression="none")
    file = folder / "bag_0.mcap"
    with file.open("r+b") as handle:
        handle.seek(file.stat().st_size // 2)
        handle.write(b"\xaa" * 64)
    with BagReader(folder) as reader:
        read = list(reader.raw())
        assert reader.damage is not None
        assert "damaged chunk" in reader.damage.message
        assert 0 < 401 - len(read) < 120  # about one chunk of 64 KiB
        assert 60_000 < reader.damage.bytes_lost < 80_000


def test_mcap_without_metadata_yaml(drive: Path) -> None:
    (drive / "metadata.yaml").unlink()
    with BagReader(drive) as reader:
        assert reader.message_count == 41
        assert reader.damage is not None
        assert "no metadata.yaml" in reader.damage.message
    with BagReader(drive / "drive_0.mcap") as reader:
        assert (reader.message_count, reader.damage) == (41, None)


def test_a_missing_piece_of_a_split_bag(tmp_path: Path, messages: Messages) -> None:
    folder = write_drive(tmp_path / "bag", messages, frames=50, split_s=2.0)
    (folder / "bag_1.mcap").unlink()
    with BagReader(folder) as reader:
        assert 50 < reader.message_count < 70
        assert reader.damage is not None
        assert "of 101 messages are missing" in reader.damage.message


def test_truncated_sqlite(tmp_path: Path, messages: Messages) -> None:
    folder = write_drive(tmp_path / "bag", messages, frames=400, storage="sqlite3")
    file = folder / "bag_0.db3"
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size // 2)
    with BagReader(folder) as reader:
        read = list(reader.raw())
        assert 100 < len(read) < 801
        assert reader.damage is not None
        assert "damaged" in reader.damage.message


def test_nonsense_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bag.mcap"
    path.write_bytes(b"not a bag at all")
    with pytest.raises(UserError, match=r"bag\.mcap holds no messages"):
        BagReader(path)
    with pytest.raises(UserError, match="there is no bag at"):
        BagReader(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is not a bag"):
        BagReader(tmp_path / "empty")


def test_a_window_of_time(drive: Path) -> None:
    with BagReader(drive) as reader:
        part = list(reader.raw(["/cmd_vel"], START_NS + 5 * FRAME_NS, START_NS + 10 * FRAME_NS))
    assert [message.log_ns for message in part] == [START_NS + i * FRAME_NS + COMMAND_DELAY_NS for i in range(5, 10)]


def topic(name: str, kind: str) -> TopicInfo:
    return TopicInfo(name, kind, 5, None)


IMAGE, JPEG = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TWIST, STAMPED = "geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped"


def test_roles_of_the_contract() -> None:
    topics = [
        topic("/robot/camera/image_raw", IMAGE),
        topic("/robot/camera/image_raw/compressed", JPEG),
        topic("/robot/cmd_vel", STAMPED),
        topic("/robot/policy/action", STAMPED),
        topic("/robot/teleop/joy", STAMPED),
    ]
    expected = Roles(image="/robot/camera/image_raw", command="/robot/cmd_vel", action="/robot/policy/action")
    assert find_roles(topics) == expected


def test_other_robots_names_are_found_by_type() -> None:
    topics = [topic("/front/rgb", JPEG), topic("/base/velocity", TWIST)]
    assert find_roles(topics)[:2] == ("/front/rgb", "/base/velocity")


def test_two_cameras_are_asked_for() -> None:
    topics = [topic("/left/image", IMAGE), topic("/right/image", IMAGE)]
    with pytest.raises(UserError, match="2 image topics: /left/image, /right/image; choose one with --image-topic"):
        find_roles(topics)
    assert find_roles(topics, {"image": "/right/image"}).image == "/right/image"


def test_wrong_choices() -> None:
    topics = [topic("/left/image", IMAGE), topic("/cmd_vel", TWIST)]
    with pytest.raises(UserError, match="no topic /left/imag; did you mean '/left/image'"):
        find_roles(topics, {"image": "/left/imag"})
    with pytest.raises(UserError, match="the image must be"):
        find_roles(topics, {"image": "/cmd_vel"})


def test_sqlite_opens_with_plain_sqlite(tmp_path: Path, messages: Messages) -> None:
    folder = write_drive(tmp_path / "bag", messages, storage="sqlite3")
    shutil.copy(folder / "bag_0.db3", tmp_path / "copy.db3")
    with sqlite3.connect(tmp_path / "copy.db3") as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (41,)
        assert database.execute("SELECT schema_version FROM schema").fetchone() == (4,)


@pytest.mark.parametrize("name", ["x.mcap", "x.db3", "x.bag"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"is an empty file \(0 bytes\)"):
        BagReader(tmp_path / name)


def spoilt(folder: Path, messages: Messages, topics: dict[str, set[int]]) -> Path:
    """The small drive with the named messages of each topic cut to half their bytes, in a file that is sound."""
    source = write_drive(folder.with_name("source"), messages)
    count: Counter[str] = Counter()
    with BagReader(source) as reader, BagWriter(folder) as bag:
        for name, topic in reader.topics.items():
            bag.add_topic(name, topic.type)
        for message in reader.raw():
            bad = count[message.topic] in topics.get(message.topic, ())
            count[message.topic] += 1
            bag.write(message.topic, message.log_ns, message.data[: len(message.data) // 2] if bad else message.data)
    return folder


def test_messages_that_cannot_be_decoded_are_skipped_and_counted_by_topic(tmp_path: Path, messages: Messages) -> None:
    bag = spoilt(tmp_path / "bag", messages, {"/camera/image_raw": {3, 4}, "/cmd_vel": {0, 7, 9}, "/instruction": {0}})
    with BagReader(bag) as reader:
        events = list(reader.events(find_roles(reader.topics.values())))
        assert reader.damage is None
        said = reader.undecodable
    frames = [event for event in events if isinstance(event, BagFrame)]
    assert [frame.data[0] for frame in frames] == [i for i in range(20) if i not in (3, 4)]
    assert len([event for event in events if isinstance(event, BagCommand)]) == 17
    assert dict(said.skipped) == {"/camera/image_raw": 2, "/cmd_vel": 3, "/instruction": 1}
    assert said.all_of("/instruction")
    assert not said.all_of("/cmd_vel")
    assert not said.all_of(None)
    camera, command, instruction = said.message.split("; ")
    assert camera.startswith(
        "2 of 20 messages on /camera/image_raw cannot be decoded (the first at 0.3 s: not a sensor"
    )
    assert command.startswith("3 of 20 messages on /cmd_vel cannot be decoded (the first at 0.0 s: not a geometry_msgs")
    assert instruction.startswith("none of 1 messages on /instruction can be decoded (the first at 0.0 s: not a std_")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e308, -2e4])
def test_a_command_with_an_impossible_speed_is_skipped(tmp_path: Path, messages: Messages, number: float) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/cmd_vel", "geometry_msgs/msg/Twist")
        for index, linear in enumerate((0.1, number, 0.2)):
            bag.write("/cmd_vel", START_NS + index, messages.command(linear, 0.0))
    with BagReader(tmp_path / "bag") as reader:
        commands = list(reader.events(find_roles(reader.topics.values())))
        assert [command.linear_mps for command in commands if isinstance(command, BagCommand)] == [0.1, 0.2]
        assert "its speeds are" in reader.undecodable.about("/cmd_vel")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_decoded_or_refused(data: st.DataObject) -> None:
    """Whatever is on a topic: tuples of its role, or `DecodeError`."""
    kinds = {
        "image": "sensor_msgs/msg/Image",
        "command": "geometry_msgs/msg/TwistStamped",
        "instruction": "std_msgs/msg/String",
        "mode": "diagnostic_msgs/msg/DiagnosticStatus",
        "scan": "sensor_msgs/msg/LaserScan",
        "diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    }
    role = data.draw(st.sampled_from(sorted(kinds)))
    content = data.draw(st.binary(max_size=200).map(lambda rest: bytes((0, 1, 0, 0)) + rest) | st.binary(max_size=200))
    message = RawMessage("/topic", kinds[role], START_NS, content)
    with contextlib.suppress(DecodeError):
        decode(role, message, False, standard_types().deserialize_cdr)
