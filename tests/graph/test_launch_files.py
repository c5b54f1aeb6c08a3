"""The launch files, executed by the real `launch` where it is installed: they start what `vla up` starts."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mobile_vla_ros.topics import ACTION, CMD_VEL, INSTRUCTION

LAUNCH_FOLDER = Path(__file__).parents[2] / "launch"
RUNNER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *pairs = sys.argv[1:]
service = LaunchService(noninteractive=True)
source = PythonLaunchDescriptionSource(file)
arguments = [tuple(pair.split(":=", 1)) for pair in pairs]
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)]))
sys.exit(service.run())
"""


def launch_is_installed() -> bool:
    """A folder named launch/ also makes a spec, but one without an origin."""
    spec = importlib.util.find_spec("launch")
    return spec is not None and spec.origin is not None and importlib.util.find_spec("launch_ros") is not None


pytestmark = pytest.mark.skipif(
    not launch_is_installed(), reason="ROS 2 launch is not installed here (no wheel exists)"
)


def start(graph: Any, file: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(LAUNCH_FOLDER / file), *arguments],
        env={**graph.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stop(process: subprocess.Popen[str]) -> str:
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    return output


def test_sim_launch_drives_the_simulated_robot(graph: Any) -> None:
    process = start(graph, "sim.launch.py", "namespace:=robot1", "instruction:=go to the red ball")
    try:
        told = graph.listen(INSTRUCTION, "robot1")
        actions, commands = graph.listen(ACTION, "robot1"), graph.listen(CMD_VEL, "robot1")
        graph.wait(lambda: len(actions) > 5, 60, "actions")
        graph.arm("robot1")
        graph.wait(lambda: any(abs(c.linear.x) + abs(c.angular.z) > 0 for c in commands), what="a moving command")
        assert [message.data for message in told] == ["go to the red ball"]
    finally:
        output = stop(process)
    last = commands[-1]
    graph.spin(0.5)
    last = commands[-1]
    assert (last.linear.x, last.angular.z) == (0.0, 0.0)
    assert process.returncode == 0, output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("file", "arguments", "sentence"),
    [
        ("sim.launch.py", ["policy:=untraind"], "unknown policy 'untraind'; did you mean 'untrained'?"),
        ("robot.launch.py", ["robot:=dif"], "unknown robot 'dif'; did you mean 'diff'?"),
        ("robot.launch.py", ["policy:=untrained"], "may be untrained and this robot is not simulated"),
    ],
)
def test_a_wrong_argument_starts_nothing(graph: Any, file: str, arguments: list[str], sentence: str) -> None:
    process = start(graph, file, *arguments)
    output, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert sentence in output
    assert "process started" not in output
