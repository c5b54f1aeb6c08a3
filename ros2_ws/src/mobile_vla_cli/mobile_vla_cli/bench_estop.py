"""`vla bench estop`: how long an emergency stop takes."""

from __future__ import annotations

import argparse

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_metrics

HELP = """Measure the time from an emergency stop to the first zero that stays.

The real controller drives; presses of 5 ms on the topic, which two other devices share (one of them floods it at
200 Hz), and presses of the service. Each press takes about 1.5 s."""
EPILOG = "vla bench estop\nvla bench estop --presses 50 --load --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--presses", type=int, default=200, metavar="N", help="presses of each kind (default: 200)")
    parser.add_argument("--load", action="store_true", help="keep every core busy beside it, one process each")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=OutputFile, metavar="FILE", help="also write the JSON to a file")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_bench.busy import busy_cores
    from mobile_vla_bench.estop_bench import bench_estop

    if args.presses < 1:
        raise UserError(f"--presses must be >= 1, got {args.presses}")
    console = Console(stderr=True)
    with busy_cores(int(args.load)) as burning:
        report = bench_estop(args.presses, console.print)
    report.executed["busy_processes"] = burning
    return print_metrics(report, args.json, args.out)
