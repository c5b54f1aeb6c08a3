"""`vla bench eval`: the cost of recording, reading and evaluating bags."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from mobile_vla_cli.render import print_metrics

HELP = """Measure recording, reading and evaluating: CPU of the recorder and lost messages, reading and aligning
against rosbags merely iterating, evaluation against real time, memory against the length of the bag."""
EPILOG = """vla bench eval
vla bench eval --json --quick"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", default="", metavar="C", help="policy for the speed of evaluation (default: the shipped one)"
    )
    parser.add_argument("--quick", action="store_true", help="shorter bags: rough figures")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from mobile_vla.metrics import MetricReport, executed
    from mobile_vla_bench import eval_bench
    from mobile_vla_bench.recorder_bench import bench_recorder
    from mobile_vla_cli.eval import open_checked

    console = Console(stderr=True, highlight=False)
    seconds, recorded_s = (60, 10.0) if args.quick else (300, 30.0)
    name, policy = open_checked("", args.checkpoint, threads=1)
    report = MetricReport("vla bench eval", executed(**policy.description, bag=f"{seconds} s of 640x480 JPEG at 10 Hz"))
    with tempfile.TemporaryDirectory(prefix="vla_bench_eval_") as temporary:
        folder = Path(temporary)
        bag = eval_bench.make_bag(folder / "bag", seconds)
        console.print("reading and aligning")
        report.metrics.append(eval_bench.ratio_to_iteration(bag))
        console.print("evaluating")
        report.metrics += eval_bench.times_real_time(bag, seconds, policy, name)
        console.print("memory")
        long_s = 1200 if args.quick else eval_bench.LONG_S
        report.metrics.append(eval_bench.memory_growth(folder, 120 if args.quick else eval_bench.SHORT_S, long_s))
        console.print("recording")
        report.metrics += bench_recorder(recorded_s, folder, console.print)
    return print_metrics(report, args.json)
