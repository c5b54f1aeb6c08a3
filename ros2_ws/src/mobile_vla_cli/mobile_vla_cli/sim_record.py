"""`vla sim record`: simulated drives as bags."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla.train.config import TinySize
from mobile_vla_cli.flags import add_set_flag
from mobile_vla_cli.simulation import graph_of, progress_bar

HELP = """Drive training rooms with the expert and write a bag with the topics of a real robot.

The expert is pushed off its way now and then, so that the bag shows how to come back; the bag says teleop, as where a
person drives. With --policy the policy drives and the expert takes over now and then: the bag says teleop there only,
as when a person corrects a robot."""
EPILOG = """vla sim record expert_bag --episodes 50
vla sim record corrections --policy own --episodes 30
vla dataset build expert_bag corrections --who teleop --out data/mixed"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path, metavar="BAG", help="new folder for the bag")
    parser.add_argument("--episodes", type=int, default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="seed of the first room (default: 0)")
    parser.add_argument(
        "--push-share", type=float, default=0.3, metavar="X", help="share of time the expert is pushed (default: 0.3)"
    )
    parser.add_argument("--policy", metavar="NAME", help="let this policy drive, corrected by the expert")
    parser.add_argument(
        "--expert-share",
        type=float,
        default=0.3,
        metavar="X",
        help="share of time the expert takes over (default: 0.3)",
    )
    parser.add_argument(
        "--remembers-s",
        type=float,
        default=TinySize().memory_s,
        metavar="X",
        help="how long the expert knows where a goal is that it does not see: as long as the policy that is to learn "
        f"from it (default: {TinySize().memory_s:g})",
    )
    add_set_flag(parser)


def run(args: argparse.Namespace) -> int:
    from mobile_vla.bags.writer import BagWriter
    from mobile_vla_sim.episode import Rules
    from mobile_vla_sim.recording import record_episodes
    from mobile_vla_sim.suites import FIRST_BENCHMARK_SEED, SUITES
    from mobile_vla_sim.world import World

    if args.episodes < 1 or args.first < 0 or not 0 <= args.push_share <= 1 or not 0 <= args.expert_share <= 1:
        raise UserError(
            "--episodes must be >= 1, --first >= 0, --push-share and --expert-share from 0 to 1, "
            f"got {args.episodes}, {args.first}, {args.push_share:g} and {args.expert_share:g}"
        )
    if not args.remembers_s > 0.0:
        raise UserError(f"--remembers-s must be > 0 (inf: for ever), got {args.remembers_s:g}")
    if args.first + args.episodes > FIRST_BENCHMARK_SEED:
        raise UserError(
            f"--first and --episodes must stay below room {FIRST_BENCHMARK_SEED}, where the benchmark's rooms begin; "
            "what is recorded here must not be measured on"
        )
    graph, scale = graph_of(args, args.policy or "", "cpu")
    driver = _recorded_driver(args, graph.node("inference").config, scale)
    seeds = range(args.first, args.first + args.episodes)
    simulator = SUITES["standard"].config(graph.node("simulator").config)
    with progress_bar(args.episodes) as advance, World(simulator, args.first) as world, BagWriter(args.bag) as bag:
        rules = Rules(scale=scale)
        results = record_episodes(world, seeds, driver, bag, rules, progress=lambda one: advance("recording", one))
    arrived = sum(result.success for result in results)
    Console(soft_wrap=True).print(f"{args.bag}: {len(results)} episodes, {arrived} arrived", highlight=False)
    return 0


def _recorded_driver(args: argparse.Namespace, inference: Any, scale: Any) -> Any:
    """The pushed expert, or a policy from which the expert takes over now and then."""
    from mobile_vla_sim.noisy import CorrectedPolicy, NoisyExpert

    if not args.policy:
        return NoisyExpert(scale, args.push_share, remembers_s=args.remembers_s)
    from mobile_vla.engine import open_policy
    from mobile_vla_sim.drivers import PolicyDriver

    policy = PolicyDriver(open_policy(inference))
    return CorrectedPolicy(policy, scale, args.expert_share, remembers_s=args.remembers_s)
