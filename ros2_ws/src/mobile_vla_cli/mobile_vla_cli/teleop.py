"""`vla teleop`: drive from this terminal."""

from __future__ import annotations

import argparse

from mobile_vla.teleop.config import KeyboardConfig
from mobile_vla_cli.flags import add_config_flags, config_from

HELP = """Drive with the keyboard of this terminal, also over SSH (ssh -t).

Hold w, a, s, d or the arrows to move; letting go stops. SPACE is the emergency stop, r resets it, e arms and disarms.
Whoever presses a key has control until h hands back to autonomy; q quits, and disarms a robot under your control.
A gamepad is a node of the graph: give the robot's file a `gamepad:` section."""
EPILOG = """vla teleop
vla teleop --namespace robot1 --linear-mps 0.3
ssh -t robot vla teleop"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", default="", metavar="TEXT", help="namespace of the robot")
    add_config_flags(parser, KeyboardConfig, "how it drives")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_cli.node_process import exec_node

    # the screen belongs to the keys: only warnings may appear on it
    exec_node("mobile_vla_nodes.keyboard", "keyboard", config_from(args, KeyboardConfig), args.namespace, "warn")
