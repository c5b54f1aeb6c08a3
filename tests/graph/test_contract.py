"""The whole graph as `vla up` starts it, held against the contract table."""

from __future__ import annotations

from typing import Any

import pytest
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from mobile_vla_ros.topics import (
    ACTION,
    ARM,
    CAMERA_IMAGE,
    CAMERA_INFO,
    CAMERA_JPEG,
    CMD_VEL,
    CONTROLLER_STATE,
    DIAGNOSTICS,
    INSTRUCTION,
    ODOM,
    POLICY_RESET,
    RESET_ESTOP,
    SCAN,
    TRIGGER_ESTOP,
    Topic,
)

PUBLISHERS: dict[Topic, set[str]] = {
    CAMERA_IMAGE: {"simulator"},
    CAMERA_INFO: {"simulator"},
    ACTION: {"inference"},
    CMD_VEL: {"controller"},
    CONTROLLER_STATE: {"controller"},
    SCAN: {"simulator"},
    ODOM: {"simulator"},
    DIAGNOSTICS: {"simulator", "inference", "controller"},
}


@pytest.fixture(scope="module")
def running(graph_of_module: Any) -> Any:
    graph = graph_of_module
    graph.start_robot()
    graph.publisher(INSTRUCTION).publish(String(data="go to the red ball"))
    graph.arm()
    return graph


def test_whole_graph_against_the_contract(running: Any) -> None:
    graph = running
    images, actions = graph.listen(CAMERA_IMAGE), graph.listen(ACTION)
    infos, commands, jpegs = graph.listen(CAMERA_INFO), graph.listen(CMD_VEL), graph.listen(CAMERA_JPEG)
    states = graph.listen(CONTROLLER_STATE)
    graph.wait(lambda: len(actions) > 20 and len(jpegs) > 2, what="twenty actions and some compressed images")

    for topic, names in PUBLISHERS.items():
        infos_of = graph.node.get_publishers_info_by_topic(topic.name)
        assert {info.node_name for info in infos_of} == names, topic.name
        for info in infos_of:
            assert info.topic_type == _type_name(topic), topic.name
            assert info.qos_profile.reliability == topic.offered.reliability, topic.name
            assert info.qos_profile.durability == topic.offered.durability, topic.name

    subscriptions = graph.node.get_subscriptions_info_by_topic(CAMERA_IMAGE.name)
    inference = next(info for info in subscriptions if info.node_name == "inference")
    assert inference.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    latched = graph.node.get_publishers_info_by_topic(CONTROLLER_STATE.name)[0]
    assert latched.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL

    image_stamps = [_ns(message) for message in images]
    assert image_stamps == sorted(set(image_stamps)), "frame stamps only grow"
    overlap = [action for action in actions if image_stamps[0] <= _ns(action) <= image_stamps[-1]]
    assert len(overlap) > 10
    assert all(_ns(action) in image_stamps for action in overlap), "an action carries its frame's stamp"
    assert {action.header.frame_id for action in actions} == {"diff"}
    assert all(abs(a.twist.linear.x) <= 1 and abs(a.twist.angular.z) <= 1 for a in actions)
    assert {(m.encoding, m.width, m.height, m.step, len(m.data)) for m in images} <= {
        (encoding, 640, 480, 1920, 921600) for encoding in ("bgr8", "rgb8")
    }
    assert (
        {m.header.frame_id for m in images} == {m.header.frame_id for m in infos} == {m.header.frame_id for m in jpegs}
    )
    assert {_ns(m) for m in infos} & set(image_stamps)
    assert {m.format for m in jpegs} <= {"jpeg", "bgr8; jpeg compressed bgr8", "rgb8; jpeg compressed bgr8"}
    assert len(commands) > 30, "commands flow at the controller's own rate"
    keys = {pair.key for pair in states[-1].values}
    assert {"mode", "source", "reason"} <= keys


def test_services_answer(running: Any) -> None:
    graph = running
    assert graph.call(POLICY_RESET, Trigger.Request()).success
    assert graph.call(TRIGGER_ESTOP, Trigger.Request()).success
    assert not graph.call(ARM, SetBool.Request(data=True)).success, "no arming while the emergency stop is latched"
    graph.spin(0.7)
    assert graph.call(RESET_ESTOP, Trigger.Request()).success


def test_a_late_joiner_knows_instruction_and_state(running: Any) -> None:
    graph = running
    texts, states = graph.listen(INSTRUCTION), graph.listen(CONTROLLER_STATE)
    graph.wait(lambda: texts and states, 5.0, "latched messages")
    assert texts[0].data == "go to the red ball"


def _ns(message: Any) -> int:
    stamp = message.header.stamp
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _type_name(topic: Topic) -> str:
    package, _, name = topic.type.__module__.partition(".msg")[0], None, topic.type.__name__
    return f"{package}/msg/{name}"
