"""`vla eval`: how well does a policy agree with recordings."""

from __future__ import annotations

import argparse
import contextlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla.resources import SHIPPED_POLICY
from mobile_vla_cli.flags import check_numbers, checkpoint, threads
from mobile_vla_cli.outputs import OutputFile, check_outputs, checkpoint_files, output_or_screen
from mobile_vla_cli.render import print_json

if TYPE_CHECKING:
    from mobile_vla.control import ControllerConfig
    from mobile_vla.engine.config import InferenceConfig
    from mobile_vla.evaluate.evaluation import NamedPolicy
    from mobile_vla.evaluate.results import Evaluation

HELP = """Run a policy over recordings, without a graph, and compare its commands with the recorded ones.

The bag is read directly and the policy steps on every frame, so the result is the same every time and as fast as
the machine allows. Every error stands beside what trivial policies get: always the mean, repeat the last command,
stand still. Topics are found by type; a choice is asked for when two fit."""
EPILOG = """vla eval recordings/lab --html report.html
vla eval recordings/* --checkpoint old.safetensors --checkpoint new.safetensors --json result.json
vla eval recordings/lab --gate --latency-ms 120 --drop 0.1 --video eval.mp4
vla eval recordings/lab --frames frames.csv"""

ROLES = ("image", "command", "instruction", "odometry", "mode", "scan", "range")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bags", metavar="BAG", nargs="+", type=Path, help="bag folders, or .mcap, .db3, .bag files")
    what = parser.add_argument_group("what is run")
    what.add_argument(
        "--checkpoint", action="append", default=[], metavar="C", help="checkpoint file; twice: compare two"
    )
    what.add_argument(
        "--policy", default="", metavar="NAME", help="policy from config/policies (default: the shipped one)"
    )
    what.add_argument(
        "--robot", default="diff", metavar="NAME", help="robot whose scales and limits apply (default: diff)"
    )
    what.add_argument("--instruction", default="", metavar="TEXT", help="instead of the recorded instruction")
    what.add_argument(
        "--threads", type=threads, default=1, metavar="N", help="CPU threads of the arithmetic (default: 1)"
    )
    what.add_argument(
        "--gate",
        action="store_true",
        help="send the actions through the controller's gate, which gets the recorded scan, range and odometry",
    )
    what.add_argument("--closed", dest="gate", action="store_true", help=argparse.SUPPRESS)  # its earlier name
    what.add_argument("--latency-ms", type=float, default=0.0, metavar="X", help="simulated time from image to action")
    what.add_argument(
        "--drop", type=float, default=0.0, metavar="SHARE", help="share of frames the policy does not see"
    )
    what.add_argument("--seed", type=int, default=0, metavar="N", help="which frames are dropped")
    part = parser.add_argument_group("which frames, which topics")
    part.add_argument("--start-s", type=float, default=0.0, metavar="X", help="begin this many seconds into each bag")
    part.add_argument("--end-s", type=float, default=0.0, metavar="X", help="stop there; 0: at the end")
    part.add_argument("--every-frame", action="store_true", help="also frames while the robot was not armed")
    part.add_argument(
        "--delay-ms", type=float, default=0.0, metavar="X", help="how much later than its image a command came"
    )
    part.add_argument("--tolerance-ms", type=float, default=100.0, metavar="X", help="how far from that it may be")
    for role in ROLES:
        part.add_argument(
            f"--{role}-topic",
            default="",
            metavar="TOPIC",
            help=argparse.SUPPRESS if role == "mode" else f"the {role} topic",
        )
    out = parser.add_argument_group("output")
    out.add_argument("--html", type=OutputFile, metavar="FILE", help="write a self-contained report")
    out.add_argument("--video", type=OutputFile, metavar="FILE", help="write a video with both commands as arrows")
    out.add_argument(
        "--frames", type=OutputFile, metavar="FILE", help="write what was predicted at every frame (.csv or .parquet)"
    )
    out.add_argument(
        "--json",
        nargs="?",
        const="-",
        type=output_or_screen,
        metavar="FILE",
        help="print the figures as JSON, or write them",
    )


