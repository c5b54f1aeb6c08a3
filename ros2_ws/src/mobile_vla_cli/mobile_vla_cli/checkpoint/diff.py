"""`vla checkpoint diff`."""

from __future__ import annotations

import argparse

from rich.table import Table

from mobile_vla_cli.flags import checkpoint
from mobile_vla_cli.render import print_json, stages, wide_console
from mobile_vla_cli.screen_text import plain

HELP = """Compare two checkpoints value by value, whatever their formats, containers and names.

Exit code 0: equal; 1: different."""
EPILOG = "vla checkpoint diff policy.pth policy-bf16.safetensors"
_ROWS = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A B --json."""
    parser.add_argument("first", type=checkpoint, metavar="A", help="checkpoint")
    parser.add_argument("second", type=checkpoint, metavar="B", help="checkpoint")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the differences, largest first."""
    from mobile_vla.checkpoint.diff import compare

    with stages() as report:
        result = compare(args.first, args.second, lambda done, total: report("compare", done, total))
    if args.json:
        print_json(result.as_json())
        return 0 if result.same else 1
    out = wide_console()
    for title, names in (
        (f"only in {args.first.name}", result.only_first),
        (f"only in {args.second.name}", result.only_second),
        ("of different shape", result.shape),
    ):
        if names:
            out.print(
                f"[red]{len(names)} {plain(title)}[/]: {plain(', '.join(names[:3]))}{' ...' if len(names) > 3 else ''}"
            )
    if result.changed:
        table = Table(
            box=None, header_style="bold", title=f"{len(result.changed)} tensors differ", title_justify="left"
        )
        for column in ("tensor", "largest", "relative"):
            table.add_column(column, justify="left" if column == "tensor" else "right", overflow="fold")
        for change in result.changed[:_ROWS]:
            table.add_row(plain(change.name), f"{change.largest:.3g}", f"{change.relative:.3g}")
        out.print(table)
    out.print(f"{result.equal} tensors are equal")
    return 0 if result.same else 1
