"""`vla doctor`: what works on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from mobile_vla.cli.render import print_json
from mobile_vla.device.checks import CHECKS, Finding, Verdict

HELP = """Say what works on this machine and what to do about the rest: ROS and its transports, torch and CUDA,
camera, gamepad, permissions, the simulator's renderer. Exit code 1 when something needed is broken."""
EPILOG = "vla doctor\nvla doctor --json"
_COLOURS = {Verdict.FINE: "green", Verdict.MISSING: "yellow", Verdict.BROKEN: "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    findings = [finding for check in (*CHECKS, _ros, _renderer) for finding in check()]
    broken = any(finding.verdict is Verdict.BROKEN for finding in findings)
    if args.json:
        print_json({"ok": not broken, "findings": [{**f._asdict(), "verdict": f.verdict.value} for f in findings]})
        return int(broken)
    table = Table(box=None, show_header=False)
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        table.add_row(finding.subject, f"[{colour}]{finding.verdict.value}[/]", finding.text.replace("[", r"\["))
    Console().print(table)
    return int(broken)


def _ros() -> Iterable[Finding]:
    try:
        from mobile_vla_ros.checks import ros
    except ImportError as error:
        return [Finding("ros", Verdict.BROKEN, f"{error}; source a ROS 2 distribution, or run make setup")]
    return ros()


def _renderer() -> Iterable[Finding]:
    from mobile_vla.errors import UserError

    try:
        from mobile_vla_sim.rendering import choose_backend
    except ImportError:
        return [Finding("renderer", Verdict.MISSING, "the simulator is not installed; a robot does not need it")]
    try:
        return [Finding("renderer", Verdict.FINE, f"MuJoCo draws through {choose_backend('auto')}")]
    except UserError as error:
        return [Finding("renderer", Verdict.MISSING, str(error))]
