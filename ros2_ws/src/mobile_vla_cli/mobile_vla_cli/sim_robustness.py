"""`vla sim robustness`: success rate against one disturbance at a time."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla_cli.render import print_metrics
from mobile_vla_cli.simulation import (
    add_job_flags,
    check_job_flags,
    command_line,
    listed,
    make_job,
    progress_bar,
)

HELP = """Success rate against latency, dropped frames, camera noise, blur and brightness, control rate and precision.

The same rooms at every point, so that neighbouring points compare room by room. Can be interrupted: finished points
stay in DIR, and the same command goes on. Writes robustness.json and robustness.html there."""
EPILOG = """vla sim robustness --policy own --out out/robustness
vla sim robustness --policy own --axes latency_s,precision --episodes 100 --out out/robustness"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_job_flags(parser, episodes=40)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for points and reports")
    parser.add_argument(
        "--axes",
        metavar="A,B",
        help="what gets worse (default: all): latency_s, latency_no_gate_s, dropped_share, noise_std, "
        "blur_px, brightness, control_rate_hz, precision",
    )
    parser.add_argument("--driver", default="policy", choices=("policy", "expert"), help="who drives (default: policy)")


def run(args: argparse.Namespace) -> int:
    from mobile_vla.metrics import executed
    from mobile_vla_bench.closed_loop.benchmark import Workers
    from mobile_vla_bench.closed_loop.robustness import AXES, PRECISION, Store, count_points, points, settled
    from mobile_vla_bench.closed_loop.robustness_report import page_of, report_of

    check_job_flags(args)
    axes = listed(args.axes, AXES, "--axes") or list(AXES)
    if args.driver == "expert":
        axes = [name for name in axes if name != PRECISION]
        if not axes:
            raise UserError("the expert has no weights, so precision changes nothing; use --driver policy")
    job, facts = make_job(args, args.driver, args.driver == "policy")
    job = settled(job)
    console = Console(stderr=True, highlight=False)
    total = args.episodes * (count_points(job, axes) + 1)
    with progress_bar(total) as advance, Workers(args.workers) as workers:
        store = Store(args.out / "points", workers)
        found = []
        for point in points(job, axes, store, args.out, advance):
            found.append(point)
            console.print(f"{point.axis} {point.value}: success {point.summary.success.value:.2f}")
    facts |= {"driver": args.driver, "workers": args.workers, "points_from_an_earlier_run": store.reused}
    report = report_of(found, _command(args), executed(**facts))
    write_text(args.out / "robustness.html", page_of(found, report))
    write_text(args.out / "robustness.json", report.to_json() + "\n")
    console.print(f"{args.out / 'robustness.html'}")
    return print_metrics(report, args.json)


def _command(args: argparse.Namespace) -> str:
    axes = [f"--axes {args.axes}"] if args.axes else []
    driver = [] if args.driver == "policy" else [f"--driver {args.driver}"]
    return command_line(args, "robustness", *axes, *driver, f"--out {args.out}")
