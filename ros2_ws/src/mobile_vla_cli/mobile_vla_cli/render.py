"""How the command line prints: figure tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from mobile_vla.files import write_text
from mobile_vla.metrics import MetricReport

UNCROPPED = 200
"""Columns of a file or a pipe, which have no width of their own."""


def wide_console(stderr: bool = False) -> Console:
    """A console that does not break long names when its output goes into a file."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNCROPPED
    return console


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A callback `(stage, done bytes, total bytes)` that draws one bar per stage on stderr; total 0 means unknown.
    Silent where stderr is no terminal.
    """
    columns = (TextColumn("{task.description:>8}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total or None)
            progress.update(tasks[stage], completed=done, total=total or None)

        yield report


def print_metrics(report: MetricReport, as_json: bool, json_file: Path | None = None) -> int:
    """Print a report and return the exit code: 0 when every target is met, 1 when one is not."""
    if json_file is not None:
        write_text(json_file, report.to_json() + "\n")
    if as_json:
        print(report.to_json())
        return 0 if report.all_met else 1
    console = Console(width=None if sys.stdout.isatty() else UNCROPPED)
    console.print(f"[bold]{report.command}[/]")
    for key, value in report.executed.items():
        text = ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else value
        console.print(f"  [dim]{key}[/] {text}")
    table = Table(box=None, header_style="bold")
    for column in ("figure", "value", "target", "", "min / p95 / max, or 95 % interval"):
        table.add_column(column, justify="right" if column == "value" else "left", no_wrap=True)
    for metric in report.metrics:
        sign = {"higher": ">=", "lower": "<=", "equal": "="}[metric.better]
        table.add_row(
            metric.name,
            "-" if metric.value is None else f"{metric.value:.4g} {metric.unit}",
            "" if metric.target is None else f"{sign} {metric.target:.4g}",
            {True: "[green]met[/]", False: "[red]not met[/]", None: ""}[metric.met],
            (" to " if len(metric.spread) == 2 else " / ").join(f"{value:.3g}" for value in metric.spread),
        )
    console.print(table)
    for metric in report.metrics:
        if metric.baseline:
            console.print(f"  [dim]{metric.name} against: {metric.baseline}[/]")
    return 0 if report.all_met else 1


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))
