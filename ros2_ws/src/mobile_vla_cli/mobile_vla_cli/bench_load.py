"""`vla bench load`: memory and time of conversion and loading."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla_cli.flags import checkpoint
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_metrics

HELP = """Find the smallest memory in which a checkpoint is converted and loaded, beside the naive recipe.

Every attempt is a fresh process under a real limit (a control group where one can be made, else RLIMIT_DATA). Without
--checkpoint a file with random weights in the exact shapes is generated; `full` needs 16 GB of disk and minutes."""
EPILOG = """vla bench load
vla bench load --size small --no-naive --json"""
GB = 1_000_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--size --checkpoint --no-naive --quick --work --json --out."""
    parser.add_argument(
        "--size", choices=("tiny", "small", "full"), default="full", help="generated file (default: full)"
    )
    parser.add_argument(
        "--checkpoint", type=checkpoint, metavar="FILE", help="a real .pth with its card, instead of a generated one"
    )
    parser.add_argument("--no-naive", action="store_true", help="leave out the naive recipe (needs 16 GB at full size)")
    parser.add_argument("--quick", action="store_true", help="only the promised limits, no search below them")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder for the files (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=OutputFile, metavar="FILE", help="also write the JSON to a file")


def run(args: argparse.Namespace) -> int:
    """Measure in a folder that is gone afterwards."""
    from mobile_vla_bench.load_bench import LoadBenchPlan, bench_load

    if args.checkpoint is not None and args.checkpoint.suffix not in {".pth", ".pt"}:
        raise UserError(f"--checkpoint {args.checkpoint} must be a .pth or .pt file, as it came from training")
    if args.work is not None and not args.work.is_dir():
        raise UserError(f"--work {args.work} is not a folder; make it first, or leave it out")
    naive = not args.no_naive
    if naive and args.size == "full" and (free := _available_bytes()) < 17 * GB:
        raise UserError(
            f"the naive recipe may take 16 GB and {free / GB:.0f} GB of memory are free; free some or give --no-naive"
        )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="mobile_vla_load_", dir=args.work) as folder:
        plan = LoadBenchPlan(args.size, args.checkpoint, Path(folder), naive, args.quick)
        report = bench_load(plan, lambda text: console.print(f"[dim]{text}[/]"))
    return print_metrics(report, args.json, args.out)


def _available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return 0
