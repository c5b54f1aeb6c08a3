"""Measures an emergency stop: from the press, of 5 ms on the topic or of the service, to the first zero that stays.

The robot drives under a policy; three devices share the stop topic: one repeats 200 times a second that it is not
pressed, one ten times a second, and the observer is the third. Every press comes at another moment of the tick.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mobile_vla.metrics import Metric, MetricReport, executed
from mobile_vla_bench.faults.estop import stop_by_service
from mobile_vla_bench.faults.judge import find_stop
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.scheduling import prefer_this_process
from mobile_vla_bench.faults.setup import PromiseBroken
from mobile_vla_bench.faults.stop_devices import DEVICES, all_released, press_briefly
from mobile_vla_bench.faults.trial import SLACK_S
from mobile_vla_ros.domain import borrowed
from mobile_vla_ros.topics import RESET_ESTOP

PHASE_S = 0.1
MOVING_MPS = 0.05
MOVES_WITHIN_S = 15.0
STANDS_S = 0.1
LOST_S = 2.0
RESET_WITHIN_S = 5.0
WAYS: dict[str, Callable[[Rig], int]] = {"topic": press_briefly, "service": stop_by_service}


class Stops(NamedTuple):
    """Milliseconds from each press to the first zero that stays, as it arrived and by its stamp; and presses lost."""

    arrived_ms: list[float]
    stamped_ms: list[float]
    lost: int


def bench_estop(presses: int, say: Callable[[str], None]) -> MetricReport:
    """Press so many times in each way, on a domain of its own."""
    metrics: list[Metric] = []
    with (
        borrowed() as domain_id,
        tempfile.TemporaryDirectory(prefix="mobile_vla_estop_") as folder,
        Rig(DEVICES, {}, domain_id, Path(folder)) as rig,
    ):
        rig.cruise()
        all_released(rig)
        rig.judge.abrupt_stop_allowed = True
        for way, press in WAYS.items():
            say(f"{presses} presses by {way}")
            metrics += _metrics(way, _measure(rig, press, presses), rig.promised.period_s, presses)
        gap_ms = round(rig.judge.longest_gap_s * 1e3)
        late_ms = rig.operator.value("controller", "tick_jitter_worst_ms")
    facts = executed(weights="none", devices=3, flood_hz=200, longest_gap_ms=gap_ms, latest_tick_ms=late_ms)
    return MetricReport("vla bench estop", facts, metrics)


def _measure(rig: Rig, press: Callable[[Rig], int], presses: int) -> Stops:
    rng = random.Random(0)
    arrived_ms, stamped_ms, lost = [], [], 0
    for _ in range(presses):
        _drive(rig)
        rig.spin(rng.uniform(0.0, PHASE_S))
        before, cruise = len(rig.samples), rig.samples[-1]
        wall_ns = time.time_ns() - time.monotonic_ns()
        injected_ns = press(rig)
        end_s = time.monotonic() + LOST_S
        stop = find_stop(rig.samples[before:], injected_ns, cruise, stays_stopped=True)
        while stop.zero_s is None and time.monotonic() < end_s:
            rig.spin(0.01)
            stop = find_stop(rig.samples[before:], injected_ns, cruise, stays_stopped=True)
        if stop.zero_s is None:
            lost += 1
            continue
        rig.spin(STANDS_S)
        stop = find_stop(rig.samples[before:], injected_ns, cruise, stays_stopped=True)
        if stop.zero_s is None:
            raise PromiseBroken("it moved again after the stop")
        arrived_ms.append(stop.zero_s * 1e3)
        zero = next(s for s in rig.samples[before:] if s.arrival_ns - injected_ns == round(stop.zero_s * 1e9))
        if zero.sent_ns is not None:
            stamped_ms.append((zero.sent_ns - wall_ns - injected_ns) / 1e6)
        rig.until(lambda: rig.call(RESET_ESTOP)[1].success, RESET_WITHIN_S, "the reset of the emergency stop")
    return Stops(arrived_ms, stamped_ms, lost)


def _drive(rig: Rig) -> None:
    """Armed and rolling; not the full speed, which would take longer and shows no more."""
    prefer_this_process()  # the transport makes threads as others come and go
    rig.until(lambda: not rig.mode_is("estop"), MOVES_WITHIN_S, "the end of the stop")
    rig.arm()
    rig.until(lambda: rig.samples[-1].forward > MOVING_MPS, MOVES_WITHIN_S, "motion")


def _metrics(way: str, stops: Stops, tick_s: float, presses: int) -> list[Metric]:
    promised_ms = (tick_s + SLACK_S) * 1e3
    within = sum(value <= promised_ms for value in stops.arrived_ms)
    target = round(promised_ms, 1)
    worst = max(stops.arrived_ms, default=None)
    worst_stamped = max(stops.stamped_ms, default=None)
    return [
        Metric(f"{way}.presses_lost", stops.lost, "presses", "equal", target=0, n=presses),
        Metric(f"{way}.within_percent", 100.0 * within / presses, "%", "higher", target=100.0, n=presses),
        Metric.of_samples(f"{way}.stop_to_zero_ms", [round(value, 2) for value in stops.arrived_ms], "ms"),
        Metric(f"{way}.stop_to_zero_worst_ms", _rounded(worst), "ms", target=target, n=len(stops.arrived_ms)),
        Metric(f"{way}.stop_to_zero_stamped_worst_ms", _rounded(worst_stamped), "ms", n=len(stops.stamped_ms)),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
