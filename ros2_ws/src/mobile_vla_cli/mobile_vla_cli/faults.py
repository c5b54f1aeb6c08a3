"""`vla faults`: the fault battery against the real command path."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from mobile_vla.errors import UserError
from mobile_vla.files import write_text
from mobile_vla_cli.outputs import OutputFile
from mobile_vla_cli.render import print_json

WIDTH = 120

if TYPE_CHECKING:
    from mobile_vla_bench.faults.fault import Fault
    from mobile_vla_bench.faults.trial import TrialResult

HELP = """Inject faults around the controller, repeatedly, and judge every command that it publishes.

Real controller, inference, gamepad and recorder processes over real DDS, each fault on a domain of its own and on
this host only; cameras, sensors, pads and the policy are stand-in processes. Exit code 1 when a promise is not kept.
Times count from the fault to the first slower command (brakes) and to the first zero (stands)."""
EPILOG = (
    "vla faults\nvla faults --quick\nvla faults --only policy_killed --only gamepad --repeats 5\n"
    "vla faults --load --out loaded.json\nvla faults --list"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[], help="this fault or family (may be repeated)"
    )
    parser.add_argument("--quick", action="store_true", help="some of every family, twice each, within a minute")
    parser.add_argument("--repeats", type=int, metavar="N", help="repetitions of each fault (default: 20)")
    parser.add_argument("--lanes", type=int, default=0, metavar="N", help="faults at once (default: 4 for each core)")
    parser.add_argument("--load", action="store_true", help="keep every core busy beside it, one process each")
    parser.add_argument("--list", action="store_true", help="list the faults and run none")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=OutputFile, metavar="FILE", help="also write the JSON to a file")


def run(args: argparse.Namespace) -> int:
    from mobile_vla_bench.busy import busy_cores
    from mobile_vla_bench.faults import battery

    if (args.repeats is not None and args.repeats < 1) or args.lanes < 0:
        raise UserError(f"--repeats and --lanes must be >= 1, got {args.repeats} and {args.lanes}")
    faults = battery.chosen(args.only, args.quick)
    if args.list:
        return _list(faults, args.json)
    repeats = args.repeats or (battery.QUICK_REPEATS if args.quick else battery.REPEATS)
    progress = Console(stderr=True)
    done = 0

    def say(result: TrialResult) -> None:
        nonlocal done
        done += 1
        verdict = "[green]kept[/]" if result.passed else "[bold red]BROKEN[/]"
        progress.print(f"{done:3d}/{len(faults)} {result.name} {verdict} [dim]{result.seconds:.0f} s[/]")
        for sentence in result.failures[:1]:
            progress.print(f"        {sentence}", markup=False, highlight=False)

    started_s, busy = time.monotonic(), os.getloadavg()[0]
    if busy > (os.cpu_count() or 1):
        progress.print(f"[yellow]the machine is busy (load {busy:.1f}): expect later stops than on a quiet one[/]")
    with busy_cores(int(args.load)) as burning:
        results = battery.run_battery(faults, repeats, say, lanes=args.lanes)
    facts = {"repeats": repeats, "seconds": round(time.monotonic() - started_s, 1), "load_before": round(busy, 2)}
    report = battery.report(results, "vla faults", **facts, busy_processes=burning)
    if args.out is not None:
        write_text(args.out, report.to_json() + "\n")
    if args.json:
        print(report.to_json())
    else:
        _print(faults, results, report.executed)
    return 0 if report.all_met else 1


def _list(faults: list[Fault], as_json: bool) -> int:
    if as_json:
        print_json([{"name": fault.name, "type": fault.type.value, "what": fault.title} for fault in faults])
        return 0
    table = Table(box=None, header_style="bold")
    for column in ("fault", "type", "what"):
        table.add_column(column)
    table.columns[0].no_wrap = True
    for fault in faults:
        table.add_row(fault.name, fault.type.value, fault.title)
    Console().print(table)
    return 0


def _print(faults: list[Fault], results: list[TrialResult], executed: dict[str, object]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    table = Table(box=None, header_style="bold")
    table.add_column("fault", no_wrap=True)
    table.add_column("type", no_wrap=True)
    for column in ("n", "brakes", "promised", "stands median", "worst", "promised", "violations"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for fault, result in zip(faults, results, strict=True):
        table.add_row(
            fault.name,
            fault.type.value,
            str(result.repeats),
            _ms(max(result.braked_s, default=None)),
            _ms(result.promised_brake_s),
            _ms(result.zero_median_s),
            _ms(max(result.zero_s, default=None)),
            _ms(result.promised_zero_s),
            str(len(result.violations)),
            "[green]kept[/]" if result.passed else "[bold red]BROKEN[/]",
        )
    console.print(table)
    for result in results:
        for sentence in result.failures[:3]:
            console.print(f"{result.name}: {sentence}", markup=False, highlight=False)
    passed = sum(result.passed for result in results)
    violations = sum(len(result.violations) for result in results)
    console.print(
        f"{passed} of {len(results)} faults kept their promises, {violations} limit violations; "
        f"times in ms; load {executed['load_average']}, {executed['seconds']} s"
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.0f}"
