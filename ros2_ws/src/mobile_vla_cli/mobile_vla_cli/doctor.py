"""`vla doctor`: checks of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from mobile_vla.device.checks import CHECKS, CheckResult, CheckStatus
from mobile_vla.errors import UserError
from mobile_vla_cli.render import print_json

HELP = """Check what works on this machine and name the remedy for the rest: ROS and its transports, torch and CUDA,
camera, gamepad, permissions, the simulator's renderer; and how far a robot, as configured, goes on before it stands.
Exit code 1 when something needed is broken."""
EPILOG = "vla doctor\nvla doctor --robot diff --base-latency 0.15\nvla doctor --json"
_COLOURS = {CheckStatus.FINE: "green", CheckStatus.MISSING: "yellow", CheckStatus.BROKEN: "bold red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--robot", default="sim", metavar="NAME", help="stop distance of this robot: a name or a path (default: sim)"
    )
    parser.add_argument(
        "--base-latency", type=float, default=0.1, metavar="S", help="time the base takes to answer (default: 0.1)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.base_latency <= 5:
        raise UserError(f"--base-latency must be from 0 to 5 s, got {args.base_latency:g}")
    findings = [finding for check in (*CHECKS, _ros, _renderer) for finding in check()]
    findings.append(_stop_distance(args.robot, args.base_latency))
    broken = any(finding.verdict is CheckStatus.BROKEN for finding in findings)
    if args.json:
        print_json({"ok": not broken, "findings": [{**f._asdict(), "verdict": f.verdict.value} for f in findings]})
        return int(broken)
    table = Table(box=None, show_header=False)
    for finding in findings:
        colour = _COLOURS[finding.verdict]
        table.add_row(finding.subject, f"[{colour}]{finding.verdict.value}[/]", finding.text.replace("[", r"\["))
    Console().print(table)
    return int(broken)


def _ros() -> Iterable[CheckResult]:
    try:
        from mobile_vla_ros.checks import ros
    except ImportError as error:
        return [CheckResult("ros", CheckStatus.BROKEN, f"{error}; source a ROS 2 distribution, or run make setup")]
    return ros()


def _renderer() -> Iterable[CheckResult]:
    try:
        from mobile_vla_sim.rendering import choose_backend
    except ImportError:
        return [
            CheckResult("renderer", CheckStatus.MISSING, "the simulator is not installed; a robot does not need it")
        ]
    try:
        return [CheckResult("renderer", CheckStatus.FINE, f"MuJoCo draws through {choose_backend('auto')}")]
    except UserError as error:
        return [CheckResult("renderer", CheckStatus.MISSING, str(error))]


def _stop_distance(robot: str, base_s: float) -> CheckResult:
    """From a change in front of the camera to standstill, with the robot's own limits and timeouts."""
    subject = "stop distance"
    try:
        from mobile_vla_bringup.graph import node_configs
    except ImportError:
        return CheckResult(
            subject, CheckStatus.MISSING, "mobile_vla_bringup is not installed, so there are no robot files"
        )
    from mobile_vla.control.config import ControllerConfig
    from mobile_vla.control.limits import stopping_distance_m
    from mobile_vla.control.stop_distance import autonomous_speed_mps, reactions
    from mobile_vla.engine.config import InferenceConfig

    try:
        configs = node_configs(robot)
    except UserError as error:
        return CheckResult(subject, CheckStatus.BROKEN, str(error))
    controller, inference = configs["controller"], configs["inference"]
    assert isinstance(controller, ControllerConfig)
    assert isinstance(inference, InferenceConfig)
    speed, linear = autonomous_speed_mps(controller), controller.limits.linear
    fast, slow = reactions(controller, inference.image_max_age_s, base_s)
    near, far = (stopping_distance_m(speed, reaction.total_s, linear.axis) for reaction in (fast, slow))
    text = (
        f"robot {robot} at {speed:g} m/s: {near:.2f} m with a fast policy (reaction {fast.total_s:.2f} s), "
        f"{far:.2f} m with the slowest accepted (image {slow.image_s:.2f} + inference {slow.inference_s:.2f} + "
        f"gate {slow.gate_s:.2f} + base {slow.base_s:.2f} s), braking at {linear.decel_mps2:g} m/s^2"
    )
    return CheckResult(subject, CheckStatus.FINE, text)
