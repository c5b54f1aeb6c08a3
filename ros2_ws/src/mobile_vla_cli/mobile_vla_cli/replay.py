"""`vla replay`: a bag into the graph again."""

from __future__ import annotations

import argparse

from mobile_vla.bags.config import ReplayConfig
from mobile_vla_cli.flags import add_config_flags, config_from

HELP = """Publish a bag into the graph again, with its original timing: for testing live nodes.

The robot's command topic (cmd_vel) is left out unless it is named with --topics, because a replayed command moves a
real base. Nodes judge images by their age: either give them --clock and start them with use_sim_time, or --restamp.
To judge a policy, `vla eval` is faster and deterministic."""
EPILOG = """vla replay recordings/lab --restamp
vla replay recordings/lab --clock --rate 0.5 --start-s 10 --end-s 20 --loop
vla replay recordings/lab --topics camera/image_raw,instruction --remaps camera/image_raw:=front/image_raw"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", metavar="BAG", help="the bag: a folder, or one .mcap or .db3 file")
    parser.add_argument("--namespace", default="", metavar="NAME", help="namespace of the replaying node")
    add_config_flags(parser, ReplayConfig, "what is published, and how", skip=("bag",))


def run(args: argparse.Namespace) -> int:
    from mobile_vla_cli.node_process import exec_node

    return exec_node("mobile_vla_nodes.replay", "replay", config_from(args, ReplayConfig, bag=args.bag), args.namespace)
