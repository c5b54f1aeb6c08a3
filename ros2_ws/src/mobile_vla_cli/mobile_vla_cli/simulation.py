"""What the commands of `vla sim` share: flags, settings, progress, files."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobile_vla.errors import UserError, nearest
from mobile_vla_cli.flags import add_set_flag, overrides_from

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


def add_job_flags(parser: argparse.ArgumentParser, episodes: int) -> None:
    """Which policy, in which rooms, under which rules, on how many processors."""
    add_room_flags(parser, episodes)
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes; the results do not depend on it (default: one per core)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_room_flags(parser: argparse.ArgumentParser, episodes: int) -> None:
    """Which policy, in which rooms, under which rules."""
    parser.add_argument("--policy", metavar="NAME", help="a name from config/policies, or a path to a YAML file")
    parser.add_argument("--device", default="cpu", metavar="NAME", help="a name from config/devices (default: cpu)")
    parser.add_argument(
        "--suite", default="standard", help="standard, hard, unseen, paraphrase or barn (default: standard)"
    )
    parser.add_argument(
        "--episodes",
        type=int,
        default=episodes,
        metavar="N",
        help=f"rooms of each driver (default: {episodes})",
    )
    parser.add_argument("--first", type=int, default=0, metavar="N", help="skip the suite's first N rooms (default: 0)")
    parser.add_argument(
        "--gate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="send the policy's actions through the safety gate, as on a robot (default: yes)",
    )
    parser.add_argument(
        "--rate-hz", type=float, default=0.0, metavar="X", help="decisions per second (default: the policy's)"
    )
    parser.add_argument("--limit-s", type=float, default=60.0, metavar="X", help="time limit per episode (default: 60)")
    add_set_flag(parser)


def check_job_flags(args: argparse.Namespace) -> None:
    """Refuse what cannot be run, before anything is loaded; settle the number of workers."""
    from mobile_vla_bench.closed_loop.benchmark import cores

    args.workers = cores() if args.workers is None else args.workers
    if args.workers < 1:
        raise UserError(f"--workers must be >= 1, got {args.workers}")
    check_room_flags(args)


def check_room_flags(args: argparse.Namespace) -> None:
    """Refuse rooms and rules that cannot be driven."""
    if args.episodes < 1:
        raise UserError(f"--episodes must be >= 1, got {args.episodes}")
    if args.first < 0 or not 0 <= args.rate_hz <= 50 or not 1 <= args.limit_s <= 600:
        raise UserError(
            f"--first must be >= 0, --rate-hz from 0 to 50 and --limit-s from 1 to 600, "
            f"got {args.first}, {args.rate_hz:g} and {args.limit_s:g}"
        )


def command_line(args: argparse.Namespace, command: str, *more: str) -> str:
    """What a report says it was made by: every flag about rooms and rules that is not at its default, and `more`."""
    usual = {"device": "cpu", "first": 0, "rate_hz": 0.0, "limit_s": 60.0}
    parts = [f"vla sim {command}", *([f"--policy {args.policy}"] if args.policy else [])]
    parts.append(f"--suite {args.suite} --episodes {args.episodes}")
    parts += [
        f"--{name.replace('_', '-')} {value:g}" if isinstance(value, float) else f"--{name.replace('_', '-')} {value}"
        for name, value in ((name, getattr(args, name)) for name in usual)
        if value != usual[name]
    ]
    parts += [] if args.gate else ["--no-gate"]
    return " ".join([*parts, *(f"--set {text}" for text in args.overrides), *more])


def listed(text: str | None, known: Iterable[str], flag: str) -> list[str]:
    """Names between commas, each once."""
    known = list(known)
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UserError(f"{flag}: unknown name '{name}'; {nearest(name, known)}")
    return list(dict.fromkeys(names))


def make_job(args: argparse.Namespace, driver: str, needs_policy: bool) -> tuple[Any, dict[str, Any]]:
    """The job that the flags describe, and what to say about it. A policy is loaded once here: what is wrong with it
    is said before anything drives.
    """
    from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob, open_for
    from mobile_vla_sim.episode import Rules

    if needs_policy and not args.policy:
        raise UserError("a policy is needed for these drivers; name one with --policy")
    graph, scale = graph_of(args, args.policy or "", args.device)
    controller, inference = graph.node("controller").config, graph.node("inference").config
    job = BenchmarkJob(
        driver=driver,
        suite=args.suite,
        episodes=args.episodes,
        first=args.first,
        rules=Rules(control_rate_hz=args.rate_hz, limit_s=args.limit_s, scale=scale),
        simulator=graph.node("simulator").config,
        inference=inference if needs_policy else None,
        gate=controller if args.gate else None,
    )
    facts = {
        "suite": args.suite,
        "seeds": f"{job.seeds.start} to {job.seeds.stop - 1}",
        "through": "safety gate" if args.gate else "no gate",
        "policy": args.policy or "none",
    }
    if needs_policy:
        said = open_for(job).description
        facts |= {"checkpoint": inference.checkpoint, "device": inference.device, "threads": inference.threads}
        facts |= {key: said[key] for key in ("weights", "engine", "dtype") if key in said}
    return job, facts


def graph_of(args: argparse.Namespace, policy: str, device: str) -> tuple[Any, Any]:
    """The settings that `vla up --robot sim` would use, with a smaller camera image, and what an action of 1 means."""
    from mobile_vla.config.sections import merged
    from mobile_vla.control import ControllerConfig
    from mobile_vla_bringup.graph import Choice, describe
    from mobile_vla_sim.drivers import ActionScale

    overrides = merged({"simulator": {"camera": {"width_px": 320, "height_px": 240}}}, overrides_from(args))
    graph = describe(Choice(robot="sim", policy=policy, device=device), overrides)
    controller = graph.node("controller").config
    assert isinstance(controller, ControllerConfig)
    action = controller.action
    return graph, ActionScale(action.linear_mps, action.turn_radps, action.lateral_mps, action.space)


@contextmanager
def progress_bar(total: int) -> Iterator[Any]:
    """A function `advance(name, result)` that moves a bar on stderr."""
    with Progress(*_COLUMNS, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda name, _: bar.update(task, advance=1, description=name)
