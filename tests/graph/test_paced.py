"""The executor that calls a tick directly: its phase, what it answers between ticks, what it looks at seldom."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from retried import retried
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from mobile_vla_nodes.paced import ALARM_PAUSE_NS, SELDOM_NS, PacedExecutor
from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.polled import NeverExecute, take

PERIOD_S = 0.1
MANY = QoSProfile(depth=200)
"""Of the requests that may wait: parameter services keep 1,000."""
SHARED = "the executor runs in this process, which gets its turn late on a busy machine"
BUSY_SLACK_S = 0.04  # this process shares two cores with everything else that runs


class Ticking(Node):
    """Notes when it ticks, and when a service is asked."""

    def __init__(self) -> None:
        super().__init__("ticking")
        self.period_s = PERIOD_S
        self.ticks: list[float] = []
        self.asked: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        self.answer_s = 0.0
        self.sleep_s = 0.0
        self.fails = False
        self.told: list[str] = []
        self.urgent = frozenset({self.create_service(Trigger, "urgent", self._answer("urgent"))})
        self.alarms = (self.create_subscription(Bool, "alarm", lambda _: None, 10, callback_group=NeverExecute()),)
        self.alarmed: list[float] = []
        self.create_service(Trigger, "seldom", self._answer("seldom"), qos_profile=MANY)

    def tick(self) -> None:
        self.ticks.append(time.monotonic())
        if self.sleep_s:
            time.sleep(self.sleep_s)
            self.sleep_s = 0.0
        if self.fails:
            raise ValueError("no tick")

    def between_ticks(self) -> None:
        pass

    def tick_failed(self, sentence: str) -> None:
        self.told.append(sentence)
        raise RuntimeError("no remedy either")

    def on_alarm(self) -> None:
        """Each message is noted when it is taken."""
        while take(self.alarms[0]) is not None:
            self.alarmed.append(time.monotonic())

    def _answer(self, name: str) -> Any:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self.asked[name] = time.monotonic()
            self.counts[name] += 1
            time.sleep(self.answer_s)
            return response

        return answer


@pytest.fixture
def ticking(graph: Any) -> Iterator[tuple[Ticking, PacedExecutor]]:
    """On the default context, as in a process of its own: the domain is the test's."""
    rclpy.init(domain_id=graph.domain_id)
    node, executor = Ticking(), PacedExecutor()
    executor.add_node(node)
    yield node, executor
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()


