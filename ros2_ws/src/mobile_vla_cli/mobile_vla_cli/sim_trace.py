"""`vla sim trace`: every decision of a drive as a table and a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla_cli.sim_bench import DRIVERS
from mobile_vla_cli.simulation import (
    add_room_flags,
    check_room_flags,
    command_line,
    make_job,
    progress_bar,
)

HELP = """Drive rooms as `vla sim bench` does and write down every decision: what the robot saw of its goal, what the
driver did, what the expert would have done there, and what the safety gate said.

Writes DIR/<room>.csv per drive and DIR/index.html with a map and the course of each."""
EPILOG = """vla sim trace --policy small --episodes 20 --failures --out out/why
vla sim trace --policy small --rooms 1000003,1000017 --out out/why
vla sim trace --policy small --suite unseen --episodes 5 --out out/unseen"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_room_flags(parser, episodes=10)
    parser.add_argument("--rooms", metavar="A,B", help="these rooms, by their seeds, instead of --first and --episodes")
    parser.add_argument("--driver", default="policy", choices=DRIVERS, help="who drives (default: policy)")
    parser.add_argument("--failures", action="store_true", help="keep only drives that did not end at the goal")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the drives and their page")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_bench.closed_loop.benchmark import OF_POLICY
    from mobile_vla_bench.closed_loop.trace import csv_of, traces
    from mobile_vla_bench.closed_loop.trace_report import in_words, page_of

    check_room_flags(args)
    named = None if args.rooms is None else _rooms(args.rooms)
    job, _ = make_job(args, args.driver, args.driver in OF_POLICY)
    rooms = list(job.seeds) if named is None else named
    _make_folder(args.out)
    kept = []
    with progress_bar(len(rooms)) as advance:
        for trace in traces(job, rooms):
            advance("driving", trace.result)
            if not (args.failures and trace.result.success):
                write_text(args.out / f"{trace.result.seed}.csv", csv_of(trace))
                kept.append(trace)
    write_text(args.out / "index.html", page_of(kept, _command(args)))
    console = Console(highlight=False, soft_wrap=True)
    for trace in kept:
        console.print(in_words(trace))
    console.print(f"drives: {len(rooms)}, kept: {len(kept)}; {args.out / 'index.html'}")
    return 0


def _rooms(text: str) -> list[int]:
    """Seeds between commas."""
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not part.isdecimal():
            raise UserError(f"--rooms: '{part}' is not the number of a room; name seeds such as 1000003,1000017")
    return list(dict.fromkeys(map(int, parts)))


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {path} cannot be made ({error.strerror}); choose another folder") from error


def _command(args: argparse.Namespace) -> str:
    rooms = [f"--rooms {args.rooms}"] if args.rooms else []
    driver = [] if args.driver == "policy" else [f"--driver {args.driver}"]
    failures = ["--failures"] if args.failures else []
    return command_line(args, "trace", *rooms, *driver, *failures, f"--out {args.out}")
