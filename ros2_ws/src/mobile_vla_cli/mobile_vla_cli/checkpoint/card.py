"""`vla checkpoint card new` and `vla checkpoint card check`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rich_argparse import RawDescriptionRichHelpFormatter

from mobile_vla.config.safe_yaml import MAX_BYTES
from mobile_vla.errors import UserError
from mobile_vla.files import check_place, read_text, write_text
from mobile_vla_cli.flags import checkpoint
from mobile_vla_cli.outputs import OutputInNewFolder
from mobile_vla_cli.render import stages, wide_console
from mobile_vla_cli.screen_text import plain

HELP = "Write or check the card: the facts about a policy that its tensors do not contain."
EPILOG = """vla checkpoint card new policy.pth
vla checkpoint card check policy.pth.card.yaml --checkpoint policy.pth"""
_CARD = re.compile(r"^format\s*:", re.MULTILINE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`new` and `check`."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser(
        "new",
        help="write a card to fill in",
        description="Write a card with everything the tensors say, and a line to fill in for everything they do not.",
        epilog="vla checkpoint card new policy.pth",
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    new.add_argument("checkpoint", type=checkpoint, metavar="CHECKPOINT", help="weights file")
    new.add_argument("--out", type=OutputInNewFolder, metavar="CARD", help="where (default: CHECKPOINT.card.yaml)")
    new.add_argument("--force", action="store_true", help="replace CARD when it exists")
    new.set_defaults(run=_new)
    check = actions.add_parser(
        "check",
        help="check a card, alone or against its weights",
        description="Check a card: every field known, present, of its type; with --checkpoint also against the shapes.",
        epilog="vla checkpoint card check policy.pth.card.yaml --checkpoint policy.pth",
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    check.add_argument("card", type=Path, metavar="CARD", help="card file")
    check.add_argument("--checkpoint", type=checkpoint, metavar="FILE", help="weights file it belongs to")
    check.set_defaults(run=_check)


def _new(args: argparse.Namespace) -> int:
    from mobile_vla.checkpoint.card import card_path
    from mobile_vla.engine.card_draft import draft

    path = args.out or card_path(args.checkpoint)
    _check_card_place(path, args.force)
    with stages() as report:
        text, to_fill = draft(args.checkpoint, lambda done, total: report("hash", done, total))
    write_text(path, text, sync=True)
    out = wide_console()
    out.print(f"[bold]{plain(path)}[/] written; fill in {len(to_fill)} fields:")
    for name in to_fill:
        out.print(f"  {name}")
    return 0


def _check_card_place(path: Path, force: bool) -> None:
    """Only a card is replaced: this name may be given to any file."""
    from mobile_vla.checkpoint.card import card_present

    if path.suffix not in {".yaml", ".yml"}:
        raise UserError(f"{path} must end in .card.yaml; rename it")
    if card_present(path) and not force:
        raise UserError(f"{path} exists; edit it, choose another name with --out, or give --force")
    check_place(path)
    if path.exists() and not _CARD.search(read_text(path, MAX_BYTES)):
        raise UserError(f"{path} exists and is no card (it has no line `format:`); choose another name with --out")


def _check(args: argparse.Namespace) -> int:
    from mobile_vla.checkpoint.card_text import load_card

    card = load_card(args.card)
    if args.checkpoint is not None:
        from mobile_vla.engine.report import inspect

        inspection = inspect(args.checkpoint, args.card)
        if inspection.card_error:
            raise UserError(f"card {args.card}: {inspection.card_error}")
        if inspection.examined.problems:
            raise UserError(f"{args.checkpoint}: {inspection.examined.problems.message}; see `vla checkpoint inspect`")
    out = wide_console()
    out.print(f"[green]ok[/] {plain(card.name)}: {card.action.space}, {', '.join(card.features)}, window {card.window}")
    return 0
