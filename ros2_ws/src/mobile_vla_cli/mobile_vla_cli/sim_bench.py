"""`vla sim bench`: closed-loop benchmark of a policy in unseen rooms, beside baselines."""

from __future__ import annotations

import argparse
import functools
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_metrics
from mobile_vla_cli.simulation import (
    add_job_flags,
    check_job_flags,
    command_line,
    graph_of,
    listed,
    make_job,
    progress_bar,
)

HELP = """Closed-loop benchmark: a policy in the rooms of a suite, beside drivers to compare it with.

The same policy is also run blind (a grey image), deaf (told another object of the room) and asked for an object that
is absent: these show that it looks and listens. The expert knows the room; the teacher is the expert with the sight and
the memory of those who learn from it. Rooms are decided by fixed seeds that training never uses.

With --suite barn no policy drives: drivers that look at nothing (straight, random) or steer at what is nearest (hunter)
meet the posts of the BARN benchmark (100 layouts where shared/data/barn is, generated ones up to 300) through the gate,
and touches are counted.

With --graph the policy drives the same rooms through real nodes over real DDS: simulator, inference and controller as
processes on a ROS domain of their own, in real time."""
EPILOG = """vla sim bench --policy own --episodes 200 --html bench.html
vla sim bench --policy own --suite unseen --json
vla sim bench --policy own --graph --episodes 20
vla sim bench --drivers expert --suite hard --episodes 100
vla sim bench --suite barn --drivers straight,random,hunter"""
DRIVERS = ("policy", "expert", "teacher", "straight", "random", "blind", "deaf", "absent")
THROUGH_GRAPH = ("policy", "deaf", "absent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_job_flags(parser, episodes=50)
    parser.add_argument(
        "--drivers",
        metavar="A,B",
        help=f"who drives (default: all with a policy, else expert,straight,random): {', '.join(DRIVERS)}; "
        "with --suite barn: straight, random, hunter",
    )
    parser.add_argument(
        "--graph",
        action="store_true",
        help=f"through real nodes, in real time (drivers: {', '.join(THROUGH_GRAPH)}; default: policy)",
    )
    parser.set_defaults(episodes=None, limit_s=None)
    parser.add_argument("--out", type=OutputFile, metavar="FILE", help="also write the JSON to a file")
    parser.add_argument("--html", type=OutputFile, metavar="FILE", help="write a self-contained page")


def run(args: argparse.Namespace) -> int:
    among_posts = args.suite == "barn"
    args.episodes = (300 if among_posts else 50) if args.episodes is None else args.episodes
    args.limit_s = (30.0 if among_posts else 60.0) if args.limit_s is None else args.limit_s
    return _among_posts(args) if among_posts else _in_rooms(args)


def _among_posts(args: argparse.Namespace) -> int:
    from mobile_vla.metrics import MetricReport, executed
    from mobile_vla_bench.closed_loop.touches import DRIVERS as RUDE
    from mobile_vla_bench.closed_loop.touches import Trial, drive_all, kinds, metrics_of
    from mobile_vla_sim.posts import barn_file

    check_job_flags(args)
    if args.graph or args.policy or args.html or args.first or args.rate_hz or not args.gate:
        raise UserError(
            "--suite barn drives without a policy, through the gate; leave out --policy, --graph, --html, --first, "
            "--rate-hz and --no-gate"
        )
    drivers = listed(args.drivers, RUDE, "--drivers") or list(RUDE)
    if barn_file() is None:
        Console(stderr=True, highlight=False).print(
            "shared/data/barn/posts_mm.npz is not beside the checkout: every layout is generated"
        )
    graph, _ = graph_of(args, "", args.device)
    controller, simulator = graph.node("controller").config, graph.node("simulator").config
    metrics, layouts = [], {}
    with progress_bar(args.episodes * len(drivers)) as advance:
        for name in drivers:
            trial = Trial(name, simulator, controller, args.episodes, args.limit_s)
            runs = drive_all(trial, args.workers, functools.partial(advance, name, None))
            layouts = kinds(runs)
            metrics += metrics_of(name, runs)
    facts = {"suite": "barn", "layouts": layouts, "through": "safety gate", "seconds_each": args.limit_s}
    report = MetricReport(_command(args), executed(**facts, workers=args.workers), metrics)
    if args.out is not None:
        write_text(args.out, report.to_json() + "\n")
    return print_metrics(report, args.json)


def _in_rooms(args: argparse.Namespace) -> int:
    from mobile_vla.metrics import executed
    from mobile_vla_bench.closed_loop.benchmark import OF_POLICY, open_for
    from mobile_vla_bench.closed_loop.report import in_short, page_of, report_of, step_metric

    check_job_flags(args)
    drivers = listed(args.drivers, THROUGH_GRAPH if args.graph else DRIVERS, "--drivers") or _default_drivers(args)
    needs_policy = bool(set(drivers) & set(OF_POLICY))
    job, facts = make_job(args, drivers[0], needs_policy)
    if args.graph:
        outcomes, metrics, said = _through_graph(args, job, drivers)
        facts |= {"through": "graph: simulator, inference and controller as processes over DDS, in real time", **said}
    else:
        outcomes, metrics = _without_graph(args, job, drivers), []
        facts["workers"] = args.workers
    report = report_of(outcomes, _command(args), executed(**facts))
    report.metrics += metrics
    if needs_policy:
        report.metrics.append(step_metric(open_for(job)))
    if args.html is not None:
        write_text(args.html, page_of(outcomes, report))
    if args.out is not None:
        write_text(args.out, report.to_json() + "\n")
    return print_metrics(report if args.json else in_short(report), args.json)


def _default_drivers(args: argparse.Namespace) -> list[str]:
    if args.graph:
        return ["policy"]
    return list(DRIVERS) if args.policy else ["expert", "straight", "random"]


def _without_graph(args: argparse.Namespace, job: Any, drivers: list[str]) -> Any:
    from mobile_vla_bench.closed_loop.benchmark import Workers
    from mobile_vla_bench.closed_loop.report import run_all

    total = args.episodes * (len(drivers) + (args.suite == "paraphrase" and "policy" in drivers))
    with progress_bar(total) as advance, Workers(args.workers) as workers:
        return run_all(job, drivers, workers, advance)


def _through_graph(args: argparse.Namespace, job: Any, drivers: list[str]) -> tuple[Any, Any, Any]:
    if not args.gate or args.rate_hz:
        raise UserError(
            "--graph drives through the controller at the rate of the inference node; leave out --no-gate and "
            "--rate-hz, or set --set inference.rate_hz=X"
        )
    from mobile_vla_bench.closed_loop.through_graph import bench_through_graph

    graph, _ = graph_of(args, args.policy, args.device)
    say = Console(stderr=True, highlight=False).print
    with (
        tempfile.TemporaryDirectory(prefix="mobile_vla_bench_") as folder,
        progress_bar(args.episodes * len(drivers)) as advance,
    ):
        run = bench_through_graph(job, drivers, graph, Path(folder), say=say, progress=advance)
    return run.outcomes, run.metrics, run.executed


def _command(args: argparse.Namespace) -> str:
    drivers = [f"--drivers {args.drivers}"] if args.drivers else []
    return command_line(args, "bench", *drivers, *(["--graph"] if args.graph else []))
