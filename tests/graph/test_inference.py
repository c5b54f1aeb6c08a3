"""Status of the inference node without camera images."""

from __future__ import annotations

import re
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from std_srvs.srv import SetBool

from mobile_vla.engine.config import InferenceConfig
from mobile_vla_bench.faults.scripted_inference import FOLDER, LOADING
from mobile_vla_ros.topics import ARM, DIAGNOSTICS, INSTRUCTION


def test_a_camera_that_stays_silent_is_a_warning_but_not_at_once(graph: Any) -> None:
    reports = graph.listen(DIAGNOSTICS)
    graph.start_robot(only=("inference",))

    def said() -> list[tuple[bytes, str]]:
        return [(status.level, status.message) for report in reports for status in report.status]

    warning = (DiagnosticStatus.WARN, "no camera frames arrive on camera/image_raw")
    graph.wait(lambda: warning in said(), 120.0, "a policy that has loaded, and a warning about the camera")
    waiting = (DiagnosticStatus.OK, "waiting for the first camera frame")
    assert said().index(waiting) < said().index(warning)


def test_while_the_policy_loads_arming_says_for_how_long(graph: Any) -> None:
    graph.environ[FOLDER] = str(graph.tmp_path)
    (graph.tmp_path / LOADING).touch()
    reports = graph.listen(DIAGNOSTICS)
    graph.start("mobile_vla_nodes.controller", "controller")
    graph.start("mobile_vla_bench.faults.scripted_inference", "inference")
    loading = re.compile(rf"loading {re.escape(InferenceConfig().checkpoint)}, (\d+) s")

    def seconds_said() -> list[int]:
        messages = (status.message for report in reports for status in report.status)
        return [int(found[1]) for found in map(loading.fullmatch, messages) if found]

    # A status of the policy counts for less than four seconds; the first one may come before this process is heard of.
    graph.wait(lambda: any(seconds >= 4 for seconds in seconds_said()), what="a policy that has been loading for 4 s")
    assert len(set(seconds_said())) > 2, "about once a second"
    refusal = graph.call(ARM, SetBool.Request(data=True)).message
    assert refusal.startswith(f"not armed: the policy is not ready: loading {InferenceConfig().checkpoint}, "), refusal
    (graph.tmp_path / LOADING).unlink()
    graph.wait(
        lambda: any(
            pair.key == "ready" and pair.value == "true"
            for report in reports
            for status in report.status
            if status.name == "/inference"
            for pair in status.values
        ),
        what="a policy that is ready",
    )


def test_an_ordinary_publisher_of_instructions_is_heard(graph: Any) -> None:
    """`ros2 topic pub` publishes volatile; what a transient-local one said before the node came is heard,
    too, and what comes behind a message that the middleware throws away.
    """
    graph.environ[FOLDER] = str(graph.tmp_path)
    graph.publisher(INSTRUCTION).publish(String(data="said before"))
    reports = graph.listen(DIAGNOSTICS)
    graph.start("mobile_vla_bench.faults.scripted_inference", "inference")

    def follows(text: str) -> bool:
        pairs = [pair for report in reports[-3:] for status in report.status for pair in status.values]
        return any(pair.key == "instruction" and pair.value == text for pair in pairs)

    graph.wait(lambda: follows("said before"), what="the instruction from before")
    person = graph.node.create_publisher(String, INSTRUCTION.name, QoSProfile(depth=10))
    graph.wait(person.get_subscription_count, what="the node's subscription")
    person.publish(String(data="said by a tool"))
    graph.wait(lambda: follows("said by a tool"), what="the instruction of a volatile publisher")
    person.publish(b"")
    person.publish(String(data="said behind nothing"))
    graph.wait(lambda: follows("said behind nothing"), 10.0, what="one behind a message without a byte")
