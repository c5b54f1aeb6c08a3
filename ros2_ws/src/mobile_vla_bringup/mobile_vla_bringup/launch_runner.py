"""The graph as `launch` actions: what the files in launch/ return to `ros2 launch`."""

from __future__ import annotations

from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, SetParameter

from launch import LaunchContext, LaunchDescription
from mobile_vla.config import fields_of, from_mapping
from mobile_vla_bringup.graph import Choice, describe
from mobile_vla_ros.environment import prepare

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
    graph = describe(from_mapping(Choice, values, "launch arguments"))
    actions: list[Any] = [SetParameter(name="use_sim_time", value=True)] if graph.use_sim_time else []
    actions += [
        Node(
            package=node.kind.package,
            executable=node.kind.executable,
            name=node.name,
            namespace=graph.namespace,
            parameters=[node.parameters()],
            output="screen",
            respawn=graph.respawn,
            respawn_delay=RESPAWN_DELAY_S,
        )
        for node in graph.nodes
    ]
    return actions


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _boolean(text: str) -> Any:
    return {"true": True, "false": False}.get(text.lower(), text)
