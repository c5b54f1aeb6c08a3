"""`vla train`: policies fitted here. One file per subcommand."""

from __future__ import annotations

import argparse

from mobile_vla_cli.subcommands import add_module_commands

HELP = "Fit policies. Every run can be interrupted and goes on where it stopped."
EPILOG = """vla train head --checkpoint base.safetensors --data data/lab --out lab.safetensors
vla train tiny --out out/tiny"""
COMMANDS = {
    "head": "a checkpoint's head, on recordings",
    "tiny": "the small policy of the simulator, from nothing",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser per subcommand."""
    add_module_commands(parser, "train_", COMMANDS)
