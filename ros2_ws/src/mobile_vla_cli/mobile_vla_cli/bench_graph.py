"""`vla bench graph`: what the graph itself costs."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_metrics

HELP = """Measure transport, latency, jitter and load of the real graph.

Raw images at a camera's rate go into the inference process; its actions go to the controller process, which
publishes commands. The time of the model itself is taken off the latency."""
EPILOG = "vla bench graph\nvla bench graph --frames 300 --json\nvla bench graph --load"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--frames", type=int, default=900, metavar="N", help="frames to send (default: 900)")
    parser.add_argument("--rate-hz", type=float, default=30.0, metavar="X", help="camera rate (default: 30)")
    parser.add_argument("--policy", default="", metavar="NAME", help="policy to run (default: the one that ships)")
    parser.add_argument("--load", action="store_true", help="keep every core busy beside it, one process each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=OutputFile, metavar="FILE", help="also write the JSON to a file")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_bench.busy import busy_cores
    from mobile_vla_bench.graph_bench import Stream, bench_graph

    if args.frames < 30 or not 1 <= args.rate_hz <= 200:
        raise UserError(f"--frames must be >= 30 and --rate-hz from 1 to 200, got {args.frames} and {args.rate_hz:g}")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="mobile_vla_bench_") as folder, busy_cores(int(args.load)) as burning:
        report = bench_graph(Stream(args.frames, args.rate_hz), args.policy, Path(folder), console.print)
    report.executed["busy_processes"] = burning
    return print_metrics(report, args.json, args.out)
