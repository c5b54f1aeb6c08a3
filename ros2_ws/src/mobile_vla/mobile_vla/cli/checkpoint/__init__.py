"""`vla checkpoint`: one file per subcommand, nothing but parsing and printing."""

from __future__ import annotations

import argparse
import importlib

from rich_argparse import RawDescriptionRichHelpFormatter

HELP = "Look into, prove, convert and compare the files that policies come in. Nothing is ever loaded loosely."
EPILOG = """vla checkpoint inspect policy.pth
vla checkpoint convert policy.pth policy-bf16.safetensors --dtype bf16
vla checkpoint verify policy-bf16.safetensors"""
COMMANDS = {
    "inspect": "what is in a file, and whether it could be loaded",
    "verify": "load strictly, then probe and canary",
    "convert": "stream into safetensors as fp32, fp16, bf16 or int8",
    "diff": "what differs between two files",
    "synthesize": "a file of the exact shapes with random weights",
    "card": "write or check the card beside a file",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser per subcommand."""
    commands = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", dest="subcommand", required=True)
    for name, help_line in COMMANDS.items():
        module = importlib.import_module(f"mobile_vla.cli.checkpoint.{name}")
        command = commands.add_parser(
            name,
            help=help_line,
            description=module.HELP,
            epilog=module.EPILOG,
            formatter_class=RawDescriptionRichHelpFormatter,
        )
        module.add_arguments(command)
        if hasattr(module, "run"):
            command.set_defaults(run=module.run)
