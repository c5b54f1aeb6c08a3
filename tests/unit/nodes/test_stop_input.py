"""Reading the stop topic: every message, who said it where that is known, and a stop where one is missing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import Bool

from mobile_vla_nodes.stop_input import AHEAD, LOST, OVERRUN, Drained, StopInput
from mobile_vla_ros.topics import ESTOP

A, B = b"\x0a", b"\x0b"
DEPTH = ESTOP.requested.depth


class Handle(AbstractContextManager):
    """A subscription of the middleware that holds messages."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Any]] = []

    def __exit__(self, *_: object) -> None: ...

    def take_message(self, kind: type, raw: bool) -> tuple[bytes, Any] | None:
        return self.waiting.pop(0) if self.waiting else None


class FakeNode:
    """Makes subscriptions that the test fills, and knows who publishes."""

    def __init__(self) -> None:
        self.handles: list[Handle] = []
        self.publishers: list[Any] = []

    def create_subscription(self, kind: type, name: str, callback: object, qos: Any, **_: object) -> Any:
        self.handles.append(Handle())
        return SimpleNamespace(handle=self.handles[-1], msg_type=kind, raw=False, qos_profile=qos, topic_name=name)

    def get_logger(self) -> Any:
        return SimpleNamespace(error=lambda _: None)

    def get_publishers_info_by_topic(self, name: str) -> list[Any]:
        return self.publishers


class Bench:
    """A stop input with everything it tells."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.heard: list[tuple[str | None, bool, int]] = []
        self.doubts: list[str] = []
        self.stops = StopInput(self.node, lambda *said: self.heard.append(said), self.doubts.append)  # type: ignore[arg-type]

    def say(
        self, pressed: bool, writer: bytes | None = A, number: int | None = None, reader: int = 0, sent_ns: int = 1
    ) -> None:
        """On Kilted the middleware's word about a message has the writer and a number, before that it has not."""
        info = {"source_timestamp": sent_ns, "publication_sequence_number": number}
        if writer is not None:
            info["publisher_gid"] = {"implementation_identifier": "x", "data": writer}  # type: ignore[assignment]
        self.node.handles[reader].waiting.append((serialize_message(Bool(data=pressed)), info))


def test_every_message_is_told_with_its_writer_and_subscription() -> None:
    bench = Bench()
    assert len(bench.node.handles) == 3
    bench.say(True, A)
    bench.say(False, B)
    bench.say(True, A, reader=1)
    assert bench.stops.drain() == Drained(True, False)
    assert bench.heard == [("0a", True, 0), ("0b", False, 0), ("0a", True, 1)]
    assert bench.stops.drain() == Drained(False, False)


def test_before_kilted_nobody_knows_who_spoke_and_the_caller_must_look_who_is_there() -> None:
    bench = Bench()
    bench.say(True, None)
    assert bench.stops.drain() == Drained(True, False)
    bench.say(False, None, number=7)
    bench.say(False, None, number=99)
    assert bench.stops.drain() == Drained(False, True)
    assert bench.heard == [(None, True, 0), (None, False, 0), (None, False, 0)]
    assert bench.doubts == []


def test_a_full_queue_is_a_stop() -> None:
    bench = Bench()
    for _ in range(DEPTH - 1):
        bench.say(False)
    assert bench.stops.drain() == Drained(False, False)
    for _ in range(DEPTH):
        bench.say(False)
    assert bench.stops.drain() == Drained(True, False)
    assert bench.doubts == [OVERRUN]


@pytest.mark.parametrize("reader", [0, 1])
def test_a_missing_message_is_a_stop(reader: int) -> None:
    bench = Bench()
    for number in (5, 6, 7):
        bench.say(False, A, number, reader)
    bench.say(False, B, 1, reader)
    bench.say(False, A, 70, 1 - reader)  # the other subscription came later
    assert bench.stops.drain() == Drained(False, False)
    bench.say(False, A, 6, reader)  # said again when the writer was found again
    bench.say(False, A, 8, reader)
    assert bench.stops.drain() == Drained(False, False)
    bench.say(False, A, 10, reader)
    assert bench.stops.drain() == Drained(True, False)
    assert bench.doubts == [f"{LOST} a device that is new"]
    bench.node.publishers = [SimpleNamespace(endpoint_gid=list(A), node_namespace="/x", node_name="button")]
    bench.stops.writers()
    bench.say(False, A, 12, reader)
    bench.stops.drain()
    assert bench.doubts[1:] == [f"{LOST} /x/button"]


