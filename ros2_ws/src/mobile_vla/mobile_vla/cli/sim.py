"""`vla sim`: the simulated robot without a graph."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich_argparse import RawDescriptionRichHelpFormatter

from mobile_vla.cli.flags import add_set_flag, overrides_from
from mobile_vla.cli.render import print_figures
from mobile_vla.errors import UserError, nearest

HELP = "Drive simulated rooms without a graph, faster than real time, and count what came of it."
EPILOG = "vla sim bench --policy untrained --episodes 20\nvla sim bench --drivers expert,straight,random --episodes 200"
BENCH_HELP = """Closed-loop benchmark: a policy in the rooms of a suite, beside drivers to compare it with.

The same policy is also run blind (a grey image), deaf (told another object of the room) and asked for an object that
is absent: these show that it looks and listens. Rooms are decided by fixed seeds that training never uses."""
BENCH_EPILOG = """vla sim bench --policy own --episodes 200 --workers 2 --html bench.html
vla sim bench --policy own --suite unseen --json
vla sim bench --drivers expert --suite hard --episodes 100
vla sim bench --policy own --curves action_delay_s,camera.noise_std --episodes 50"""
RECORD_HELP = """Drive training rooms with the expert and write a bag with the topics of a real robot.

The expert is pushed off its way now and then, so that the bag shows how to come back. With --policy the policy drives
and the expert takes over now and then: the bag says teleop there, as when a person corrects a robot."""
RECORD_EPILOG = """vla sim record expert_bag --episodes 50
vla sim record corrections --policy own --episodes 30      # then: vla dataset build corrections --who teleop ..."""
_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)
DRIVERS = ("policy", "expert", "straight", "random", "blind", "deaf", "absent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="NAME", dest="sim", required=True)
    bench = commands.add_parser(
        "bench",
        help="closed-loop benchmark",
        description=BENCH_HELP,
        epilog=BENCH_EPILOG,
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    bench.add_argument("--policy", metavar="NAME", help="a name from config/policies, or a path to a YAML file")
    bench.add_argument("--device", default="cpu", metavar="NAME", help="a name from config/devices (default: cpu)")
    bench.add_argument("--suite", default="standard", help="standard, hard, unseen or paraphrase (default: standard)")
    bench.add_argument("--episodes", type=int, default=50, metavar="N", help="episodes of each driver (default: 50)")
    bench.add_argument("--first", type=int, default=0, metavar="N", help="skip the suite's first N rooms (default: 0)")
    bench.add_argument(
        "--drivers",
        metavar="A,B",
        help=f"who drives (default: all with a policy, else expert,straight,random): {', '.join(DRIVERS)}",
    )
    bench.add_argument(
        "--gate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="send the policy's actions through the safety gate, as on a robot (default: yes)",
    )
    bench.add_argument(
        "--rate-hz", type=float, default=0.0, metavar="X", help="decisions per second (default: the policy's)"
    )
    bench.add_argument("--limit-s", type=float, default=60.0, metavar="X", help="patience per episode (default: 60)")
    bench.add_argument("--curves", metavar="A,B", help="also vary these: all, or names as in the report")
    bench.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1)")
    bench.add_argument("--json", action="store_true", help="print JSON")
    bench.add_argument("--out", type=Path, metavar="FILE", help="also write the JSON to a file")
    bench.add_argument("--html", type=Path, metavar="FILE", help="write a self-contained page")
    add_set_flag(bench)
    bench.set_defaults(run=run_bench)
    record = commands.add_parser(
        "record",
        help="episodes of the expert as a bag",
        description=RECORD_HELP,
        epilog=RECORD_EPILOG,
        formatter_class=RawDescriptionRichHelpFormatter,
    )
    record.add_argument("bag", type=Path, metavar="BAG", help="new folder for the bag")
    record.add_argument("--episodes", type=int, default=10, metavar="N", help="how many (default: 10)")
    record.add_argument("--first", type=int, default=0, metavar="N", help="seed of the first room (default: 0)")
    record.add_argument(
        "--push-share", type=float, default=0.3, metavar="X", help="share of time the expert is pushed (default: 0.3)"
    )
    record.add_argument("--policy", metavar="NAME", help="let this policy drive, corrected by the expert")
    record.add_argument(
        "--expert-share",
        type=float,
        default=0.3,
        metavar="X",
        help="share of time the expert takes over (default: 0.3)",
    )
    add_set_flag(record)
    record.set_defaults(run=run_record)


def run_record(args: argparse.Namespace) -> int:
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
    if args.first + args.episodes > FIRST_BENCHMARK_SEED:
        raise UserError(
            f"--first and --episodes must stay below room {FIRST_BENCHMARK_SEED}, where the benchmark's rooms begin; "
            "what is recorded here must not be measured on"
        )
    graph, scale = _graph(args, args.policy or "untrained", "cpu")
    driver = _recorded_driver(args, graph.node("inference").config, scale)
    seeds = range(args.first, args.first + args.episodes)
    simulator = SUITES["standard"].config(graph.node("simulator").config)
    with Progress(*_COLUMNS, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("recording", total=args.episodes)
        with World(simulator, args.first) as world, BagWriter(args.bag) as bag:
            rules = Rules(scale=scale)
            results = record_episodes(world, seeds, driver, bag, rules, progress=lambda _: bar.advance(task))
    arrived = sum(result.success for result in results)
    Console(soft_wrap=True).print(f"{args.bag}: {len(results)} episodes, {arrived} arrived", highlight=False)
    return 0


def _recorded_driver(args: argparse.Namespace, inference: Any, scale: Any) -> Any:
    """The pushed expert, or a policy from which the expert takes over now and then."""
    from mobile_vla_sim.noisy import Corrected, NoisyExpert

    if not args.policy:
        return NoisyExpert(scale, args.push_share)
    from mobile_vla.engine import open_policy
    from mobile_vla_sim.drivers import PolicyDriver

    return Corrected(PolicyDriver(open_policy(inference)), scale, args.expert_share)


def run_bench(args: argparse.Namespace) -> int:
    from mobile_vla.figures import executed
    from mobile_vla_sim.bench_report import CURVES, page_of, report_of, run_all, run_curves

    _check(args)
    drivers = _listed(args.drivers, DRIVERS, "--drivers") if args.drivers else _default_drivers(args.policy)
    curve_names = list(CURVES) if args.curves == "all" else _listed(args.curves, CURVES, "--curves")
    job, facts = _job(args, drivers)
    total = args.episodes * (len(drivers) + sum(len(CURVES[name][1]) for name in curve_names))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total + (args.episodes if args.suite == "paraphrase" else 0))

        def advance(name: str, result: Any) -> None:
            bar.update(task, advance=1, description=name)

        outcomes = run_all(job, drivers, args.workers, advance)
        curves = run_curves(job, curve_names, args.workers, advance)
    facts = executed(**facts, workers=args.workers)
    report = report_of(outcomes, _command(args), facts)
    if args.html is not None:
        _write(args.html, page_of(outcomes, curves, report))
    if args.out is not None and not args.out.parent.is_dir():
        raise UserError(f"--out {args.out}: the folder {args.out.parent} does not exist; make it first")
    return print_figures(report, args.json, args.out)


def _check(args: argparse.Namespace) -> None:
    for name in ("episodes", "workers"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} must be >= 1, got {getattr(args, name)}")
    if args.first < 0 or not 0 <= args.rate_hz <= 50 or not 1 <= args.limit_s <= 600:
        raise UserError(
            f"--first must be >= 0, --rate-hz from 0 to 50 and --limit-s from 1 to 600, "
            f"got {args.first}, {args.rate_hz:g} and {args.limit_s:g}"
        )


def _default_drivers(policy: str | None) -> list[str]:
    return list(DRIVERS) if policy else ["expert", "straight", "random"]


def _listed(text: str | None, known: Any, flag: str) -> list[str]:
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UserError(f"{flag}: unknown name '{name}'; {nearest(name, known)}")
    return list(dict.fromkeys(names))


def _job(args: argparse.Namespace, drivers: list[str]) -> tuple[Any, dict[str, Any]]:
    from mobile_vla_sim.benchmark import OF_POLICY, Job
    from mobile_vla_sim.episode import Rules

    graph, scale = _graph(args, args.policy or "untrained", args.device)
    controller, inference = graph.node("controller").config, graph.node("inference").config
    needs_policy = bool(set(drivers) & set(OF_POLICY)) or args.curves
    if needs_policy and not args.policy:
        raise UserError("a policy is needed for these drivers; name one with --policy")
    job = Job(
        driver=drivers[0],
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
        facts |= {"checkpoint": inference.checkpoint, "engine": inference.engine, "device": inference.device}
        facts |= {"dtype": inference.dtype, "threads": inference.threads}
    return job, facts


def _graph(args: argparse.Namespace, policy: str, device: str) -> tuple[Any, Any]:
    """The settings that `vla up --robot sim` would use, with a smaller camera image, and what an action of 1 means."""
    from mobile_vla.control import ControllerConfig
    from mobile_vla_bringup.graph import Choice, describe
    from mobile_vla_sim.drivers import ActionScale

    overrides: dict[str, dict[str, Any]] = {"simulator": {"camera": {"width_px": 320, "height_px": 240}}}
    for section, values in overrides_from(args).items():
        overrides.setdefault(section, {}).update(values)
    graph = describe(Choice(robot="sim", policy=policy, device=device), overrides)
    controller = graph.node("controller").config
    assert isinstance(controller, ControllerConfig)
    action = controller.action
    return graph, ActionScale(action.linear_mps, action.turn_radps, action.lateral_mps)


def _command(args: argparse.Namespace) -> str:
    policy = f" --policy {args.policy}" if args.policy else ""
    gate = "" if args.gate else " --no-gate"
    return f"vla sim bench{policy} --suite {args.suite} --episodes {args.episodes}{gate}"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--html {path} cannot be written ({error.strerror}); choose another place") from error
