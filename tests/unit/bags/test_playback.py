"""When messages are due, which are left out, and how stamps move."""

from __future__ import annotations

from pathlib import Path

import pytest
from bag_making import COMMAND_DELAY_NS, FRAME_NS, START_NS, Messages

from mobile_vla.bags import cdr
from mobile_vla.bags.config import ReplayConfig
from mobile_vla.bags.playback import Playback, has_header, shifted
from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.writer import BagWriter
from mobile_vla.config import ConfigError
from mobile_vla.errors import UserError


def test_original_timing_and_rate(drive: Path) -> None:
    with BagReader(drive) as reader:
        for rate in (1.0, 4.0):
            playback = Playback(reader, ReplayConfig(bag=str(drive), rate=rate))
            frames = [due for due in playback.messages() if due.published == "/camera/image_raw"]
            assert [due.after_ns for due in frames] == [int(i * FRAME_NS / rate) for i in range(20)]


def test_the_command_topic_is_only_replayed_on_request(drive: Path) -> None:
    with BagReader(drive) as reader:
        playback = Playback(reader, ReplayConfig(bag=str(drive)))
        assert {due.published for due in playback.messages()} == {"/camera/image_raw", "/instruction"}
        assert playback.left_out == ["/cmd_vel"]
        asked = Playback(reader, ReplayConfig(bag=str(drive), topics=("cmd_vel",), remaps=("cmd_vel:=/shadow",)))
        assert {due.published for due in asked.messages()} == {"/shadow"}


def test_a_part_of_the_bag(drive: Path) -> None:
    with BagReader(drive) as reader:
        playback = Playback(reader, ReplayConfig(bag=str(drive), topics=("cmd_vel",), start_s=0.5, end_s=1.0))
        due = list(playback.messages())
        assert [one.after_ns for one in due] == [i * FRAME_NS + COMMAND_DELAY_NS for i in range(5)]
        assert playback.bag_time_ns(0) == START_NS + 500_000_000
        assert playback.duration_s == 0.5
        assert Playback(reader, ReplayConfig(bag=str(drive), end_s=99.0)).duration_s == reader.duration_s
        with pytest.raises(UserError, match=r"start_s 60 is behind the end of the bag \(1\.9 s\)"):
            Playback(reader, ReplayConfig(bag=str(drive), start_s=60.0))
        with pytest.raises(UserError, match=r"no messages on /cmd_ve; did you mean '/cmd_vel'"):
            Playback(reader, ReplayConfig(bag=str(drive), topics=("cmd_ve",)))


def test_stamps_move_with_the_clock_and_keep_their_distance(drive: Path) -> None:
    now_ns = START_NS + 3_600_000_000_000
    with BagReader(drive) as reader:
        playback = Playback(reader, ReplayConfig(bag=str(drive), restamp=True))
        frames = [due for due in playback.messages(now_ns) if due.published == "/camera/image_raw"]
    stamps = [cdr.image("", 0, due.message.data).stamp_ns for due in frames]
    assert stamps == [now_ns + i * FRAME_NS for i in range(20)]


def test_shifting_changes_nothing_else(messages: Messages) -> None:
    data = messages.stamped(START_NS, 0.25, -0.5)
    moved, frame_id = cdr.twist_stamped("", 0, shifted(data, -1_500_000_001))
    assert (moved.stamp_ns, moved.linear_mps, moved.angular_radps, frame_id) == (
        START_NS - 1_500_000_001,
        0.25,
        -0.5,
        "diff",
    )
    unstamped = messages.stamped(0, 0.25, -0.5)
    assert shifted(unstamped, 10**9) == unstamped


def test_types_with_a_header() -> None:
    assert has_header("sensor_msgs/msg/Image")
    assert has_header("geometry_msgs/msg/TwistStamped")
    assert not has_header("geometry_msgs/msg/Twist")
    assert not has_header("my_robot/msg/Own")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"start_s": 5.0, "end_s": 5.0}, "end_s must be later than start_s"),
        ({"remaps": ("a",)}, "recorded:=published"),
        ({"clock": True, "restamp": True}, "exclude each other"),
    ],
)
def test_contradictions(values: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ReplayConfig(bag="x", **values)


def test_what_cannot_be_decoded_is_not_published(tmp_path: Path, messages: Messages) -> None:
    """A live subscriber may die of such a message. A type that nothing explains goes out as it is."""
    with BagWriter(tmp_path / "bag") as bag:
        for name, kind in (("/instruction", "std_msgs/msg/String"), ("/own", "own_msgs/msg/Unknown")):
            bag.add_topic(name, kind)
        for index, text in enumerate(("one", "two", "three")):
            data = messages.text(text)
            bag.write("/instruction", START_NS + index, data[:6] if text == "two" else data)
        bag.write("/own", START_NS + 9, b"whatever")
    with BagReader(tmp_path / "bag") as reader:
        playback = Playback(reader, ReplayConfig(bag=str(tmp_path / "bag")))
        for _ in range(2):  # counted anew in each pass
            sent = [(due.published, due.message.data) for due in playback.messages()]
            assert [name for name, _ in sent] == ["/instruction", "/instruction", "/own"]
            assert dict(playback.undecodable.skipped) == {"/instruction": 1}


def test_a_bag_without_a_readable_message_is_an_error(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as bag:
        bag.add_topic("/instruction", "std_msgs/msg/String")
        bag.write("/instruction", START_NS, b"")
    with BagReader(tmp_path / "bag") as reader:
        playback = Playback(reader, ReplayConfig(bag=str(tmp_path / "bag"), loop=True))
        with pytest.raises(
            UserError, match=r"bag: none of 1 messages on /instruction can be decoded .*choose other top"
        ):
            list(playback.messages())
