"""`vla params`: every parameter of every node."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from mobile_vla.config import fields_of
from mobile_vla.config.reference import as_markdown, limits_text, live_text
from mobile_vla.errors import UserError, nearest
from mobile_vla.files import write_text
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_json

HELP = "List the parameters of every node with defaults, ranges and meaning; or write the reference page."
EPILOG = """vla params controller
vla params --markdown docs/reference/parameters.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", nargs="?", help="only this node")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--markdown", type=OutputFile, metavar="FILE", help="write the reference page")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_bringup.graph import all_kinds

    configs = {name: kind.config for name, kind in all_kinds().items()}
    if args.node is not None:
        if args.node not in configs:
            raise UserError(f"unknown node '{args.node}'; {nearest(args.node, configs)}")
        configs = {args.node: configs[args.node]}
    if args.markdown is not None:
        write_text(args.markdown, as_markdown(configs))
        return 0
    if args.json:
        print_json(
            {
                name: [vars(field) | {"type": str(field.type)} for field in fields_of(cls)]
                for name, cls in configs.items()
            }
        )
        return 0
    console = Console()
    for name, cls in configs.items():
        table = Table(title=name, title_justify="left", box=None, header_style="bold")
        for column in ("name", "default", "range", "live", "meaning"):
            table.add_column(column, overflow="fold")
        for field in fields_of(cls):
            table.add_row(field.name, str(field.default), limits_text(field), live_text(field), field.help)
        console.print(table)
    return 0