def test_a_writer_that_left_is_forgotten() -> None:
    bench = Bench()
    bench.say(False, A, 5)
    bench.stops.drain()
    bench.node.publishers = [SimpleNamespace(endpoint_gid=list(B), node_namespace="/x", node_name="button")]
    assert bench.stops.writers() == {"0b": "/x/button"}
    bench.say(False, A, 50)
    assert bench.stops.drain() == Drained(False, False)


def test_a_press_is_heard_however_often_the_same_bytes_came_before() -> None:
    bench = Bench()
    for pressed in (False, False, True, False, True):
        bench.say(pressed)
    assert bench.stops.drain() == Drained(True, False)
    assert [value for _, value, _ in bench.heard] == [False, False, True, False, True]


def test_bytes_that_are_no_message_are_a_stop_and_hide_nothing() -> None:
    bench = Bench()
    bench.node.handles[0].waiting.append((b"\x00\x01", {}))
    bench.say(True, A)
    assert bench.stops.drain() == Drained(True, False)
    assert bench.heard == [("0a", True, 0)]
    assert "stop input that cannot be read: Undecodable: 2 bytes that are no Bool" in bench.doubts[0]


def test_a_press_behind_a_missing_message_is_heard_and_can_be_released() -> None:
    """The reliable subscriptions hand on nothing behind message 2 until it is sent again."""
    bench = Bench()
    bench.say(False, A, 1)
    bench.say(True, A, 3, AHEAD)
    assert bench.stops.drain() == Drained(True, False)
    bench.say(False, A, 4, AHEAD)
    assert bench.stops.drain() == Drained(False, False)
    assert bench.heard == [("0a", False, 0), ("0a", True, AHEAD), ("0a", False, AHEAD)]
    assert bench.doubts == [], "what the third subscription misses may still come through the others"


def test_what_was_heard_ahead_counts_until_it_is_heard_in_its_order() -> None:
    """The release may be lost on the third subscription."""
    bench = Bench()
    bench.say(True, A, 3, AHEAD)
    bench.say(True, B, 9, AHEAD)
    bench.stops.drain()
    bench.heard.clear()
    for number, pressed in ((2, False), (3, True), (4, False)):
        bench.say(pressed, A, number)
    bench.stops.drain()
    assert bench.heard == [("0a", False, 0), ("0a", True, 0), ("0a", False, AHEAD), ("0a", False, 0)]


def test_what_was_heard_in_its_order_is_not_heard_again() -> None:
    bench = Bench()
    for reader in (1, AHEAD):
        bench.say(True, A, 7, reader)
        bench.say(False, A, 8, reader)
    assert bench.stops.drain() == Drained(True, False)
    assert bench.heard == [("0a", True, 1), ("0a", False, 1)]


def test_a_press_before_the_first_message_of_the_reliable_ones_is_heard_and_released() -> None:
    """They found the writer later."""
    bench = Bench()
    bench.say(False, A, 6)
    bench.say(True, A, 5, AHEAD)
    bench.say(False, A, 6, AHEAD)
    assert bench.stops.drain() == Drained(True, False)
    assert bench.heard == [("0a", False, 0), ("0a", True, AHEAD), ("0a", False, AHEAD)]


def test_before_kilted_what_was_heard_ahead_counts_until_a_later_message_comes_in_its_order() -> None:
    bench = Bench()
    bench.say(True, None, reader=AHEAD, sent_ns=30)
    assert bench.stops.drain() == Drained(True, False)
    bench.heard.clear()
    bench.say(False, None, sent_ns=20)
    bench.stops.drain()
    assert bench.heard == [(None, False, 0)]
    bench.say(False, None, sent_ns=40)
    bench.stops.drain()
    assert bench.heard[1:] == [(None, False, 0), (None, False, AHEAD)]


def test_bytes_that_are_no_message_behind_a_missing_one_are_a_stop() -> None:
    bench = Bench()
    bench.node.handles[AHEAD].waiting.append((b"\x00\x01", {}))
    assert bench.stops.drain() == Drained(True, False)
    assert "stop input that cannot be read" in bench.doubts[0]
