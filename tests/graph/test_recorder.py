"""The recorder as a process on real DDS: what was published is what the bag says, whatever happens to the disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from std_msgs.msg import Bool, String

from mobile_vla.bags.reader import BagReader
from mobile_vla.bags.recover import recover
from mobile_vla_ros.topics import CMD_VEL, CONTROLLER_STATE, DIAGNOSTICS, ESTOP, INSTRUCTION, RECORDER_SAVE, TELEOP_JOY

pytestmark = pytest.mark.slow
MODULE = "mobile_vla_nodes.recorder"


def started(graph: Any, parameters: dict[str, Any]) -> Any:
    process = graph.start(MODULE, "recorder", parameters)
    graph.wait(lambda: graph.node.count_subscribers("/teleop/joy") == 1, what="the recorder's subscription")
    return process


def status_of(received: list[Any]) -> DiagnosticStatus | None:
    mine = [status for array in received for status in array.status if status.name == "/recorder"]
    return mine[-1] if mine else None


def publish_commands(graph: Any, count: int) -> list[TwistStamped]:
    """Publish stamped commands on teleop/joy."""
    publisher = graph.publisher(TELEOP_JOY)
    graph.wait(lambda: publisher.get_subscription_count() == 1, what="the match")
    graph.spin(0.3)  # the other side of the match: the contract keeps one message only, so an early one would be lost
    sent = []
    for index in range(count):
        message = TwistStamped()
        message.header.stamp.sec = index
        message.header.frame_id = "base"
        message.twist.linear.x = index / 7
        publisher.publish(message)
        sent.append(message)
        graph.spin(0.05)  # the recorder's turn comes late on a busy machine, and one message is kept for it
    return sent


def as_commands(data: Iterable[bytes]) -> list[TwistStamped]:
    return [deserialize_message(one, TwistStamped) for one in data]  # padding bytes differ, values must not


def end(process: Any, number: int = signal.SIGTERM) -> int:
    os.kill(process.pid, number)
    return process.wait(20.0)


def test_bytes_arrive_unchanged_and_sigterm_completes_the_bag(graph: Any, tmp_path: Path) -> None:
    process = started(graph, {"out_dir": str(tmp_path), "name": "bag"})
    instruction = graph.publisher(INSTRUCTION)
    instruction.publish(String(data="go to the red cone"))
    command = graph.publisher(CMD_VEL)
    graph.wait(lambda: command.get_subscription_count() == 1, what="discovery of cmd_vel's type")
    command.publish(Twist())
    sent = publish_commands(graph, 50)
    graph.spin(0.3)
    assert end(process) == 0
    with AnyReader([tmp_path / "bag"]) as reader:
        read = [(connection.topic, bytes(data)) for connection, _, data in reader.messages()]
    assert as_commands(data for topic, data in read if topic == "/teleop/joy") == sent
    assert [deserialize_message(data, Twist) for topic, data in read if topic == "/cmd_vel"] == [Twist()]
    texts = [deserialize_message(data, String).data for topic, data in read if topic == "/instruction"]
    assert texts == ["go to the red cone"]
    with BagReader(tmp_path / "bag") as bag:
        assert bag.topics["/instruction"].qos.durability == "transient_local"
        assert bag.topics["/cmd_vel"].type == "geometry_msgs/msg/Twist"


@pytest.mark.parametrize("name", [ESTOP.name, "siren"])
def test_volatile_and_transient_local_publishers_of_one_topic_are_recorded_once_each(
    graph: Any, tmp_path: Path, name: str
) -> None:
    """`siren` is not in the contract: how it is read is asked from its publishers."""
    latched, volatile = (
        graph.node.create_publisher(Bool, name, QoSProfile(depth=1, durability=durability))
        for durability in (DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE)
    )
    latched.publish(Bool(data=True))  # before the recorder is there
    process = started(graph, {"out_dir": str(tmp_path), "name": "bag", "topics": ["teleop/joy", name]})
    graph.wait(lambda: volatile.get_subscription_count() >= 1, what="the match of the volatile publisher")
    graph.spin(0.5)  # the other sides of the matches, and what is latched
    for publisher, pressed in (
        (volatile, True),
        (latched, True),
        (latched, False),
        (volatile, False),
        (latched, False),
    ):
        publisher.publish(Bool(data=pressed))
        graph.spin(0.2)
    assert end(process) == 0
    with BagReader(tmp_path / "bag") as bag:
        values = [deserialize_message(message.data, Bool).data for message in bag.raw([f"/{name}"])]
        assert values == [True, True, True, False, False, False]
        topic = bag.topics[f"/{name}"]
        assert topic.qos is not None
        assert topic.qos.durability == "transient_local"


def test_episodes_are_marked(graph: Any, tmp_path: Path) -> None:
    topics = ["teleop/joy", "instruction", "controller/state"]
    process = started(graph, {"out_dir": str(tmp_path), "name": "bag", "topics": topics})
    instruction, state = graph.publisher(INSTRUCTION), graph.publisher(CONTROLLER_STATE)

    def mode(name: str) -> None:
        state.publish(DiagnosticStatus(values=[KeyValue(key="mode", value=name)]))
        graph.spin(0.2)

    instruction.publish(String(data="first"))
    graph.spin(0.3)
    for name in ("disarmed", "hold", "autonomy", "estop"):
        mode(name)
    mode("autonomy")
    instruction.publish(String(data="second"))
    graph.spin(0.2)
    assert end(process) == 0
    with BagReader(tmp_path / "bag") as bag:
        marks = [bag.message(message.data, message.type) for message in bag.raw(["/recorder/episode"])]
    told = [(mark.message, {pair.key: pair.value for pair in mark.values}) for mark in marks]
    assert [(kind, values["instruction"], values.get("outcome")) for kind, values in told] == [
        ("begin", "first", None),
        ("end", "first", "estop"),
        ("begin", "first", None),
        ("end", "first", "new instruction"),
        ("begin", "second", None),
        ("end", "second", "recording ended"),
    ]


def test_ring_buffer_saves_only_the_newest_seconds(graph: Any, tmp_path: Path) -> None:
    process = started(graph, {"out_dir": str(tmp_path), "name": "bag", "continuous": False, "ring_s": 1.0})
    refused = graph.call(RECORDER_SAVE)
    assert not refused.success
    assert "empty" in refused.message
    graph.publisher(INSTRUCTION).publish(String(data="kept, because it still holds"))
    graph.spin(0.3)
    publish_commands(graph, 5)
    graph.spin(1.5)
    newest = publish_commands(graph, 5)
    graph.spin(0.2)
    answer = graph.call(RECORDER_SAVE)
    assert answer.success, answer.message
    assert answer.message.startswith("saving ")
    graph.wait(lambda: f"saved {tmp_path / 'bag'}: " in process.output(), what="the end of the save")
    assert process.output().count("nothing to save") >= 1  # what is answered is also logged, refused or not
    with BagReader(tmp_path / "bag") as bag:
        assert as_commands(message.data for message in bag.raw(["/teleop/joy"])) == newest
        assert bag.topics["/instruction"].messages == 1
    assert end(process, signal.SIGINT) == 0


def test_a_folder_that_cannot_be_written_is_said_and_nothing_else_breaks(graph: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    diagnostics = graph.listen(DIAGNOSTICS)
    process = started(graph, {"out_dir": str(tmp_path / "file"), "name": "bag"})
    publish_commands(graph, 3)
    status = graph.wait(lambda: (found := status_of(diagnostics)) and found.level == DiagnosticStatus.ERROR and found)
    assert "cannot record into" in status.message
    assert {pair.key: pair.value for pair in status.values}["dropped"] != "0"
    assert process.returncode is None
    assert end(process) == 0


def test_a_disk_that_runs_full_ends_the_bag_properly(graph: Any, tmp_path: Path) -> None:
    diagnostics = graph.listen(DIAGNOSTICS)
    process = started(graph, {"out_dir": str(tmp_path), "name": "bag", "min_free_mb": 1_000_000})
    publish_commands(graph, 3)
    status = graph.wait(lambda: (found := status_of(diagnostics)) and "MB left" in found.message and found)
    assert status.level == DiagnosticStatus.ERROR
    assert (tmp_path / "bag" / "metadata.yaml").exists()
    with BagReader(tmp_path / "bag") as bag:
        assert bag.damage is None
    assert end(process) == 0


def test_sigkill_leaves_a_bag_that_can_be_recovered(graph: Any, tmp_path: Path) -> None:
    process = started(graph, {"out_dir": str(tmp_path), "name": "bag", "flush_s": 0.2})
    sent = publish_commands(graph, 20)
    graph.spin(1.0)
    process.kill()
    again = graph.start(MODULE, "recorder", {"out_dir": str(tmp_path), "name": "bag"})
    graph.wait((tmp_path / "bag-2.recording").exists, what="the bag of the restarted recorder")
    path, count, _ = recover(tmp_path / "bag.recording")
    assert (path, count >= len(sent)) == (tmp_path / "bag", True)
    with BagReader(path) as bag:
        assert as_commands(message.data for message in bag.raw(["/teleop/joy"])) == sent
    assert end(again) == 0


def test_an_existing_bag_is_refused_in_one_sentence(graph: Any, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    process = graph.start(MODULE, "recorder", {"out_dir": str(tmp_path), "name": "bag"})
    graph.wait(lambda: process.returncode is not None, what="the end of the process")
    assert process.returncode == 2
    assert f"{tmp_path / 'bag'} exists already; choose another name or remove it" in process.output()
