"""`vla checkpoint inspect`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from mobile_vla_cli.flags import checkpoint
from mobile_vla_cli.render import print_json, wide_console
from mobile_vla_cli.screen_text import plain

if TYPE_CHECKING:
    from rich.console import Console

    from mobile_vla.engine.report import Inspection

HELP = """Show what is in a checkpoint and whether it can be loaded. Reads no weights and needs no card.

Exit code 0: its structure loads strictly; 1: it does not; 2: it cannot be read as a checkpoint."""
EPILOG = """vla checkpoint inspect policy.pth
vla checkpoint inspect policy.safetensors --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE, --card, --weights, --json."""
    parser.add_argument(
        "file", type=checkpoint, metavar="FILE", help=".pth, .pt, .safetensors or .safetensors.index.json"
    )
    parser.add_argument("--card", type=Path, metavar="CARD", help="card to check with it (default: FILE.card.yaml)")
    parser.add_argument(
        "--weights",
        default="",
        metavar="KEY",
        help="which weights of a .pth that holds several (ema_state_dict)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from mobile_vla.engine.report import inspect

    inspection = inspect(args.file, args.card, args.weights)
    if args.json:
        print_json(inspection.as_json())
    else:
        _print(inspection)
    return 0 if inspection.loadable else 1


def _print(inspection: Inspection) -> None:
    facts = inspection.as_json()
    out = wide_console()
    rows = {
        "file": f"{facts['file']} ({facts['bytes'] / 1e9:.3f} GB, {facts['container']})",
        "weights": f"{facts['parameters']:,} parameters in {facts['tensors']} tensors, {facts['dtype']}",
        "optimizer": f"{facts['optimizer_bytes'] / 1e9:.3f} GB, dropped on conversion"
        if facts["optimizer_bytes"]
        else "",
        "beside it": ", ".join(f"{name} {value}" for name, value in facts["container_entries"].items()),
        "not used": f"{', '.join(facts['other_weights'])}: other weights; choose with --weights"
        if facts["other_weights"]
        else "",
        "prefixes": ", ".join(f"{prefix} taken off {count} names" for prefix, count in facts["prefixes"].items()),
        "clip names": facts["clip_names"],
        "layout": facts["layout"] or "unknown",
        "head": _head(facts["head"]),
        "towers": _towers(facts["towers"]),
        "card": _card(facts),
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value:
            grid.add_row(f"[bold]{name}[/]", plain(value))
    out.print(grid)
    print_problems(inspection, out)


def print_problems(inspection: Inspection, out: Console) -> None:
    """The table of what does not fit, grouped by prefix, and what was dropped by which rule."""
    from mobile_vla.engine.strict import group_problems

    problems = inspection.examined.problems
    table = Table(box=None, header_style="bold")
    for column in ("", "under", "count", "first", "nearest"):
        table.add_column(column, overflow="fold", justify="right" if column == "count" else "left")
    for kind, group in group_problems(problems, inspection.contents.tensors):
        colour = "dim" if kind == "dropped" else "red"
        table.add_row(
            f"[{colour}]{kind}[/]", plain(group.prefix), str(group.size), plain(group.example), plain(group.nearest)
        )
    if table.row_count:
        out.print(table)
    if problems.layout:
        out.print(f"[red]layout[/] {plain(problems.layout)}")
    if not inspection.loadable:
        out.print("[red]does not load[/]: nothing of it would be used")
    elif inspection.card is None:
        out.print("[green]its structure loads strictly[/]; [yellow]a complete card is needed to use it[/]")
    else:
        out.print("[green]loads strictly[/]")


def _head(head: dict[str, Any] | None) -> str:
    if head is None:
        return ""
    mlp = ", ".join(
        f"{layer['kind']} {layer['in']}-{layer['out']}" if layer["in"] else layer["kind"] for layer in head["mlp"]
    )
    fusion = f"fusion {head['fused_in']}-{head['fused_out']}, " if head["fused_in"] else "no fusion, "
    return f"{fusion}LSTM {head['fused_out']}-{head['lstm_hidden']} x {head['lstm_layers']}, {mlp}"


def _towers(towers: dict[str, Any] | None) -> str:
    if towers is None:
        return ""
    return "; ".join(
        f"{name}: text {dims['text']['layers']} x {dims['text']['width']}, "
        f"vision {dims['vision']['layers']} x {dims['vision']['width']} at {dims['image_px']} px"
        for name, dims in towers.items()
    )


def _card(facts: dict[str, Any]) -> str:
    if facts["card"] is not None:
        card = facts["card"]
        return f"{card['name']}, {card['action']['space']}{', UNTRAINED' if card['untrained'] else ''}"
    if facts["card_error"]:
        return facts["card_error"]
    missing = facts["missing_card_fields"]
    return f"none; {len(missing)} fields of it are to fill in (`vla checkpoint card new`): {', '.join(missing)}"
