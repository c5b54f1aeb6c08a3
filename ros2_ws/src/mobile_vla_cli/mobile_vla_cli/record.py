"""`vla record`: the graph into a bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mobile_vla.bags.bag_place import refuse_bag_place
from mobile_vla.bags.config import RecorderConfig
from mobile_vla.errors import UserError
from mobile_vla.files import expanded
from mobile_vla_cli.flags import add_config_flags, config_from

HELP = """Record the topics of the graph into a rosbag2 folder (mcap) until Ctrl-C.

The folder opens in `ros2 bag`, Foxglove and the `rosbags` library. While it is being written it is called
<name>.recording; after a crash --recover completes it."""
EPILOG = """vla record
vla record --name lab --profile driving --images jpeg --split-s 600
vla record --no-continuous --ring-s 30     # keep 30 s in memory until they are asked for:
ros2 service call /recorder/save std_srvs/srv/Trigger
vla record --recover recordings/lab.recording"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", default="", metavar="NAME", help="namespace of the robot")
    parser.add_argument(
        "--recover", type=Path, metavar="BAG", help="complete a bag that a killed recorder left, and stop"
    )
    add_config_flags(parser, RecorderConfig, "what is recorded, and where to")


def run(args: argparse.Namespace) -> int:
    if args.recover is not None:
        return _recover(args.recover)
    from mobile_vla_cli.node_process import exec_node

    config = config_from(args, RecorderConfig)
    refuse_bag_place(expanded(config.out_dir) / (config.name or "vla"), least_free_mb=config.min_free_mb)
    return exec_node("mobile_vla_nodes.recorder", "recorder", config, args.namespace)


def _recover(folder: Path) -> int:
    from mobile_vla.bags.recover import recover

    if not folder.is_dir():
        raise UserError(f"--recover {folder} is not a folder; name the folder of the bag, <name>.recording")
    path, messages, cut = recover(folder)
    lost = f"; {cut} bytes at the end could not be kept" if cut else ""
    Console(highlight=False, soft_wrap=True).print(f"{path}: {messages} messages{lost}", markup=False)
    return 0
