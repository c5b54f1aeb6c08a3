"""`vla up` and `vla demo` as a person runs them: real processes, a second graph refused, nothing left behind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import TwistStamped

from mobile_vla_ros.topics import CMD_VEL, CONTROLLER_STATE, INSTRUCTION, TELEOP_KEYBOARD

VLA = [sys.executable, "-c", "import sys; from mobile_vla_cli import main; sys.exit(main())"]


def children_on(domain_id: int) -> list[int]:
    """Processes of this project on a ROS domain, found by their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"ROS_DOMAIN_ID={domain_id}\0".encode() in environ + b"\0" and b"--ros-args" in command:
            found.append(int(folder.name))
    return found


def until(condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def vla(graph: Any) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*VLA, *arguments], env=graph.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGKILL]
)
def test_however_it_ends_no_process_is_left(graph: Any, vla: Any, number: signal.Signals) -> None:
    process = vla("up", "--robot", "sim")
    states = graph.listen(CONTROLLER_STATE)
    graph.wait(lambda: states, what="a controller")
    graph.wait(lambda: len(children_on(graph.domain_id)) == 3, what="three processes")
    process.send_signal(number)
    process.wait(20)
    until(lambda: not children_on(graph.domain_id))
    assert process.returncode == (-9 if number == signal.SIGKILL else 0)


def test_a_terminal_that_is_lost_stops_the_robot_and_leaves_no_process(graph: Any) -> None:
    """A dropped ssh connection closes the terminal's other end; nothing can be written there any more."""
    terminal, own = pty.openpty()
    chosen = ["--robot", "sim", "--set", "controller.require.policy=false", "--set", "controller.require.camera=false"]
    process = subprocess.Popen(
        [*VLA, "up", *chosen, "--set", "controller.range_guard.use_scan=false"],
        env=graph.environ,
        stdin=own,
        stdout=own,
        stderr=own,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  (one system call, no lock)
    )
    os.close(own)
    try:
        graph.arm()
        commands = graph.listen(CMD_VEL)
        keyboard = graph.publisher(TELEOP_KEYBOARD)

        def moving() -> bool:
            message = TwistStamped()
            message.header.stamp = graph.node.get_clock().now().to_msg()
            message.twist.linear.x = 0.3
            keyboard.publish(message)
            graph.spin(0.05)
            return bool(commands) and commands[-1].linear.x > 0.1

        graph.wait(moving, what="motion")
        os.close(terminal)
        graph.wait(lambda: not children_on(graph.domain_id), what="the end of every process")
        graph.spin(0.2)
        assert commands[-1].linear.x == 0.0
        assert process.wait(20) in (0, 128 + signal.SIGHUP)
    finally:
        process.kill()
        process.wait()


def test_the_first_instruction_is_on_the_topic_for_whoever_listens_later(graph: Any, vla: Any) -> None:
    vla("up", "--robot", "sim", "--instruction", "go to the red ball")
    states = graph.listen(CONTROLLER_STATE)
    graph.wait(lambda: states, what="a controller")
    late = graph.listen(INSTRUCTION)
    graph.wait(lambda: late, what="the instruction")
    assert [message.data for message in late] == ["go to the red ball"]


def test_a_second_graph_on_the_same_topic_is_refused(graph: Any, vla: Any) -> None:
    vla("up", "--robot", "sim")
    states = graph.listen(CONTROLLER_STATE)
    graph.wait(lambda: states, what="a controller")
    second = vla("up", "--robot", "sim")
    _, error = second.communicate(timeout=30)
    assert second.returncode == 2
    assert "already has a publisher of cmd_vel (/controller)" in error


@pytest.mark.parametrize("policy", ["small", "untrained"])
def test_demo_leaves_bag_video_report_and_metrics(vla: Any, tmp_path: Path, policy: str) -> None:
    out = tmp_path / "demo"
    chosen = ["--policy", policy] if policy != "small" else []  # the shipped one is the default
    process = vla("demo", "--seconds", "6", "--then", "another", "--out", str(out), "--json", *chosen)
    output, error = process.communicate(timeout=150)
    assert process.returncode == 0, error
    metrics = json.loads(output)
    assert metrics == json.loads((out / "metrics.json").read_text())
    assert metrics["seconds_by_mode"]["autonomy"] > 2
    first, second = metrics["facts"]["tasks"]
    assert (first["given_s"], second["until_s"]) == (0.0, pytest.approx(6.0, abs=1.0))
    assert first["object"]
    assert second["instruction"] == f"go to the {second['object']}" != first["instruction"]
    assert (out / "bag" / "metadata.yaml").is_file()
    assert (out / "video.mp4").stat().st_size > 10_000
    report = (out / "report.html").read_text()
    assert ("UNTRAINED" in report) == (policy == "untrained")
    assert metrics["facts"]["policy"] == policy
    assert second["sentence"].replace('"', "&quot;") in report
    assert "http://" not in report.replace("http://www.w3.org", ""), "the report needs no network"


def test_demo_stopped_by_hand_still_reports(vla: Any, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    process = vla("demo", "--seconds", "100", "--out", str(out))
    until(lambda: (out / "bag").exists() or any(out.rglob("*.mcap*")), 60)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=90)
    assert process.returncode == 0, error
    assert (out / "report.html").is_file()


def test_unwritable_output_is_one_sentence(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        target = Path("/proc/nowhere")  # root may write everywhere else
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        target = tmp_path / "locked" / "demo"
    result = subprocess.run([*VLA, "demo", "--out", str(target)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "cannot be written" in result.stderr
