"""`vla checkpoint verify`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mobile_vla.engine.registry import DTYPES, ENGINES
from mobile_vla_cli.flags import checkpoint, threads
from mobile_vla_cli.render import print_json, stages, wide_console
from mobile_vla_cli.screen_text import plain

HELP = """Load a checkpoint as a robot would, and verify it: strict names and shapes, finite, sha256, probe, canary.

Exit code 0: sound (and proven, where the card has a probe); 1: it loads, but does not do what was recorded or
ignores its input; 2: it does not load."""
EPILOG = """vla checkpoint verify policy.safetensors
vla checkpoint verify policy.pth --card policy.yaml --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --card, --engine, --dtype, --threads, --json."""
    parser.add_argument("file", type=checkpoint, metavar="FILE", help="checkpoint")
    parser.add_argument(
        "--card", type=Path, metavar="CARD", help="its card (default: FILE.card.yaml, or the one inside)"
    )
    parser.add_argument("--engine", choices=tuple(ENGINES), default="torch", help="what executes it (default: torch)")
    parser.add_argument("--dtype", choices=DTYPES, default="stored", help="arithmetic (default: stored)")
    parser.add_argument("--threads", type=threads, default=1, metavar="N", help="CPU threads (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print what was proven."""
    from mobile_vla.engine.config import InferenceConfig
    from mobile_vla.engine.probe import ProbeError
    from mobile_vla.engine.strict import StrictError
    from mobile_vla.engine.verify import verify
    from mobile_vla_cli.checkpoint.inspect import print_problems

    out = wide_console()
    config = InferenceConfig(
        checkpoint=str(args.file),
        card=str(args.card or ""),
        engine=args.engine,
        dtype=args.dtype,
        threads=args.threads,
        allow_untrained=True,
    )
    try:
        with stages() as report:
            result = verify(config, lambda done: report("load", done, 0))
    except StrictError:
        from mobile_vla.engine.report import inspect

        print_problems(inspect(args.file, args.card), wide_console(stderr=True))
        raise
    except ProbeError as error:
        if args.json:
            print_json({"file": str(args.file), "proven": False, "reason": str(error)})
        else:
            out.print(f"[red]not proven[/]: {plain(error)}", soft_wrap=True)
        return 1
    if args.json:
        print_json({**result, "proven": result["probe_deviation"] is not None})
        return 0
    for name, value in result.items():
        if value not in (None, "", []):
            out.print(f"[bold]{name:>16}[/]  {plain(value)}")
    proven = "[green]proven[/]" if result["probe_deviation"] is not None else "[yellow]sound, but unproven[/]"
    out.print(proven + (" [yellow](UNTRAINED: random weights)[/]" if result["untrained"] else ""))
    return 0
