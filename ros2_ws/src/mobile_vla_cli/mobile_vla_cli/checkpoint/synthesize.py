"""`vla checkpoint synthesize`."""

from __future__ import annotations

import argparse

from mobile_vla.errors import UserError
from mobile_vla_cli.outputs import OutputInNewFolder, check_outputs
from mobile_vla_cli.render import stages, wide_console
from mobile_vla_cli.screen_text import plain

HELP = """Write a checkpoint of the exact shapes with random weights, its card (marked untrained) and its tokenizer.

For tests, for planning memory, and for the simulator. Written tensor by tensor: the 7 GB one needs under 1 GB."""
EPILOG = """vla checkpoint synthesize --size tiny --layout documented tiny.safetensors
vla checkpoint synthesize --size full --layout reconstructed --container training_container full.pth"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """OUT --size --layout --container --seed --force."""
    parser.add_argument("out", type=OutputInNewFolder, metavar="OUT", help="new .safetensors, .pth or .pt file")
    parser.add_argument("--size", required=True, choices=("tiny", "small", "full"), help="1 MB, about 70 MB, or 7 GB")
    parser.add_argument("--layout", required=True, choices=("documented", "reconstructed", "tanh"), help="the head")
    parser.add_argument(
        "--container",
        type=lambda text: {"wild": "training_container"}.get(text, text),  # its earlier name
        choices=("plain", "training_container"),
        default="plain",
        help="training_container: as a training script leaves it, with optimizer state (.pth)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the weights (default: 0)")
    parser.add_argument("--force", action="store_true", help="replace OUT and its card when they exist")


def run(args: argparse.Namespace) -> int:
    """Generate and say where."""
    from mobile_vla.checkpoint.card import card_path, card_present, refuse_long_name
    from mobile_vla.engine.synthetic import SyntheticSpec, synthesize

    refuse_long_name(args.out)
    check_outputs(args, also_written=[OutputInNewFolder(card_path(args.out))])
    if args.out.exists() and (args.out.is_dir() or not args.force):
        raise UserError(f"{args.out} exists; remove it, choose another name, or give --force")
    if card_present(card_path(args.out)) and not args.force:
        raise UserError(f"{card_path(args.out)} exists and would be overwritten; move it away, or give --force")
    order = SyntheticSpec(args.size, args.layout, args.seed, args.container == "training_container")
    with stages() as report:
        card = synthesize(args.out, order, lambda done, total: report("write", done, total))
    what = f"{args.out.stat().st_size / 1e9:.3f} GB, {card.name}, [yellow]UNTRAINED[/] (random weights)"
    console = wide_console()
    console.print(f"[bold]{plain(args.out)}[/] {what}")
    tokenizer = args.out.parent / card.tokenizers.kosmos
    console.print(f"beside it: {plain(card_path(args.out))} (its card), {plain(tokenizer)}/ (its tokenizer)")
    return 0
