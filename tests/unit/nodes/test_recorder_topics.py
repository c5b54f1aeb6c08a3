"""How the recorder asks for a topic, and each message once where two readers hear it."""

from __future__ import annotations

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from mobile_vla.bags.types import Qos
from mobile_vla_nodes.recorder_topics import QUEUE_DEPTH, HeardOnce, described, requests
from mobile_vla_ros import qos

VOLATILE, LATCHED = qos.NEWEST_RELIABLE, qos.LATCHED
TWIST, IMAGE = "geometry_msgs/msg/Twist", "sensor_msgs/msg/Image"


@pytest.mark.parametrize(
    ("contract", "publishers", "durability"),
    [
        (None, [], "volatile"),
        (LATCHED, [], "transient_local"),
        (LATCHED, [VOLATILE], "transient_local"),
        (VOLATILE, [VOLATILE], "volatile"),
        (VOLATILE, [VOLATILE, LATCHED], "transient_local"),
        (None, [LATCHED, VOLATILE], "transient_local"),
        (None, [VOLATILE, LATCHED], "transient_local"),
    ],
)
def test_transient_local_where_the_contract_or_any_publisher_is(
    contract: QoSProfile | None, publishers: list[QoSProfile], durability: str
) -> None:
    assert described(contract, publishers).durability == durability


@pytest.mark.parametrize(
    ("publishers", "reliability"),
    [
        ([], "reliable"),
        ([VOLATILE, VOLATILE], "reliable"),
        ([VOLATILE, qos.SENSOR], "best_effort"),
        ([qos.SENSOR, VOLATILE], "best_effort"),
    ],
)
def test_best_effort_where_any_publisher_is(publishers: list[QoSProfile], reliability: str) -> None:
    assert described(VOLATILE, publishers).reliability == reliability


def asked(offered: Qos, kind: str = TWIST) -> list[tuple[ReliabilityPolicy, DurabilityPolicy]]:
    return [(request.reliability, request.durability) for request in requests(offered, kind)]


def test_a_transient_local_topic_is_asked_for_twice() -> None:
    reliable, best_effort = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
    volatile, latched = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
    assert asked(Qos()) == [(reliable, volatile)]
    assert asked(Qos(durability="transient_local")) == [(reliable, volatile), (reliable, latched)]
    assert asked(Qos("best_effort", "transient_local")) == [(best_effort, volatile), (reliable, latched)]


def test_images_are_asked_for_best_effort_and_once() -> None:
    best_effort = (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
    assert asked(Qos(durability="transient_local"), IMAGE) == [best_effort]


def test_a_message_that_both_readers_hear_counts_once() -> None:
    once = HeardOnce()
    assert once.is_new(0, 5, b"a")
    assert not once.is_new(1, 5, b"a")
    assert once.is_new(1, 6, b"b")  # in the other order
    assert not once.is_new(0, 6, b"b")


def test_equal_bytes_that_were_sent_at_other_times_are_other_messages() -> None:
    once = HeardOnce()
    assert once.is_new(1, 1, b"a")  # latched before the recorder came: one reader hears it
    assert [once.is_new(0, sent_ns, b"a") for sent_ns in (2, 3)] == [True, True]
    assert [once.is_new(1, sent_ns, b"a") for sent_ns in (2, 3)] == [False, False]


def test_without_times_each_message_is_matched_by_its_bytes_once() -> None:
    once = HeardOnce()
    assert [once.is_new(0, 0, b"a") for _ in range(2)] == [True, True]
    assert [once.is_new(1, 0, b"a") for _ in range(3)] == [False, False, True]


def test_two_full_queues_are_matched() -> None:
    """The volatile reader can be two queues ahead: one taken before, one after the other reader's turn."""
    once = HeardOnce()
    sent = range(2 * QUEUE_DEPTH)
    assert all(once.is_new(0, number, b"a") for number in sent)
    assert not any(once.is_new(1, number, b"a") for number in sent)
