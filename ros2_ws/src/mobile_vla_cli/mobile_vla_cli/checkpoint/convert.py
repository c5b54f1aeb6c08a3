"""`vla checkpoint convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla_cli.flags import checkpoint, threads
from mobile_vla_cli.outputs import OutputInNewFolder, check_outputs, checkpoint_files
from mobile_vla_cli.render import print_json, stages, wide_console
from mobile_vla_cli.screen_text import plain

HELP = """Convert a checkpoint to safetensors, tensor by tensor: a small machine needs memory for one tensor only.

Drops optimizer state, records a probe of the source, proves the result against it, and writes card and sha256. The
result appears under its name only when all of that has succeeded. `--keep` removes layers: an experiment, recorded
in the card as no longer the trained policy."""
EPILOG = """vla checkpoint convert policy.pth policy-bf16.safetensors --dtype bf16
vla checkpoint convert policy.pth policy-int8.safetensors --dtype int8
vla checkpoint convert policy.pth half.safetensors --dtype bf16 --keep kosmos.text=12 --keep clip.vision=6"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """SRC DST --dtype --card --keep --weights --force --threads --json."""
    parser.add_argument("source", type=checkpoint, metavar="SRC", help="checkpoint")
    parser.add_argument("destination", type=OutputInNewFolder, metavar="DST", help="new .safetensors file")
    parser.add_argument("--dtype", required=True, choices=("fp32", "fp16", "bf16", "int8"), help="stored number format")
    parser.add_argument("--card", type=Path, metavar="CARD", help="the source's card (default: SRC.card.yaml)")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="STACK=N", help="keep N layers of kosmos.text, clip.vision, ..."
    )
    parser.add_argument(
        "--weights",
        default="",
        metavar="KEY",
        help="which weights of a .pth that holds several (ema_state_dict)",
    )
    parser.add_argument("--force", action="store_true", help="replace DST and its card when they exist")
    parser.add_argument("--threads", type=threads, default=1, metavar="N", help="CPU threads of the probe (default: 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Convert and print what was done."""
    keep = dict(_keep(text) for text in args.keep)
    from mobile_vla.checkpoint.card import card_path, refuse_long_name

    refuse_long_name(args.destination)
    card = OutputInNewFolder(card_path(args.destination))
    check_outputs(args, also_read=checkpoint_files(args.source, args.card), also_written=[card])
    import torch

    from mobile_vla.engine.convert import ConversionJob, convert

    torch.set_num_threads(args.threads)
    with stages() as report:
        job = ConversionJob(args.source, args.destination, args.dtype, args.card, keep, args.force, args.weights)
        result = convert(job, report)
    if args.json:
        print_json(result)
        return 0
    out = wide_console()
    out.print(
        f"[bold]{plain(result['destination'])}[/]: "
        f"{result['bytes_in'] / 1e9:.3f} GB -> {result['bytes_out'] / 1e9:.3f} GB"
    )
    if result["other_weights"]:
        out.print(f"  [yellow]not used[/]                  {', '.join(result['other_weights'])}; see --weights")
    if result["casts"]:
        out.print(f"  {result['casts']}")
    out.print(f"  optimizer state dropped   {result['optimizer_bytes_dropped'] / 1e9:.3f} GB")
    if result["int8_relative_error"]:
        error = result["int8_relative_error"]
        out.print(f"  int8 error per matrix     mean {error['mean']:.2g}, worst {error['worst']:.2g}")
    out.print(f"  probe against the source  {result['probe_deviation']:.2g} of the outputs' spread")
    if result["modified"]:
        out.print(f"  [yellow]modified[/]                  {result['modified']}")
    out.print(f"  sha256                    {result['sha256']}")
    out.print(f"  took                      {result['seconds']} s")
    return 0


_MOST_DIGITS = 4


def _keep(text: str) -> tuple[str, int]:
    stack, _, count = text.partition("=")
    if not count.isdecimal() or len(count) > _MOST_DIGITS:
        raise UserError(f"--keep {text[:60]} is not STACK=N; write for example --keep kosmos.text=12")
    return stack, int(count)