def run(args: argparse.Namespace) -> int:
    _check(args)
    check_outputs(args, also_read=_files_read(args))
    from mobile_vla.evaluate.eval_metrics import metric_report
    from mobile_vla.evaluate.evaluation import check_bags, evaluate
    from mobile_vla.evaluate.frames import Selection
    from mobile_vla.evaluate.moments import EvaluationVideo, WorstMoments
    from mobile_vla.evaluate.rollout import RolloutFrame, full_speed
    from mobile_vla.evaluate.schedule import EvaluationOptions

    controller = controller_of(args.robot)
    options = EvaluationOptions(args.instruction, args.latency_ms, args.drop, args.seed, args.gate, args.every_frame)
    selection = Selection(args.start_s, args.end_s, args.delay_ms, args.tolerance_ms)
    chosen = {role: name for role in ROLES if (name := vars(args)[f"{role}_topic"])}
    check_bags(args.bags, controller, options, selection, chosen)  # a policy takes longer to load than a bag to open
    policies = _policies(args)
    untrained = [one.name for one in policies if one.policy.card.untrained]
    full = full_speed(controller)
    worst = WorstMoments(full)
    warning = f"UNTRAINED policy {untrained[0]}: random weights" if untrained else ""
    video = EvaluationVideo(args.video, full, warning=warning) if args.video else None
    with _progress() as (on_bag, on_time):

        def next_bag(path: str, seconds: float) -> None:
            worst.bag = path
            on_bag(path, seconds)

        def see(moment: RolloutFrame) -> None:
            worst(moment)
            if video is not None:
                video(moment)
            on_time(moment.t - args.start_s)

        try:
            evaluation = evaluate(
                args.bags, policies, controller, options, selection, chosen=chosen, on_moment=see, on_bag=next_bag
            )
        except BaseException as error:
            if video is not None:
                video.close(error)
            raise
    if video is not None:
        video.close()
    report = metric_report(evaluation, "vla eval", {one.name: one.policy.description for one in policies})
    if args.html is not None:
        _write_page(args, evaluation, worst.worst_first(), untrained)
    if args.frames is not None:
        from mobile_vla.evaluate.frames_file import write_frames

        write_frames(args.frames, evaluation)
    if args.json == "-":
        print_json(report.to_dict())
    else:
        if args.json:
            write_text(args.json, report.to_json() + "\n")
        _print(evaluation, untrained)
    return 0


def _check(args: argparse.Namespace) -> None:
    if len(args.checkpoint) > 2:
        raise UserError(f"--checkpoint was given {len(args.checkpoint)} times; one is evaluated, two are compared")
    if not 0 <= args.drop < 1:
        raise UserError(f"--drop must be from 0 to below 1, got {args.drop:g}")
    check_numbers(args, ("latency_ms", "start_s", "end_s", "tolerance_ms", "delay_ms", "seed"), signed=("delay_ms",))
    if args.end_s and args.end_s <= args.start_s:
        raise UserError(f"--end-s must be later than --start-s ({args.start_s:g}), got {args.end_s:g}")
    if args.video is not None and args.video.suffix != ".mp4":
        raise UserError(f"--video {args.video} must end in .mp4; name it so")
    if args.frames is not None:
        from mobile_vla.evaluate.frames_file import check_frames_file

        check_frames_file(args.frames)


def controller_of(robot: str) -> ControllerConfig:
    from mobile_vla.config import from_mapping
    from mobile_vla.config.sections import read_sections
    from mobile_vla.control import ControllerConfig

    sections = read_sections("robots", robot)
    return from_mapping(ControllerConfig, sections.get("controller", {}), f"robot {robot}")


def _policies(args: argparse.Namespace) -> list[NamedPolicy]:
    """Open and check what was named. No robot moves here, so an untrained policy may run; reports say so."""
    policies = [open_checked(args.policy, file, args.threads) for file in args.checkpoint or [""]]
    if len(policies) == 2 and policies[0].name == policies[1].name:
        policies = [one._replace(name=f"{one.name} ({place})") for place, one in zip("AB", policies, strict=True)]
    return policies


