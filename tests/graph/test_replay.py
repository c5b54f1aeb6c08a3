"""A bag into the graph and into a bag again: the same messages, in the same order, about as far apart."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_making import START_NS, Messages, write_drive
from foreign_bags import Topic, drive_topics, service_events, write_folder

from mobile_vla.bags.reader import BagReader
from mobile_vla_ros.topics import CAMERA_IMAGE, CLOCK

pytestmark = pytest.mark.slow


def content(bag: Path, topic: str) -> list[tuple[int, bytes]]:
    with BagReader(bag) as reader:
        # DDS fills a message up to a multiple of four bytes; those bytes are not part of it
        return [(message.log_ns, message.data + bytes(-len(message.data) % 4)) for message in reader.raw([topic])]


def test_record_replay_record_is_the_identity(graph: Any, tmp_path: Path) -> None:
    first = write_drive(tmp_path / "first", Messages(), frames=30)
    recorder = graph.start("mobile_vla_nodes.recorder", "recorder", {"out_dir": str(tmp_path), "name": "second"})
    graph.wait(lambda: graph.node.count_subscribers("/camera/image_raw") == 1, what="the recorder")
    topics = ["camera/image_raw", "cmd_vel", "instruction"]
    replay = graph.start("mobile_vla_nodes.replay", "replay", {"bag": str(first), "topics": topics, "wait_s": 2.0})
    assert graph.wait(
        lambda: replay.returncode is not None and (replay.returncode,), 30.0, "the end of the replay"
    ) == (0,)
    graph.spin(0.3)
    recorder.send(signal.SIGTERM)
    assert recorder.wait(20.0) == 0
    for topic in ("/camera/image_raw", "/cmd_vel", "/instruction"):
        sent, received = content(first, topic), content(tmp_path / "second", topic)
        assert [data for _, data in received] == [data for _, data in sent]
        if len(sent) > 1:
            gaps = np.diff([log_ns for log_ns, _ in sent]) - np.diff([log_ns for log_ns, _ in received])
            assert np.median(np.abs(gaps)) < 20e6  # a busy machine delays single messages, not the median


def test_the_clock_is_the_bags(graph: Any, tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", Messages(), frames=20)
    clocks = graph.listen(CLOCK)
    process = graph.start("mobile_vla_nodes.replay", "replay", {"bag": str(bag), "clock": True, "rate": 2.0})
    graph.wait(lambda: process.returncode is not None, 30.0, "the end of the replay")
    assert process.returncode == 0
    times = [message.clock.sec * 10**9 + message.clock.nanosec for message in clocks]
    start_ns = content(bag, "/camera/image_raw")[0][0]
    assert len(times) > 20
    assert times == sorted(times)
    assert start_ns <= times[0]
    assert times[-1] <= start_ns + 2_000_000_000


def test_topics_that_cannot_be_published_are_left_out_by_name(graph: Any, tmp_path: Path) -> None:
    own = Topic("/wheels", "own_msgs/msg/Wheels", [(START_NS, b"\0\1\0\0\0")], "uint8 x")
    bag = write_folder(tmp_path / "bag", [*drive_topics(Messages()), service_events(), own])
    images = graph.listen(CAMERA_IMAGE)
    process = graph.start("mobile_vla_nodes.replay", "replay", {"bag": str(bag), "rate": 5.0})
    graph.wait(lambda: process.returncode is not None, 30.0, "the end of the replay")
    assert process.returncode == 0
    assert images
    assert "left out: /wheels is a own_msgs/msg/Wheels, which is not installed" in process.output()
    assert "left out: /add_two_ints/_service_event cannot be read: the definition of" in process.output()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["replay", "missing"], "there is no bag at missing"),
        (["replay", "missing", "--rate", "0"], "rate must be >= 0.01, got 0"),
        (["record", "--recover", "missing"], "--recover missing is not a folder"),
        (["record", "--storage", "zip"], "storage must be one of mcap, sqlite3, got 'zip'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from mobile_vla_cli import main; sys.exit(main())", *arguments]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
