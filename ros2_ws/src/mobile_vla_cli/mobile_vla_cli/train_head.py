"""`vla train head`: a checkpoint's head fitted on recordings."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mobile_vla.train.head.config import FitConfig
from mobile_vla_cli.flags import add_config_flags, checkpoint, config_from, threads
from mobile_vla_cli.outputs import OutputInNewFolder, check_outputs, checkpoint_files
from mobile_vla_cli.render import print_json

HELP = """Fit fusion, LSTM and MLP of a checkpoint on a data set of `vla dataset build`; the towers stay as they are.

What the towers see is computed once and kept, so a second run starts at once. After every epoch the state is on disk:
the same command goes on after a kill. The result is a normal checkpoint with card, probe and checksum."""
EPILOG = """vla train head --checkpoint base.safetensors --data data/lab --out lab.safetensors
vla train head --checkpoint base.safetensors --data data/lab --out lab2.safetensors --rate 3e-4 --no-fresh"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", required=True, type=checkpoint, metavar="C", help="the policy whose towers are used"
    )
    parser.add_argument("--card", type=Path, metavar="FILE", help="its card, where it is not beside it")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="a data set made by vla dataset build")
    parser.add_argument(
        "--out", required=True, type=OutputInNewFolder, metavar="FILE", help="the new checkpoint (.safetensors)"
    )
    parser.add_argument(
        "--robot", default="diff", metavar="NAME", help="robot whose full speeds mean 1 (default: diff)"
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="features and state (default: DATA/training)")
    parser.add_argument("--threads", type=threads, default=1, metavar="N", help="CPU threads (default: 1)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_config_flags(parser, FitConfig, "how it is fitted")


def run(args: argparse.Namespace) -> int:
    import torch

    from mobile_vla.bags.dataset.manifest import load_manifest
    from mobile_vla.train.head.fit import Epoch
    from mobile_vla.train.head.run import as_dict, train_head
    from mobile_vla_cli.eval import controller_of

    torch.set_num_threads(args.threads)
    config = config_from(args, FitConfig)
    check_outputs(args, also_read=checkpoint_files(args.checkpoint, args.card))
    manifest = load_manifest(args.data)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    total = len(manifest.of_split("train")) + len(manifest.of_split("val"))
    done = 0

    def on_episode(name: str) -> None:
        nonlocal done
        done += 1
        console.print(f"features {done}/{total}: {name}", markup=False)

    def on_epoch(epoch: Epoch) -> None:
        errors = " and ".join(f"{value:.3f}" for value in epoch.val_mae)
        console.print(
            f"epoch {epoch.number + 1}: loss {epoch.train_loss:.4f}, held out {epoch.val_loss:.4f}, error {errors}"
        )

    result = train_head(
        args.checkpoint,
        manifest,
        args.out,
        controller_of(args.robot),
        config,
        card_file=args.card,
        work=args.work,
        on_episode=on_episode,
        on_epoch=on_epoch,
    )
    if args.json:
        print_json(as_dict(result))
        return 0
    say = Console(highlight=False, soft_wrap=True).print
    if result.resumed_at:
        say(f"went on after epoch {result.resumed_at}")
    for axis in (0, 1):
        say(
            f"output {axis + 1}: held-out error {result.best.val_mae[axis]:.3f}, "
            f"always the training mean {result.baseline_mae[axis]:.3f}"
        )
    say(f"{result.checkpoint} (epoch {result.best.number + 1} of {result.epochs}), curves in {result.report}")
    return 0
