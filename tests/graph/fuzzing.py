"""Fuzzed messages, requests and bytes for every topic and service of a running node."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from builtin_interfaces.msg import Time
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message

from mobile_vla_ros.qos import NEWEST_RELIABLE

BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
WORDS = ("", "diff", "omni", "released", "rgb8", "bgr8", "mono8", "16UC1", "32FC1", "jpeg", "drive", "nan", "x" * 5000)
SIZES = (0, 1, 2, 3, 4, 8, 16, 99)
ANSWER_S = 0.3
REMEMBERED = 15
AT_ONCE = 20
OVERRUN_S = 30.0
"""An attack ends this long after its time at the latest: AT_ONCE requests that nobody answers take 6 s."""
HEARD_BY_ALL = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def named(kind: str, part: str) -> Any:
    """The class of `package/msg/Name` or `package/Name`."""
    names = kind.split("/")
    return getattr(import_module(f"{names[0]}.{part}"), names[-1])


def whole_numbers(low: int, high: int) -> st.SearchStrategy[int]:
    edges = [value for value in (*SIZES, -1, low, high) if low <= value <= high]
    return st.one_of(st.sampled_from(edges), st.integers(low, high))


def texts(words: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(words), st.text(st.characters(exclude_categories=("Cs",)), max_size=8))


def stamps() -> st.SearchStrategy[Any]:
    now = st.builds(lambda _: Time(sec=int(time.time()), nanosec=time.time_ns() % 10**9), st.none())
    return st.one_of(now, st.builds(Time, sec=whole_numbers(-(2**31), 2**31 - 1), nanosec=whole_numbers(0, 2**32 - 1)))


def values(kind: str, words: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """What a field of this type can hold."""
    if match := re.fullmatch(r"sequence<(.+?)(?:, (\d+))?>", kind):
        return sequences(match[1], int(match[2]) if match[2] else None, words)
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        element, count = values(match[1], words), int(match[2])
        return st.builds(lambda one, other: [one] * (count - 1) + [other], element, element)
    if kind == "builtin_interfaces/Time":
        return stamps()
    primitive = primitives(kind, words)
    return messages(named(kind, "msg"), words) if primitive is None else primitive


def sequences(kind: str, most: int | None, words: tuple[str, ...]) -> st.SearchStrategy[Any]:
    element = values(kind, words)
    short = st.lists(element, max_size=min(most or 6, 6))
    if most is not None or kind not in ("float", "double", "uint8"):
        return short
    return st.one_of(short, st.builds(lambda one, count: [one] * count, element, st.sampled_from((360, 5000))))


def primitives(kind: str, words: tuple[str, ...]) -> st.SearchStrategy[Any] | None:
    if kind.startswith("string"):
        return texts(words)
    bits = BITS.get(kind.removeprefix("u"))
    if bits is not None:
        return (
            whole_numbers(0, 2**bits - 1) if kind[0] == "u" else whole_numbers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
    return {
        "float": st.floats(width=32),
        "double": st.floats(),
        "boolean": st.booleans(),
        "octet": st.integers(0, 255).map(lambda value: bytes([value])),
    }.get(kind)


def messages(message_class: Any, words: tuple[str, ...] = WORDS) -> st.SearchStrategy[Any]:
    """Messages of a type with anything in their fields."""
    fields = message_class.get_fields_and_field_types()
    return st.builds(message_class, **{name: values(kind, words) for name, kind in fields.items()})


@st.composite
def on_the_wire(draw: st.DrawFn, message_class: Any) -> bytes:
    """A message as bytes; one in three is cut off, changed, or no message at all."""
    how = draw(st.sampled_from(("whole", "whole", "whole", "whole", "cut", "changed", "noise")))
    if how == "noise":
        return draw(st.one_of(st.binary(max_size=64), st.binary(max_size=64).map(lambda tail: b"\0\1\0\0" + tail)))
    data = bytearray(serialize_message(draw(messages(message_class))))
    if how == "cut":
        del data[draw(st.integers(0, len(data) - 1)) :]
    elif how == "changed":
        for _ in range(draw(st.integers(1, 4))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


class Target:
    """One running node, attacked through everything that the graph says it listens to."""

    def __init__(self, graph: Any, name: str, leave_out: tuple[str, ...] = (), words: tuple[str, ...] = ()) -> None:
        self.graph = graph
        self.sent: deque[str] = deque(maxlen=REMEMBERED)
        node = graph.node
        graph.wait(lambda: name in node.get_node_names(), what=f"the node {name}")
        graph.wait(lambda: node.get_service_names_and_types_by_node(name, "/"), what=f"services of {name}")
        graph.spin(1.0)
        topics = dict(node.get_subscriber_names_and_types_by_node(name, "/"))
        services = dict(node.get_service_names_and_types_by_node(name, "/"))
        words = (*WORDS, *words)
        self._topics: list[tuple[str, Any, Any]] = []
        self._services: list[tuple[str, Any, Any]] = []
        for topic, (kind, *_) in topics.items():
            if topic not in leave_out:
                message_class = named(kind, "msg")
                publisher = node.create_publisher(message_class, topic, HEARD_BY_ALL)
                self._topics.append((topic, publisher, on_the_wire(message_class)))
        for service, (kind, *_) in services.items():
            if service not in leave_out:
                service_class = named(kind, "srv")
                client = node.create_client(service_class, service)
                self._services.append((service, client, messages(service_class.Request, words)))
        self.names = [name for name, *_ in (*self._topics, *self._services)]

    def attack(self, data: st.DataObject) -> None:
        """One message or request."""
        if self._topics and data.draw(st.integers(0, 2)):
            topic, publisher, wire = data.draw(st.sampled_from(self._topics))
            content = data.draw(wire)
            with suppress(rclpy_implementation.RCLError):  # the sender's own queue is full
                self._publish(topic, publisher, content)
            self.graph.spin(0.0005)
            return
        service, client, requests = data.draw(st.sampled_from(self._services))
        request = data.draw(requests)
        self.sent.append(f"{service} {str(request)[:300]}")
        future = client.call_async(request)
        end = time.monotonic() + ANSWER_S
        while not future.done() and time.monotonic() < end:
            self.graph.spin(0.005)
        client.remove_pending_request(future)

    def send(self, topic: str, content: bytes) -> None:
        """These bytes, for certain: by a writer that has sent nothing before.

        The middleware throws a message without a byte away, waits for it, and hands on nothing of the same writer until
        ten more push it out of the writer's queue. The attack may have sent one.
        """
        kind = {name: publisher.msg_type for name, publisher, _ in self._topics}[topic]
        publisher = self.graph.node.create_publisher(kind, topic, NEWEST_RELIABLE)
        self.graph.wait(publisher.get_subscription_count, what=f"the reader of {topic}")
        self._publish(topic, publisher, content)

    def _publish(self, topic: str, publisher: Any, content: bytes) -> None:
        self.sent.append(f"{topic} {content[:300]!r}")
        publisher.publish(content)


def fuzz(target: Target, seconds: float, also: Callable[[], None] = lambda: None) -> int:
    """Attack for a time; how often it was. `also` is called after each time and may fail, as does a late end."""
    end = time.monotonic() + seconds
    done = 0

    @settings(
        max_examples=AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        nonlocal done
        target.attack(data)
        done += 1
        also()

    while time.monotonic() < end:
        attack()
    late_s = time.monotonic() - end
    assert late_s < OVERRUN_S, f"the attack ended {late_s:.1f} s late; last sent: {target.sent[-1]}"
    return done