def open_checked(name: str, checkpoint: str, threads: int) -> NamedPolicy:
    """A policy of config/policies (the shipped one unless named), with another checkpoint if given; self-checked."""
    from mobile_vla.engine import open_policy
    from mobile_vla.evaluate.evaluation import NamedPolicy

    name = name or SHIPPED_POLICY
    label = Path(checkpoint).stem if checkpoint else name
    policy = open_policy(_inference_config(name, label, checkpoint, threads))
    policy.self_check()
    return NamedPolicy(label, policy)


def _inference_config(name: str, label: str, checkpoint: str, threads: int) -> InferenceConfig:
    from mobile_vla.config import from_mapping
    from mobile_vla.config.sections import read_sections
    from mobile_vla.engine.config import InferenceConfig

    settings: dict[str, Any] = read_sections("policies", name, {"inference"}).get("inference", {})
    values = {
        **settings,
        "allow_untrained": True,
        "threads": threads,
        **({"checkpoint": checkpoint} if checkpoint else {}),
    }
    return from_mapping(InferenceConfig, values, f"policy {label}")


def _files_read(args: argparse.Namespace) -> list[Path]:
    """What is read beside the bags: the files of robot and policy, and all that belongs to the checkpoints."""
    from mobile_vla.resources import named_file

    name = args.policy or SHIPPED_POLICY
    files = [named_file("robots", args.robot), named_file("policies", name)]
    for text in args.checkpoint or [""]:
        config = _inference_config(name, text or name, text, args.threads)
        files += checkpoint_files(
            checkpoint(config.checkpoint), Path(config.card).expanduser() if config.card else None
        )
    return files


def _write_page(args: argparse.Namespace, evaluation: Evaluation, worst: list[Any], untrained: list[str]) -> None:
    from mobile_vla.evaluate.eval_report import evaluation_page

    write_text(args.html, evaluation_page(evaluation, worst, untrained=untrained, video=args.video))


@contextlib.contextmanager
def _progress() -> Any:
    """A bar over the seconds of the current bag."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)

        def on_bag(path: str, seconds: float) -> None:
            progress.reset(task, total=max(seconds, 1e-3), description=Path(path).name)

        def on_time(seconds: float) -> None:
            progress.update(task, completed=seconds)

        yield on_bag, on_time


def _print(evaluation: Evaluation, untrained: list[str]) -> None:
    from mobile_vla.evaluate.eval_report import own_columns, verdicts

    console = Console(highlight=False, soft_wrap=True)
    for name in untrained:
        console.print(f"[bold yellow]UNTRAINED[/] policy {name}: random weights, its figures mean nothing")
    for result in evaluation.results:
        table = Table(title=result.name, title_justify="left", box=None, header_style="bold")
        heads = next((head for axis in result.axes if (head := own_columns(axis, "policy", "self"))), [])
        for column in ("", "policy", *(head for head, _ in heads), "mean", "repeat", "zero"):
            table.add_column(column, justify="right" if column else "left", no_wrap=True)
        for axis in result.axes:
            own = [one for _, one in own_columns(axis, "policy", "self")]
            for key in ("mae", "rmse", "r2", "correlation", "direction_agreement", "within_tolerance"):
                compared = (axis.policy, *own, *(axis.baselines[name] for name in ("mean", "repeat", "zero")))
                table.add_row(f"{axis.axis} {key}", *(_shown(getattr(one, key)) for one in compared))
        console.print(table)
    columns, speed = evaluation.columns, evaluation.times_real_time
    episodes = len(columns.episodes)
    plural = "" if episodes == 1 else "s"
    counted = f"{len(columns.t)} frames in {episodes} episode{plural}, {speed:.1f} times real time"
    for sentence in (*verdicts(evaluation), *evaluation.notes, counted):
        console.print(f"  {sentence}", markup=False)


def _shown(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
