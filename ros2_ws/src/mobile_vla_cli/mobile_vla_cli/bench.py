"""`vla bench`: measurements as commands; each prints what was executed, ratios and targets."""

from __future__ import annotations

import argparse

from mobile_vla_cli.subcommands import add_module_commands

HELP = (
    "Measure. Each benchmark prints what was executed, its baseline, ratio and target, and exits 1 when one is missed."
)
EPILOG = "vla bench graph\nvla bench load --json"
BENCHES = {
    "estop": "time from an emergency stop to zero",
    "graph": "transport, latency and jitter of the real graph",
    "load": "memory and time of loading a checkpoint",
    "eval": "reading bags and replaying them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One parser per subcommand."""
    add_module_commands(parser, "bench_", BENCHES)
