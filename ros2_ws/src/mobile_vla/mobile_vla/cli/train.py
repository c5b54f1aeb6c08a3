"""`vla train`: policies fitted here. One file per subcommand."""

from __future__ import annotations

import argparse
import importlib

from rich_argparse import RawDescriptionRichHelpFormatter

HELP = "Fit policies. Every run can be interrupted and goes on where it stopped."
EPILOG = """vla train head --checkpoint base.safetensors --data data/lab --out lab.safetensors
vla train tiny --out out/tiny"""
COMMANDS = {
    "head": "a checkpoint's head, on recordings",
    "tiny": "the small policy of the simulator, from nothing",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser per subcommand."""
    commands = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", dest="train", required=True)
    for name, help_line in COMMANDS.items():
        module = importlib.import_module(f"mobile_vla.cli.train_{name}")
        command = commands.add_parser(
            name,
            help=help_line,
            description=module.HELP,
            epilog=module.EPILOG,
            formatter_class=RawDescriptionRichHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
