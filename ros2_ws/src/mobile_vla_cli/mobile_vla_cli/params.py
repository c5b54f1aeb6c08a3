"""`vla params`: every parameter of every node."""

from __future__ import annotations

import argparse
import textwrap

from rich.console import Console

from mobile_vla.config import Config, fields_of
from mobile_vla.config.reference import as_markdown, limits_text, live_text
from mobile_vla.errors import UserError, nearest
from mobile_vla.files import write_text
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_json

HELP = "List the parameters of every node with defaults, ranges and meaning; or write the reference page."
EPILOG = """vla params controller
vla params --markdown docs/reference/parameters.md"""
_MEANING_COLUMNS = 40
"""Narrower than this, a meaning is hard to read in a column of its own."""


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
    console = Console(highlight=False, soft_wrap=True)
    width = console.width if console.is_terminal else None
    for name, cls in configs.items():
        console.print(f"[bold]{name}[/]")
        for line in parameter_lines(cls, width):
            console.print(line, markup=False)
    return 0


def parameter_lines(cls: type[Config], width: int | None) -> list[str]:
    """A line for each parameter of a node; where the meaning does not fit beside the rest, it stands below in lines of
    `width`. None: a file or a pipe, every parameter on one line.
    """
    rows = [
        (field.name, str(field.default), limits_text(field), live_text(field), field.help) for field in fields_of(cls)
    ]
    heads = ("name", "default", "range", "live", "meaning")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(4)]
    if width is not None and sum(widths) + 2 * len(heads) + _MEANING_COLUMNS > width:
        return [line for row in rows for line in _below(row, width)]
    lines = []
    left = sum(widths) + 2 * len(heads)
    for row in (heads, *rows):
        cells = "".join(f"  {cell:{size}}" for cell, size in zip(row, widths, strict=False))
        meaning = [row[4]] if width is None else textwrap.wrap(row[4], width - left) or [""]
        lines += [f"{cells}  {meaning[0]}".rstrip(), *(" " * left + more for more in meaning[1:])]
    return lines


def _below(row: tuple[str, str, str, str, str], width: int) -> list[str]:
    name, default, limits, live, meaning = row
    more = "".join(f", {label}{text}" for label, text in (("range ", limits), ("live: ", live)) if text)
    indented = textwrap.wrap(meaning, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return [f"  {name}", *_indented(f"default {default or repr(default)}{more}", width), *indented]


def _indented(text: str, width: int) -> list[str]:
    """Long defaults may be broken at spaces only."""
    return textwrap.wrap(
        text, width, initial_indent=" " * 6, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False
    )
