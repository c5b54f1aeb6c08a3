"""`vla checkpoint`: one file per subcommand, nothing but parsing and printing."""

from __future__ import annotations

import argparse

from mobile_vla_cli.subcommands import add_module_commands

HELP = "Inspect, verify, convert and compare checkpoint files. Loading is strict."
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
    add_module_commands(parser, "checkpoint.", COMMANDS)
