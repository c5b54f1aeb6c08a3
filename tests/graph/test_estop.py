"""Stop devices on the topic `estop`, as processes of their own, and the real controller that hears them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from controller_bench import MODULE, Bench
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool

from mobile_vla_bench.faults.actor import Actor
from mobile_vla_nodes.latch_file import BEFORE
from mobile_vla_nodes.stop_input import LOST, OVERRUN
from mobile_vla_ros.qos import NEWEST_RELIABLE
from mobile_vla_ros.run_folder import RUN_FOLDER
from mobile_vla_ros.topics import ARM, CONTROLLER_STATE, DIAGNOSTICS, ESTOP, INSTRUCTION, RESET_ESTOP, TRIGGER_ESTOP

PRESS_S = 0.005
DELAY_S = 0.6
PRESSES = 10


@pytest.fixture
def enter(graph: Any) -> Iterator[Callable[..., Actor]]:
    """Starts stop devices (stand-ins of the fault battery) and ends them."""
    actors: list[Actor] = []

    def start(role: str, *lines: str) -> Actor:
        actor = Actor(role, graph.environ, graph.tmp_path)
        actors.append(actor)
        for line in lines:
            actor.tell(line)
        graph.wait(lambda: len(actor.replies) > len(lines), what=f"the start of {role}")
        return actor

    yield start
    for actor in actors:
        actor.end()


def tell(graph: Any, actor: Actor, line: str) -> None:
    number = actor.tell(line)
    graph.wait(lambda: len(actor.replies) > number, what=f"an answer to {line}")


def press(graph: Any, device: Any) -> None:
    device.publish(Bool(data=True))
    time.sleep(PRESS_S)
    device.publish(Bool(data=False))


def wait_answer(graph: Any, text: str) -> None:
    """Ask for a reset, which must be refused, until the answer is this one."""

    def refused() -> bool:
        answer = graph.call(RESET_ESTOP)
        assert not answer.success
        return text in answer.message

    graph.wait(refused, 30.0, text)


def reset(graph: Any) -> None:
    """Ask until it is granted: on a busy machine the release may be heard later than the first request."""
    graph.wait(lambda: graph.call(RESET_ESTOP).success, 10.0, "the reset once everything is released")


def wait_cause(bench: Bench, text: str) -> None:
    bench.graph.wait(lambda: text in bench.value("estop_cause"), 10.0, f"{text} as the cause")


def test_no_short_press_is_lost_beside_a_device_that_floods(graph: Any, enter: Callable[..., Actor]) -> None:
    bench = Bench(graph)
    enter("stop_repeater", "ok 0")
    enter("stop_panel", "ok 0")
    device = graph.publisher(ESTOP)
    graph.wait(lambda: device.get_subscription_count() >= 2, what="both subscriptions")
    bench.drive()
    for number in range(PRESSES):
        press(graph, device)
        bench.wait_mode("estop")
        graph.spin(DELAY_S + 0.01 * number)
        reset(graph)
        bench.wait_mode("disarmed")
    bench.drive()


def test_another_device_does_not_open_the_stop_of_a_pressed_one(graph: Any, enter: Callable[..., Actor]) -> None:
    bench = Bench(graph)
    pressed, other = enter("stop_device", "changes 0"), enter("stop_panel", "ok 0")
    bench.drive()
    tell(graph, pressed, "changes 1")
    bench.wait_mode("estop")
    wait_cause(bench, "stop input /stop_device_stand_in")
    tell(graph, other, "ok 1")
    graph.spin(DELAY_S)
    tell(graph, other, "ok 0")
    wait_answer(graph, "still pressed: /stop_device_stand_in;")
    tell(graph, pressed, "changes 0")
    reset(graph)
    bench.wait_mode("disarmed")


def test_a_device_that_vanishes_while_pressed_is_cleared_by_a_person(graph: Any, enter: Callable[..., Actor]) -> None:
    bench = Bench(graph)
    pressed = enter("stop_device", "changes 0")
    enter("stop_panel", "ok 0")
    bench.drive()
    tell(graph, pressed, "changes 1")
    bench.wait_mode("estop")
    graph.spin(1.0)
    pressed.kill()
    wait_answer(graph, "/stop_device_stand_in left the graph while pressed")
    assert bench.value("mode") == "estop"
    graph.spin(DELAY_S)
    assert graph.call(RESET_ESTOP).success
    bench.wait_mode("disarmed")


def test_pressed_before_the_controller_starts_whatever_another_said_later(
    graph: Any, enter: Callable[..., Actor]
) -> None:
    enter("stop_device", "changes 1")
    time.sleep(0.2)
    enter("stop_panel", "changes 0")
    time.sleep(0.2)
    states = graph.listen(CONTROLLER_STATE)
    for _ in range(3):
        states.clear()
        process = graph.start(MODULE, "controller")
        graph.wait(lambda: states and "estop" in states[-1].message, 15.0, "an emergency stop at boot")
        process.kill()


def test_an_ordinary_publisher_is_heard(graph: Any) -> None:
    """`ros2 topic pub` publishes volatile."""
    bench = Bench(graph)
    device = graph.node.create_publisher(Bool, ESTOP.name, QoSProfile(depth=10))
    person = graph.node.create_publisher(String, INSTRUCTION.name, QoSProfile(depth=10))
    graph.wait(lambda: device.get_subscription_count() and person.get_subscription_count(), what="the controller")
    bench.drive()
    device.publish(Bool(data=True))
    bench.wait_mode("estop")
    graph.spin(DELAY_S)
    device.publish(Bool(data=False))
    reset(graph)
    bench.drive()
    for number in range(20):  # an invalidation that falls into a pause of the imitated policy is not reported
        bench.wait_mode("autonomy")
        before = len(bench.states)
        person.publish(String(data=f"way {number}"))
        graph.spin(0.3)
        if any("no action from an image newer" in said.message for said in bench.states[before:]):
            break
    else:
        pytest.fail("no instruction of a volatile publisher invalidated the actions before it")


@pytest.mark.parametrize("durability", [DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL])
def test_a_press_behind_a_message_without_a_byte_is_heard_at_once(graph: Any, durability: DurabilityPolicy) -> None:
    """The middleware throws such a message away, and holds back what follows until ten more have been sent."""
    bench = Bench(graph)
    device = graph.node.create_publisher(Bool, ESTOP.name, QoSProfile(depth=10, durability=durability))
    graph.wait(device.get_subscription_count, what="the controller")
    bench.drive()
    device.publish(Bool(data=False))
    graph.spin(0.2)
    device.publish(b"")
    device.publish(Bool(data=True))
    bench.wait_mode("estop")
    assert bench.value("estop_cause").startswith("stop input")
    graph.spin(DELAY_S)
    refusal = graph.call(RESET_ESTOP)
    assert (refusal.success, "still pressed" in refusal.message) == (False, True)
    device.publish(Bool(data=False))
    graph.wait(lambda: graph.call(RESET_ESTOP).success, 10.0, "the reset once it is released")
    bench.wait_mode("disarmed")


def test_more_messages_than_can_be_read_are_a_stop(graph: Any) -> None:
    bench = Bench(graph)
    device = graph.node.create_publisher(Bool, ESTOP.name, NEWEST_RELIABLE)
    graph.wait(device.get_subscription_count, what="the controller")
    bench.drive()
    bench.process.send(signal.SIGSTOP)  # SIGSTOP: the flood piles up, in the sockets and then in the queue
    for _ in range(20_000):
        device.publish(Bool(data=False))
    bench.process.send(signal.SIGCONT)
    graph.spin(0.5)
    if bench.value("mode") != "estop":  # the sockets were too small for the flood to come through
        end = time.monotonic() + 20
        while bench.value("mode") != "estop" and time.monotonic() < end:
            for _ in range(2000):
                device.publish(Bool(data=False))
            graph.spin(0.02)
    assert bench.value("estop_cause").startswith((OVERRUN, LOST))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_latched_stop_outlives_the_controller_until_it_is_reset(graph: Any, end: signal.Signals) -> None:
    bench = Bench(graph)
    bench.drive()
    assert graph.call(TRIGGER_ESTOP).success
    bench.process.send(end)
    graph.wait(lambda: bench.process.returncode is not None, what="the end")
    bench.states.clear()
    again = graph.start(MODULE, "controller")
    graph.wait(lambda: bench.states, what="the first word of the next controller")
    assert (bench.value("mode"), bench.value("estop_cause")) == ("estop", f"service{BEFORE}")
    refusal = graph.call(ARM, SetBool.Request(data=True))
    assert (refusal.success, "latched" in refusal.message) == (False, True)
    graph.spin(DELAY_S)
    assert graph.call(RESET_ESTOP).success
    again.kill()
    bench.states.clear()
    graph.start(MODULE, "controller")
    graph.wait(lambda: bench.states, what="the first word of the third controller")
    assert bench.value("mode") == "disarmed"


def test_a_run_folder_that_cannot_be_written_is_named(graph: Any) -> None:
    (graph.tmp_path / "in the way").touch()
    graph.environ[RUN_FOLDER] = str(graph.tmp_path / "in the way" / "run")
    reports = graph.listen(DIAGNOSTICS)
    bench = Bench(graph)

    def named() -> bool:
        said = (part for report in reports for part in report.status if part.name == "/controller")
        return any("would not outlive this controller" in part.message for part in said)

    graph.wait(named, what="the sentence on /diagnostics")
    assert graph.call(TRIGGER_ESTOP).success
    bench.wait_mode("estop")
    graph.spin(DELAY_S)
    assert graph.call(RESET_ESTOP).success
    bench.drive()
