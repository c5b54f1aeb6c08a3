"""The graph as `launch` actions: what the files in launch/ return to `ros2 launch`."""

from __future__ import annotations

import atexit
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from mobile_vla.config import fields_of, from_mapping
from mobile_vla_bringup.domain import publish_instruction
from mobile_vla_bringup.ending import WRITING_PATIENCE_S
from mobile_vla_bringup.graph import Choice, describe
from mobile_vla_ros.environment import prepare
from mobile_vla_ros.run_folder import RUN_FOLDER, end_run

RESPAWN_DELAY_S = 1.0


def launch_description(**defaults: Any) -> LaunchDescription:
    """Declare every field of `Choice` as a launch argument, then start the graph it describes."""
    prepare()
    arguments = [
        DeclareLaunchArgument(
            field.name, default_value=_text(defaults.get(field.name, field.default)), description=field.help
        )
        for field in fields_of(Choice)
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Any]:
    values: dict[str, Any] = {}
    for field in fields_of(Choice):
        text = LaunchConfiguration(field.name).perform(context)
        values[field.name] = _boolean(text) if field.type is bool else text
    choice = from_mapping(Choice, values, "launch arguments")
    graph = describe(choice)
    run = {RUN_FOLDER: tempfile.mkdtemp(prefix="mobile_vla_run_")}
    atexit.register(end_run, Path(run[RUN_FOLDER]))  # not on shutdown: then the processes still run and may write here
    actions: list[Any] = [
        Node(
            package=node.kind.package,
            executable=node.kind.executable,
            name=node.name,
            namespace=graph.namespace,
            parameters=[node.parameters()],
            additional_env=run,
            output="screen",
            respawn=graph.respawn,
            respawn_delay=RESPAWN_DELAY_S,
            **_patience(node.name),
        )
        for node in graph.nodes
    ]
    if choice.instruction:
        teller = ExitStack()
        teller.enter_context(publish_instruction(choice.instruction, namespace=graph.namespace))
        actions.append(RegisterEventHandler(OnShutdown(on_shutdown=lambda *_: teller.close())))
    return actions


def _patience(name: str) -> dict[str, str]:
    """A recorder that completes a large bag is left alone as long as `vla up` would; launch cannot see it write."""
    return {"sigterm_timeout": f"{WRITING_PATIENCE_S:g}"} if name == "recorder" else {}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boolean(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)
