"""No callback ends a process: each kind fails once, is named, and is served again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.serialization import serialize_message
from std_msgs.msg import String
from std_srvs.srv import SetBool

from mobile_vla.config import Config, param
from mobile_vla_ros import qos
from mobile_vla_ros.contained import MOST_PARAMETERS, ContainedExecutor
from mobile_vla_ros.failures import failures_of
from mobile_vla_ros.lifecycle import ContainedLifecycleNode
from mobile_vla_ros.parameters import Parameters
from mobile_vla_ros.polled import PolledSubscriptions
from mobile_vla_ros.topics import Topic

UNKNOWN_TYPE = 99
WORDS = Topic("words", String, qos.EVENTS, qos.EVENTS, "for these tests")
POSES = Topic("poses", TwistStamped, qos.EVENTS, qos.EVENTS, "for these tests")


class Clumsy(Node):
    """Fails on the word `bad`, wherever it comes from."""

    def __init__(self) -> None:
        super().__init__("clumsy")
        self.words: list[str] = []
        self.polled: list[Any] = []
        self.answers: list[bool] = []
        self.ticks = 0
        self.declare_parameter("number", 1)
        WORDS.subscription(self, lambda message: self.hear(message.data))
        self.inputs = PolledSubscriptions(self)
        self.inputs.add(POSES, self.take)
        self.create_service(SetBool, "judge", self.judge)
        self.client = self.create_client(SetBool, "judge")
        self.timer = self.create_timer(0.02, self.tick)

    def hear(self, word: str) -> None:
        if word == "bad":
            raise ValueError(word)
        self.words.append(word)

    def take(self, message: TwistStamped) -> None:
        self.hear(message.header.frame_id)

    def judge(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if not request.data:
            raise KeyError("bad")
        response.success = True
        return response

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == 2:
            raise ZeroDivisionError("bad")

    def answered(self, future: Any) -> None:
        self.answers.append(future.result().success)
        if not future.result().success:
            raise RuntimeError("bad answer")


class Graph:
    """Node and executor in this process, and what one needs to attack them."""

    def __init__(self, observer: Any) -> None:
        self.observer = observer
        self.node = Clumsy()
        self.executor = ContainedExecutor()
        self.executor.add_node(self.node)

    def until(self, condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, failures_of(self.node).values()
            self.executor.spin_once(0.02)
            self.observer.spin(0.0)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        client = self.observer.node.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(request)
        end = time.monotonic() + 20
        while not future.done():
            assert time.monotonic() < end, "no answer"
            self.executor.spin_once(0.02)
            self.observer.spin(0.01)
        return future.result()

    def named(self, where: str) -> str:
        return next((text for key, text in failures_of(self.node).values().items() if where in key), "")


@pytest.fixture
def clumsy(graph: Any) -> Iterator[Graph]:
    rclpy.init(domain_id=graph.domain_id)
    made = Graph(graph)
    yield made
    made.executor.shutdown()
    made.node.destroy_node()
    rclpy.shutdown()


def test_a_subscription_is_served_after_its_callback_failed(clumsy: Graph) -> None:
    publisher = clumsy.observer.publisher(WORDS)
    clumsy.until(lambda: publisher.get_subscription_count() > 0)
    publisher.publish(String(data="bad"))
    clumsy.until(lambda: clumsy.named("/words.ValueError").startswith("1 x ValueError: bad"))
    publisher.publish(String(data="good"))
    clumsy.until(lambda: clumsy.node.words == ["good"])


def test_bytes_that_are_no_message_are_named_and_the_next_one_is_heard(clumsy: Graph) -> None:
    publisher = clumsy.observer.publisher(WORDS)
    clumsy.until(lambda: publisher.get_subscription_count() > 0)
    publisher.publish(serialize_message(String(data="cut off"))[:9])
    clumsy.until(lambda: clumsy.named("/words.Undecodable"))
    publisher.publish(String(data="good"))
    clumsy.until(lambda: clumsy.node.words == ["good"])


def test_polled_messages_behind_a_bad_one_are_taken_in_the_same_poll(clumsy: Graph) -> None:
    publisher = clumsy.observer.publisher(POSES)
    clumsy.until(lambda: publisher.get_subscription_count() > 0)
    good = TwistStamped()
    good.header.frame_id = "good"
    bad = TwistStamped()
    bad.header.frame_id = "bad"
    for message in (serialize_message(good)[:20], bad, b"", good):
        publisher.publish(message)
    clumsy.observer.spin(0.3)
    clumsy.node.inputs.poll()
    assert clumsy.node.words == ["good"]
    assert clumsy.named("/poses.Undecodable").startswith("2 x Undecodable: ")
    assert clumsy.named("/poses.ValueError").startswith("1 x ValueError: bad")


def test_a_service_that_fails_answers_and_serves_the_next(clumsy: Graph) -> None:
    refused = clumsy.call(SetBool, "judge", SetBool.Request(data=False))
    assert not refused.success
    assert refused.message.startswith("KeyError: 'bad'")
    assert clumsy.named("service judge.KeyError")
    assert clumsy.call(SetBool, "judge", SetBool.Request(data=True)).success


def test_a_timer_goes_on(clumsy: Graph) -> None:
    clumsy.until(lambda: clumsy.node.ticks > 4)
    assert clumsy.named("timer tick.ZeroDivisionError").startswith("1 x ")


def test_an_answer_whose_callback_fails_is_one_failure(clumsy: Graph) -> None:
    clumsy.until(clumsy.node.client.service_is_ready)
    for data in (False, True):
        clumsy.node.client.call_async(SetBool.Request(data=data)).add_done_callback(clumsy.node.answered)
        clumsy.until(lambda: len(clumsy.node.answers) > int(data))  # noqa: B023
    assert clumsy.node.answers == [False, True]
    clumsy.until(lambda: "bad answer" in str(failures_of(clumsy.node).values()))


@pytest.mark.parametrize("kind", [SetParameters, SetParametersAtomically])
def test_a_parameter_of_an_unknown_type_is_refused(clumsy: Graph, kind: Any) -> None:
    good = Parameter(name="number", value=ParameterValue(type=2, integer_value=7))
    bad = Parameter(name="number", value=ParameterValue(type=UNKNOWN_TYPE))
    name = "clumsy/set_parameters" + ("_atomically" if kind is SetParametersAtomically else "")
    answer = clumsy.call(kind, name, kind.Request(parameters=[good, bad]))
    results = answer.results if kind is SetParameters else [answer.result]
    assert [result.successful for result in results] == ([True, False] if kind is SetParameters else [False])
    assert results[-1].reason
    assert clumsy.named(f"service {name}")
    assert clumsy.node.get_parameter("number").value == (7 if kind is SetParameters else 1)


@pytest.mark.parametrize("kind", [SetParameters, SetParametersAtomically])
def test_a_request_with_very_many_parameters_is_refused(clumsy: Graph, kind: Any) -> None:
    number = Parameter(name="number", value=ParameterValue(type=2, integer_value=7))
    name = "clumsy/set_parameters" + ("_atomically" if kind is SetParametersAtomically else "")
    answer = clumsy.call(kind, name, kind.Request(parameters=[number] * (MOST_PARAMETERS + 1)))
    results = answer.results if kind is SetParameters else [answer.result]
    assert {result.successful for result in results} == {False}
    assert "129 parameters in one request, at most 128" in results[0].reason
    assert clumsy.node.get_parameter("number").value == 1


class Stumbling(ContainedLifecycleNode):
    """Fails on its first configuration."""

    def __init__(self) -> None:
        super().__init__("stumbling")
        self.tries = 0

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.tries += 1
        if self.tries == 1:
            raise ValueError("not yet")
        return TransitionCallbackReturn.SUCCESS


def test_a_transition_that_fails_is_named_and_can_be_tried_again(graph: Any) -> None:
    rclpy.init(domain_id=graph.domain_id)
    node = Stumbling()
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.ERROR
        assert failures_of(node).values()["failed.transition configure.ValueError"].startswith("1 x ValueError: not ye")
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    finally:
        node.destroy_node()
        rclpy.shutdown()


@dataclass(frozen=True)
class Speed(Config):
    """One parameter."""

    mps: float = param(1.0, "a speed", ge=0.0, live=True)


def test_a_change_that_the_node_cannot_apply_is_refused_and_what_was_before_is_applied_again(graph: Any) -> None:
    applied: list[float] = []

    def apply(config: Speed) -> None:
        applied.append(config.mps)
        if config.mps == 2.0:
            raise ZeroDivisionError("half way")

    rclpy.init(domain_id=graph.domain_id)
    node = Node("settings")
    try:
        settings = Parameters(node, Speed, apply)
        (result,) = node.set_parameters([RosParameter("mps", value=2.0)])
        assert not result.successful
        assert result.reason.startswith("ZeroDivisionError: half way")
        assert (settings.value.mps, node.get_parameter("mps").value, applied) == (1.0, 1.0, [2.0, 1.0])
        assert any("parameters mps" in key for key in failures_of(node).values())
    finally:
        node.destroy_node()
        rclpy.shutdown()
