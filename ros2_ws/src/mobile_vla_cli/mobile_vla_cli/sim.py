"""`vla sim`: the simulated robot without a graph. One file per subcommand."""

from __future__ import annotations

import argparse

from mobile_vla_cli.subcommands import add_module_commands

HELP = "Drive simulated rooms, faster than real time, and report the results."
EPILOG = "vla sim bench --policy small --episodes 20\nvla sim bench --drivers expert,straight,random --episodes 200"
COMMANDS = {
    "bench": "closed-loop benchmark",
    "robustness": "success while one thing gets worse",
    "trace": "drives moment by moment, to see why one failed",
    "record": "episodes of the expert as a bag",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser per subcommand."""
    add_module_commands(parser, "sim_", COMMANDS)
