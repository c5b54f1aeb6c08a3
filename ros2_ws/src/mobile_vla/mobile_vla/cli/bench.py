"""`vla bench`: measurements as commands; each prints what was executed, ratios and targets."""

from __future__ import annotations

import argparse
import importlib
import importlib.util

from rich_argparse import RawDescriptionRichHelpFormatter

HELP = (
    "Measure. Each benchmark prints what was executed, its baseline, ratio and target, and exits 1 when one is missed."
)
EPILOG = "vla bench graph\nvla bench load --json"
BENCHES = {
    "graph": "transport, latency and jitter of the real graph",
    "load": "memory and time of loading a checkpoint",
    "eval": "reading bags and replaying them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    benches = parser.add_subparsers(title="benchmarks", metavar="NAME", dest="bench", required=True)
    for name, help_line in BENCHES.items():
        module_name = f"mobile_vla.cli.bench_{name}"
        if importlib.util.find_spec(module_name) is None:
            continue
        module = importlib.import_module(module_name)
        bench = benches.add_parser(
            name,
            help=help_line,
            description=module.HELP,
            epilog=getattr(module, "EPILOG", None),
            formatter_class=RawDescriptionRichHelpFormatter,
        )
        module.add_arguments(bench)
        bench.set_defaults(run=module.run)