def spin(executor: PacedExecutor, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        executor.spin_once(0.1)


def test_ticks_keep_their_phase_and_a_late_one_is_not_caught_up(ticking: tuple[Ticking, PacedExecutor]) -> None:
    node, executor = ticking
    spin(executor, 1.0)
    assert len(node.ticks) == pytest.approx(10, abs=1)
    first = node.ticks[0]
    node.sleep_s = 3.5 * PERIOD_S
    spin(executor, 1.0)
    assert len(node.ticks) == pytest.approx(20 - 3, abs=2)
    lates = [(moment - first) % PERIOD_S for moment in node.ticks[1:]]
    off = sorted(min(late_s, PERIOD_S - late_s) for late_s in lates)
    assert off[len(off) // 2] < PERIOD_S / 5  # half a period, had the late one moved those after it


def test_urgent_services_wait_for_no_tick_and_the_others_not_long(
    graph: Any, ticking: tuple[Ticking, PacedExecutor]
) -> None:
    node, executor = ticking
    clients = {name: graph.node.create_client(Trigger, name) for name in ("urgent", "seldom")}
    end = time.monotonic() + 10
    while time.monotonic() < end and not all(client.service_is_ready() for client in clients.values()):
        spin(executor, 0.1)

    def ask() -> None:
        waits: dict[str, list[float]] = {"urgent": [], "seldom": []}
        for _ in range(5):
            for name, client in clients.items():
                del node.ticks[:]
                while not node.ticks:
                    executor.spin_once(0.1)
                asked = time.monotonic()  # just after a tick: the next one is a period away
                client.call_async(Trigger.Request())
                node.asked.pop(name, None)
                while name not in node.asked and time.monotonic() < asked + 5:
                    executor.spin_once(0.1)
                waits[name].append(node.asked[name] - asked)
        assert sorted(waits["urgent"])[2] < PERIOD_S / 2
        assert max(waits["seldom"]) < PERIOD_S + BUSY_SLACK_S

    retried(ask, SHARED)


def test_many_requests_are_served_between_two_ticks_and_make_none_late(
    graph: Any, ticking: tuple[Ticking, PacedExecutor]
) -> None:
    node, executor = ticking
    clients = {name: graph.node.create_client(Trigger, name, qos_profile=MANY) for name in ("urgent", "seldom")}
    device = graph.node.create_publisher(Bool, "alarm", 10)
    end = time.monotonic() + 10
    while time.monotonic() < end and not (
        device.get_subscription_count() and all(client.service_is_ready() for client in clients.values())
    ):
        spin(executor, 0.1)

    def burst() -> None:
        del node.ticks[:], node.alarmed[:]
        node.counts.clear()
        node.asked.pop("urgent", None)
        begun = time.monotonic()
        for _ in range(100):
            clients["seldom"].call_async(Trigger.Request())
        clients["urgent"].call_async(Trigger.Request())
        device.publish(Bool(data=True))
        while node.counts["seldom"] < 100 and time.monotonic() < begun + 10:
            executor.spin_once(0.1)
        assert time.monotonic() - begun < 1.5
        assert node.asked["urgent"] - begun < PERIOD_S
        assert node.alarmed[0] - begun < PERIOD_S
        assert max(after - before for before, after in pairwise([begun, *node.ticks])) < PERIOD_S + BUSY_SLACK_S

    retried(burst, SHARED)


def test_requests_that_make_a_tick_late_are_served_seldom(graph: Any, ticking: tuple[Ticking, PacedExecutor]) -> None:
    node, executor = ticking
    client = graph.node.create_client(Trigger, "seldom", qos_profile=MANY)
    end = time.monotonic() + 10
    while time.monotonic() < end and not client.service_is_ready():
        spin(executor, 0.1)
    node.answer_s = 1.5 * PERIOD_S
    for _ in range(20):
        client.call_async(Trigger.Request())
    del node.ticks[:]
    spin(executor, 2.0)
    assert 2 <= node.counts["seldom"] <= 2.0 / (SELDOM_NS / 1e9)


def test_a_tick_that_fails_is_told_to_the_node_and_the_next_one_comes(ticking: tuple[Ticking, PacedExecutor]) -> None:
    node, executor = ticking
    node.fails = True
    spin(executor, 5 * PERIOD_S)
    node.fails = False
    spin(executor, 2 * PERIOD_S)
    assert len(node.ticks) > len(node.told) >= 2
    assert node.told[0].startswith("ValueError: no tick")
    named = failures_of(node).values()
    assert set(named) == {"failed.tick.ValueError", "failed.tick.RuntimeError"}


def test_an_alarm_waits_for_no_tick_and_a_flood_of_them_moves_none(
    graph: Any, ticking: tuple[Ticking, PacedExecutor]
) -> None:
    node, executor = ticking
    device = graph.node.create_publisher(Bool, "alarm", 10)
    end = time.monotonic() + 10
    while time.monotonic() < end and not device.get_subscription_count():
        spin(executor, 0.1)

    def alarm() -> None:
        waits = []
        for _ in range(5):
            del node.ticks[:], node.alarmed[:]
            while not node.ticks:
                executor.spin_once(0.1)
            published = time.monotonic()  # just after a tick: the next one is a period away
            device.publish(Bool(data=True))
            while not node.alarmed and time.monotonic() < published + 5:
                executor.spin_once(0.1)
            waits.append(node.alarmed[0] - published)
        assert sorted(waits)[2] < PERIOD_S / 2

    retried(alarm, SHARED)

    def flood() -> None:
        del node.ticks[:], node.alarmed[:]
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            device.publish(Bool(data=False))
            executor.spin_once(0.001)
        assert len(node.ticks) == pytest.approx(10, abs=1)

    retried(flood, SHARED)
    rounds = 1 + sum(after - before > ALARM_PAUSE_NS / 1e9 for before, after in pairwise(node.alarmed))
    assert rounds <= 1.0 / (ALARM_PAUSE_NS / 1e9)
