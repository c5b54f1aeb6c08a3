"""`vla bench load`: the smallest memory in which conversion and loading survive, beside the naive recipe.

Every attempt is a fresh process under a real limit. A ladder of limits is walked down until one attempt dies; the
figure is the last one that lived.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mobile_vla.checkpoint.opening import open_source
from mobile_vla.engine.load import find_card
from mobile_vla.engine.synthetic import SyntheticSpec, synthesize
from mobile_vla.errors import UserError
from mobile_vla.metrics import Metric, MetricReport, executed
from mobile_vla_bench.memory_limit import LimitedRun, forget_pages, limiter, run_limited

GB = 1_000_000_000
TIMEOUT_S = 1200.0


class _Task(NamedTuple):
    """One kind of attempt and the limits to try, largest first."""

    metric: str
    task: str
    file: str
    ladder_gb: tuple[float, ...]
    target_gb: float | None
    makes_file: bool = False
    """The task writes its file instead of reading it."""


SYNTHESIZE = _Task("synthesize_min_limit_gb", "synthesize", "made", (1.0, 0.7, 0.5, 0.4), 1.0, makes_file=True)
INSPECT = _Task("inspect_min_limit_gb", "inspect", "pth", (1.0, 0.5, 0.4), 1.0)
CONVERT = _Task("convert_min_limit_gb", "convert", "pth", (1.0, 0.7, 0.6, 0.5), 1.0)
LOADS = (
    _Task("load_bf16_min_limit_gb", "load", "bf16", (2.0, 1.0, 0.5, 0.4), 2.0),
    _Task("load_int8_min_limit_gb", "load", "int8", (2.0, 1.0, 0.5, 0.4), 2.0),
    _Task("load_fp32_pth_min_limit_gb", "load", "pth", (1.0, 0.5, 0.4), 1.0),
)
STEPS = (
    _Task("step_bf16_min_limit_gb", "step", "bf16", (2.0, 1.0, 0.7), None),
    _Task("step_int8_min_limit_gb", "step", "int8", (2.0, 1.0, 0.7), None),
    _Task("step_fp32_pth_min_limit_gb", "step", "pth", (1.0, 0.7), None),
)
NAIVE = _Task("naive_min_limit_gb", "naive", "pth", (16.0, 14.0, 12.0, 8.0), None)


class LoadBenchPlan(NamedTuple):
    """What to measure: a given `.pth`, or a generated one of a named size; with or without the naive recipe."""

    size: str
    checkpoint: Path | None
    work: Path
    naive: bool
    quick: bool


def bench_load(plan: LoadBenchPlan, say: Callable[[str], None]) -> MetricReport:
    """Measure; files are made in `plan.work`, which the caller removes."""
    files = _files(plan, say)
    full = plan.size == "full"
    made = [SYNTHESIZE] if plan.checkpoint is None else []
    tasks = [*made, INSPECT, CONVERT, *LOADS, *([] if plan.quick else STEPS), *([NAIVE] if plan.naive else [])]
    metrics: list[Metric] = []
    anonymous: dict[str, int] = {}
    seconds: dict[str, float] = {}
    attempts: dict[str, dict[str, str]] = {}
    for task in tasks:
        lived, outcomes = _walk(task, files, plan, say)
        target = task.target_gb if full else None
        survived = [outcome for _, outcome in outcomes if outcome.survived]
        metrics.append(Metric(task.metric, lived, "GB", target=target, n=len(outcomes)))
        attempts[task.metric] = {f"{limit:g} GB": _verdict(outcome) for limit, outcome in outcomes}
        if survived and task.task in ("load", "naive"):
            name = "naive" if task.task == "naive" else task.file
            anonymous[name] = survived[0].report["anonymous"]
            seconds[name] = survived[0].report["seconds"]
    ours = {name: size for name, size in anonymous.items() if name != "naive"}
    worst = max(ours.values()) / GB if ours else None
    metrics.append(
        Metric("anon_after_load_gb", worst, "GB", target=0.5 if full else None, n=len(ours), baseline="naive")
    )
    metrics += [Metric(f"anon_after_load_{name}_gb", size / GB, "GB") for name, size in anonymous.items()]
    metrics.append(Metric("load_s", seconds.get("bf16"), "s", baseline="naive"))
    metrics += [Metric(f"load_{name}_s", value, "s") for name, value in seconds.items()]
    source = open_source(files["pth"])
    facts = executed(
        weights="random" if find_card(source, None)[0].untrained else "real",
        size=plan.size,
        parameters=sum(info.elements for info in source.tensors.values()),
        engine="torch",
        device="cpu",
        dtype="fp32 .pth, bf16 and int8 safetensors",
        threads=1,
        limiter=limiter(),
        attempts=attempts,
    )
    return MetricReport("vla bench load", facts, metrics)


def _files(plan: LoadBenchPlan, say: Callable[[str], None]) -> dict[str, Path]:
    source = plan.checkpoint
    if source is None:
        source = plan.work / "policy.pth"
        say(f"generating {source.name}, size {plan.size}, in the shape of a training script's file")
        synthesize(source, SyntheticSpec(plan.size, "reconstructed", training_container=True))
    files = {"pth": source, "made": plan.work / "made.pth"}
    for dtype in ("bf16", "int8"):
        files[dtype] = plan.work / f"policy-{dtype}.safetensors"
        say(f"converting to {dtype}, to have something to load")
        command = _command("convert", source, files[dtype], dtype)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip() or "no reason").splitlines()[-1]
            raise UserError(f"converting {source} to {dtype} failed: {reason}")
    return files


def _command(task: str, file: Path, *more: str | Path) -> list[str]:
    """A task in a process of its own; the measuring process must not hold the file's pages itself."""
    return [sys.executable, "-m", "mobile_vla_bench.memory_task", task, *map(str, (file, *more))]


def _verdict(outcome: LimitedRun) -> str:
    return f"alive, {outcome.report['seconds']:.1f} s" if outcome.survived else outcome.reason


def _walk(
    task: _Task, files: dict[str, Path], plan: LoadBenchPlan, say: Callable[[str], None]
) -> tuple[float | None, list[tuple[float, LimitedRun]]]:
    """Down the ladder until one attempt dies; the smallest limit that was survived, and every attempt."""
    file = files[task.file]
    more: dict[str, list[str | Path]] = {
        "convert": [plan.work / "converted.safetensors", "bf16"],
        "synthesize": [plan.size],
    }
    command = _command(task.task, file, *more.get(task.task, []))
    mapped = 0 if task.makes_file or task.task == "naive" else file.stat().st_size
    outcomes: list[tuple[float, LimitedRun]] = []
    lived = None
    for limit in task.ladder_gb[:1] if plan.quick else task.ladder_gb:
        if not task.makes_file:
            forget_pages(file)
        outcome = run_limited(command, int(limit * GB), mapped, TIMEOUT_S)
        outcomes.append((limit, outcome))
        say(f"{task.task} {task.file} under {limit:g} GB: {_verdict(outcome)}")
        if not outcome.survived:
            break
        lived = limit
    if task.makes_file:
        file.unlink(missing_ok=True)
    return lived, outcomes
