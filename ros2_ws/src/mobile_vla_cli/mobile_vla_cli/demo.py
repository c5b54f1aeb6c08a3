"""`vla demo`: the whole graph with the simulated robot, in one command."""

from __future__ import annotations

import argparse
import contextlib
import time
import webbrowser
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from rich.console import Console

from mobile_vla.errors import UserError
from mobile_vla.stopping import StopSignals
from mobile_vla_cli.flags import add_config_flags, add_set_flag, config_from, overrides_from
from mobile_vla_cli.render import print_json

HELP = """Drive the simulated robot with a policy over the real ROS graph, and report what happened.

Inference, controller, simulator and recorder run as processes of their own on a free ROS domain. Half way to the
first object a trained policy is told to go to another one. The result is a folder with the bag (mcap), a video with
overlay, a self-contained HTML report and the metrics."""
EPILOG = """vla demo
vla demo --seconds 30 --instruction "go to the red cube" --open
vla demo --set simulator.seed=7 --then "go to the red cube" --out /data/demo7"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    import mobile_vla_bench  # noqa: F401  # named first where it is missing: it brings all others that are needed
    from mobile_vla_bringup.graph import Choice

    parser.add_argument(
        "--seconds", type=float, metavar="N", help="how long to drive at most (default: 60, 20 when untrained)"
    )
    parser.add_argument(
        "--then",
        metavar="TEXT",
        help="a new instruction half way to the first one; another: another object of the room, none: no change "
        "(default: another, none when untrained)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder for the result (default: out/demo-<time>)")
    parser.add_argument("--open", action="store_true", help="open the report in a browser")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    parser.add_argument("--verbose", action="store_true", help="show what every process prints")
    add_config_flags(parser, Choice, "what runs", skip=("bag", "robot", "namespace"))
    add_set_flag(parser)


def run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    from mobile_vla_bringup.graph import Choice

    if args.seconds is not None and not 1 <= args.seconds <= 3600:
        raise UserError(f"--seconds must be from 1 to 3600, got {args.seconds:g}")
    try:
        from mobile_vla_bench.demo import DemoPlan, run_demo
    except ModuleNotFoundError as error:
        if error.name != "mobile_vla_sim":
            raise
        raise UserError("the demo needs the package mobile_vla_sim, which is not installed; install it") from error

    folder, made = _new_folder(args.out)
    console = Console(stderr=args.json, highlight=False, soft_wrap=True)

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:5.1f} s[/]  {text.replace('[', chr(92) + '[')}")

    def on_line(name: str, line: str) -> None:
        if args.verbose:
            console.print(f"{name:>11} | {line}", markup=False)

    signals = StopSignals()
    signals.listen()
    with _removed_while_empty(folder, made):
        demo = run_demo(
            config_from(args, Choice),
            overrides_from(args),
            DemoPlan(args.seconds, args.then),
            folder,
            started=started,
            stopped=signals.asked,
            say=say,
            on_line=on_line,
        )
    say("writing video and report")
    from mobile_vla.evaluate.demo_report import write_demo_report

    summary = write_demo_report(demo.bag, folder, demo.facts)
    if args.json:
        print_json(summary.metrics)
    console.print()
    for line in summary.sentences:
        console.print(f"  {line}")
    console.print()
    for label, path in (
        ("report", summary.report),
        ("video", summary.video),
        ("metrics", summary.metrics_file),
        ("bag", demo.bag),
    ):
        console.print(f"  [bold]{label:8}[/]{path}")
    if args.open and not webbrowser.open(summary.report.resolve().as_uri()):
        console.print("  no browser could be opened here (no DISPLAY?); copy the report to a machine with one")
    return 0


@contextlib.contextmanager
def _removed_while_empty(folder: Path, made: bool) -> Iterator[None]:
    """A demonstration that is refused before it begins leaves no folder behind; only one `made` here is removed."""
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()
        raise


def _new_folder(chosen: Path | None) -> tuple[Path, bool]:
    """The folder of the result, and whether it was made here."""
    folder = chosen or Path("out") / f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--out {folder} exists and is not an empty folder; name a new one, nothing is overwritten")
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written ({error.strerror}); choose another folder") from error
    return folder, made
