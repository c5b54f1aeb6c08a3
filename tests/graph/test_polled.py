"""Polled subscriptions: what one poll may cost, and whose turn it is when that is used up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool, String

from mobile_vla_ros import qos
from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.polled import MOST_BYTES, PolledSubscriptions, unserved
from mobile_vla_ros.reusable_wait_set import ReusableWaitSet
from mobile_vla_ros.topics import Topic

COST_NS = 1_000_000


class Rig:
    """Two topics whose messages each cost a millisecond of a clock that this test keeps."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.node = Node("reader")
        self.used_ns = 0
        self.heard: list[str] = []
        self.inputs = PolledSubscriptions(self.node, lambda: self.used_ns)
        topics = {name: Topic(name, String, qos.EVENTS, qos.EVENTS, "for this test") for name in ("a", "b")}
        for topic in topics.values():
            self.inputs.add(topic, self.hear)
        self.publishers = {name: graph.publisher(topic) for name, topic in topics.items()}
        graph.wait(lambda: all(one.get_subscription_count() for one in self.publishers.values()), what="the reader")

    def hear(self, message: String) -> None:
        self.used_ns += COST_NS
        self.heard.append(message.data)

    def send(self, name: str, count: int) -> None:
        for number in range(count):
            self.publishers[name].publish(String(data=f"{name}{number}"))
        self.graph.spin(0.3)

    def poll(self, milliseconds: int) -> str:
        self.heard.clear()
        self.inputs.poll(milliseconds / 1e3)
        return " ".join(self.heard)


@pytest.fixture
def rig(graph: Any) -> Iterator[Rig]:
    rclpy.init(domain_id=graph.domain_id)
    made = Rig(graph)
    yield made
    made.node.destroy_node()
    rclpy.shutdown()


def test_topics_take_turns_within_the_time(rig: Rig) -> None:
    for name in ("a", "b"):
        rig.send(name, 3)
    assert rig.poll(2) == "a0 a1"
    assert rig.poll(2) == "a2 b0"
    rig.send("a", 3)
    assert rig.poll(3) == "b1 b2 a0", "the one whose turn it was goes on first"
    assert rig.inputs.cut_short == 3
    assert rig.poll(100) == "a1 a2"
    assert rig.inputs.cut_short == 3


def test_a_message_behind_a_missing_one_is_heard_at_once_and_once(rig: Rig) -> None:
    """The middleware throws a message without a byte away and waits for it; the next writer has none."""
    subscribed = rig.inputs.add_at_once(
        Topic("c", String, qos.LATCHED, qos.SENTENCE, "", qos.volatile(qos.SENTENCE)), rig.hear
    )
    assert (len(subscribed.matching), len(subscribed.beside)) == (2, 1)
    for name in ("first", "second"):
        publisher = rig.graph.node.create_publisher(String, "c", qos.SENTENCE)
        rig.graph.wait(lambda: publisher.get_subscription_count() == 3, what="the reader")  # noqa: B023
        rig.graph.spin(0.5)
        if name == "first":
            publisher.publish(b"")
        publisher.publish(String(data=name))
        publisher.publish(String(data="again"))
        rig.graph.spin(0.3)
        assert rig.poll(100) == f"{name} again"
    rig.inputs.remove(*subscribed.matching, *subscribed.beside)
    assert len(rig.inputs.subscriptions) == 2


def test_a_message_too_large_to_decode_in_a_tick_is_refused_by_name(rig: Rig) -> None:
    scans: list[LaserScan] = []
    topic = Topic("scan", LaserScan, qos.EVENTS, qos.EVENTS, "for this test")
    rig.inputs.add(topic, scans.append)
    publisher = rig.graph.publisher(topic)
    rig.graph.wait(publisher.get_subscription_count, what="the reader")
    publisher.publish(LaserScan(ranges=[1.0] * (MOST_BYTES // 4)))
    publisher.publish(LaserScan(ranges=[1.0] * 3600, intensities=[1.0] * 3600))
    rig.graph.spin(0.3)
    rig.inputs.poll()
    assert [len(scan.ranges) for scan in scans] == [3600]
    assert "more than the 32768" in failures_of(rig.node).values()["failed./scan.Undecodable"]


def test_a_publisher_that_does_not_match_ends_no_wait(rig: Rig) -> None:
    """Its event is taken by nobody: with an event handler every wait would end at once, in a loop that never rests."""
    rig.node.create_publisher(Bool, "stop", qos.NEWEST_RELIABLE)
    subscription = rig.node.create_subscription(Bool, "stop", lambda _: None, qos.LATCHED, **unserved())
    wait = ReusableWaitSet(rig.node.context, [subscription])
    end = time.monotonic() + 10.0
    while not rig.node.count_publishers("stop") and time.monotonic() < end:
        wait.ready(0.05)
    wait.ready(0.5)  # whatever matching itself wakes
    before = time.monotonic()
    assert wait.ready(0.3) == set()
    assert time.monotonic() - before > 0.25
