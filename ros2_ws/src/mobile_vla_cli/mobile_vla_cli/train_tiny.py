"""`vla train tiny`: the small policy of the simulator, from nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla.train.config import RecipeConfig
from mobile_vla_cli.flags import add_config_flags, config_from

HELP = """Train the small policy from nothing: make rooms and drives, pretrain the towers,
teach the head to drive, let it drive and correct it, write checkpoint and card.

Needs the simulator and no data. Can be interrupted: the same command goes on where it stopped. Measure the result
with `vla sim bench`."""
EPILOG = """vla train tiny --out out/tiny
vla train tiny --out out/try --pose-shards 20 --towers-steps 2000 --rounds 0      # quick, and much weaker"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="work folder; the policy is written there"
    )
    add_config_flags(parser, RecipeConfig, "recipe")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_bringup.graph import Choice, describe
    from mobile_vla_sim.simulated_lessons import recipe

    config = config_from(args, RecipeConfig)
    folder: Path = args.out
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; name a folder")
    graph = describe(Choice(robot="sim"))
    simulator: Any = graph.node("simulator").config
    gate: Any = graph.node("controller").config
    console = Console(soft_wrap=True, highlight=False)
    checkpoint = recipe(config, simulator, gate, folder, console.print).run()
    console.print(
        f"{checkpoint}: measure it with `vla sim bench --policy FILE`, FILE naming it as inference.checkpoint"
    )
    return 0
