"""`vla up`: the graph of a robot as processes."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from mobile_vla.stopping import StopSignals
from mobile_vla_cli.flags import add_config_flags, add_set_flag, config_from, overrides_from

HELP = """Start the graph of a robot: camera (or simulator), inference and controller, each a process of its own.

This does what `ros2 launch mobile_vla_bringup robot.launch.py` does, from the same description of the graph, and
needs no `launch`. Ctrl-C stops the robot first and then every process."""
EPILOG = """vla up --robot sim --instruction "go to the red cube"
vla up --robot diff --policy ./my_policy.yaml --device orin_nx_16 --namespace robot1
vla up --robot sim --set controller.limits.linear.velocity_mps=0.2"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from mobile_vla_bringup.graph import Choice

    add_config_flags(parser, Choice, "what runs")
    add_set_flag(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be started, and start nothing")


def run(args: argparse.Namespace) -> int:
    from mobile_vla.bags.bag_place import free_bytes
    from mobile_vla_bringup import bag_size
    from mobile_vla_bringup.graph import Choice, blind_warning, describe
    from mobile_vla_bringup.session import open_session

    choice = config_from(args, Choice)
    graph = describe(choice, overrides_from(args))
    console = Console(highlight=False, soft_wrap=True)
    if choice.bag and (size := bag_size.sentence(graph, free_bytes(Path(choice.bag)))):
        console.print(size, markup=False)
    if blind := blind_warning(graph):
        console.print(blind, markup=False)
    if args.dry_run:
        for node in graph.nodes:
            console.print(
                f"[bold]{node.name}[/] {node.kind.package}/{node.kind.executable} {node.parameters()}", markup=True
            )
        return 0
    signals = StopSignals()
    signals.listen()
    with ExitStack() as stack:
        session = stack.enter_context(
            open_session(graph, lambda name, line: console.print(f"{name:>11} | {line}", markup=False))
        )
        if choice.instruction:
            from mobile_vla_bringup.domain import publish_instruction

            stack.enter_context(publish_instruction(choice.instruction, session.domain_id, graph.namespace))
        console.print(
            f"{len(graph.nodes)} processes on ROS domain {session.domain_id}; logs in {session.folder}; Ctrl-C stops"
        )
        session.supervisor.run_until(signals.asked)
        console.print("stopping")
    return 0
