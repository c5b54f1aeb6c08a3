"""The whole battery: several faults at once, each on a domain of its own; those that need the machine alone, alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from statistics import median
from typing import Any

from mobile_vla.errors import UserError, nearest
from mobile_vla.metrics import Metric, MetricReport, executed
from mobile_vla.timing import percentile
from mobile_vla_bench.faults.fault import Fault
from mobile_vla_bench.faults.registry import FAMILIES, FAULTS
from mobile_vla_bench.faults.scheduling import interrupted, start_worker
from mobile_vla_bench.faults.trial import TrialResult, run_fault

REPEATS = 20
QUICK_REPEATS = 2
WORKERS_PER_CORE = 4
GAP_S = 0.1
"""Longer gaps between two commands are reported: sent, arrived, and what the controller says of its own timer."""


def chosen(names: Sequence[str], quick: bool) -> list[Fault]:
    """The faults by name or family; all (or all quick ones) when no name is given."""
    if not names:
        return [fault for fault in FAULTS.values() if fault.quick or not quick]
    found: dict[str, Fault] = {}
    for name in names:
        faults = FAMILIES.get(name, (FAULTS[name],) if name in FAULTS else ())
        if not faults:
            raise UserError(f"unknown fault '{name}'; {nearest(name, {**FAULTS, **FAMILIES})}")
        found |= {fault.name: fault for fault in faults}
    return list(found.values())


def run_battery(
    faults: Sequence[Fault],
    repeats: int,
    on_result: Callable[[TrialResult], None],
    *,
    lanes: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> list[TrialResult]:
    """Run faults in processes of their own, those that are exclusive one at a time at the end."""
    together = sorted((fault for fault in faults if not fault.exclusive), key=_slowest_first)
    alone = [fault for fault in faults if fault.exclusive]
    lanes = lanes or WORKERS_PER_CORE * (os.cpu_count() or 1)
    results = {
        result.name: result
        for batch, width in ((together, lanes), (alone, 1))
        for result in _run(batch, repeats, width, changes, on_result)
    }
    return [results[fault.name] for fault in faults]


def report(results: Iterable[TrialResult], command: str, **facts: Any) -> MetricReport:
    """The figures, in the one shape."""
    results = list(results)
    failures = {result.name: result.failures[:3] for result in results if not result.passed}
    gaps = {
        r.name: {
            "sent": round(r.longest_gap_s * 1e3),
            "arrived": round(r.longest_arrival_gap_s * 1e3),
            "late_tick": round(r.latest_tick_ms),
        }
        for r in results
        if max(r.longest_gap_s, r.longest_arrival_gap_s) > GAP_S
    }
    metrics = [
        Metric("faults_total", len(results), "faults", "higher"),
        Metric(
            "faults_passed", sum(r.passed for r in results), "faults", "higher", "faults_total", target=len(results)
        ),
        Metric("limit_violations", sum(len(r.violations) for r in results), "commands", "equal", target=0),
    ]
    for result in results:
        metrics += _metrics(result)
    return MetricReport(command, executed(weights="none", **facts, failures=failures, gaps_ms=gaps), metrics)


def _metrics(result: TrialResult) -> list[Metric]:
    timed = (
        ("time_to_brake_worst_ms", max, result.braked_s, result.promised_brake_s),
        ("time_to_zero_median_ms", median, result.zero_s, None),
        ("time_to_zero_worst_ms", max, result.zero_s, result.promised_zero_s),
    )
    if result.promised_zero_s is None:
        return [Metric(f"{result.name}.repetitions", result.repeats, "", "higher", n=result.repeats)]
    return [
        Metric(
            f"{result.name}.{name}",
            round(pick(seconds) * 1e3, 1) if seconds else None,
            "ms",
            target=None if promised is None else round(promised * 1e3, 1),
            n=len(seconds),
            spread=_spread(sorted(seconds)),
        )
        for name, pick, seconds, promised in timed
    ]


def _spread(seconds: list[float]) -> tuple[float, ...]:
    if not seconds:
        return ()
    return tuple(round(value * 1e3, 1) for value in (seconds[0], percentile(seconds, 95), seconds[-1]))


def _run(
    faults: Sequence[Fault],
    repeats: int,
    lanes: int,
    changes: Mapping[str, Any] | None,
    on_result: Callable[[TrialResult], None],
) -> list[TrialResult]:
    if not faults:
        return []
    results = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(lanes, len(faults)), context, start_worker) as pool:
        waiting = [pool.submit(run_by_name, fault.name, repeats, dict(changes or {})) for fault in faults]
        try:
            for future in as_completed(waiting):
                results.append(future.result())
                on_result(results[-1])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for lane in multiprocessing.active_children():
                if lane.pid:
                    os.kill(lane.pid, signal.SIGINT)
            raise
    return results


def run_by_name(name: str, repeats: int, changes: Mapping[str, Any]) -> TrialResult:
    """What a lane runs: a fault cannot travel to it, its name can. An interrupted lane begins nothing more."""
    if interrupted():
        raise KeyboardInterrupt
    return run_fault(FAULTS[name], repeats, changes)


def _slowest_first(fault: Fault) -> tuple[bool, bool, bool]:
    """Faults whose repetitions start processes take longest and go first, so that the end is not one long wait."""
    restarts = any(word in fault.name for word in ("killed", "respawned", "while_moving"))
    return (not restarts, not fault.latched, not fault.setup.vision)
