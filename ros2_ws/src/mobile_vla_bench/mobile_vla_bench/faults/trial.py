"""One fault, again and again on one controller, and the verdict."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from mobile_vla.errors import UserError
from mobile_vla_bench.faults.fault import Fault
from mobile_vla_bench.faults.judge import CommandSample, Stop, braking_s, find_stop
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import PromiseBroken
from mobile_vla_ros.domain import borrowed

SLACK_S = 0.010
STOP_TIMEOUT_S = 3.0
STANDS_S = 0.15
LATCHED_S = 0.8
UNDISTURBED_S = 0.6
REPORTED_WITHIN_S = 1.5
EVIDENCE_WITHIN_S = 3.0
PHASE_S = 0.1


class _Injected(NamedTuple):
    """An injected fault: when, at which speed, and how many commands had come before."""

    injected_ns: int
    cruise: CommandSample
    before: int


@dataclass
class TrialResult:
    """What was seen of one fault. Times in seconds after the injection, promises beside them.

    `longest_gap_s` is between two commands by their stamps, `longest_arrival_gap_s` as they arrived, `latest_tick_ms`
    what the controller says of its own timer: a long gap on arrival alone is the transport's or the observer's.
    """

    name: str
    repeats: int = 0
    braked_s: list[float] = field(default_factory=list)
    zero_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    promised_brake_s: float | None = None
    promised_zero_s: float | None = None
    violations: list[str] = field(default_factory=list)
    longest_gap_s: float = 0.0
    longest_arrival_gap_s: float = 0.0
    latest_tick_ms: float = 0.0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.repeats > 0 and not self.violations and not self.problems

    @property
    def failures(self) -> list[str]:
        """Everything that speaks against it."""
        return self.problems + self.violations

    @property
    def zero_median_s(self) -> float | None:
        return median(self.zero_s) if self.zero_s else None


def run_fault(fault: Fault, repeats: int, changes: Mapping[str, Any] | None = None, seed: int = 0) -> TrialResult:
    """Run one fault on a domain of its own. `changes` misconfigures the controller, not what is promised."""
    result = TrialResult(fault.name)
    started_s = time.monotonic()
    wanted = min(repeats, fault.max_repeats or repeats)
    with borrowed() as domain_id, tempfile.TemporaryDirectory(prefix="mobile_vla_fault_") as folder:
        try:
            with Rig(fault.setup, changes or {}, domain_id, Path(folder)) as rig:
                _repeat(fault, rig, result, wanted, random.Random(f"{fault.name} {seed}"))
                result.violations = rig.judge.violations
                result.longest_gap_s = rig.judge.longest_gap_s
                result.longest_arrival_gap_s = rig.judge.longest_arrival_gap_s
        except (PromiseBroken, UserError) as error:
            result.problems.append(str(error))
    result.seconds = time.monotonic() - started_s
    return result


def _repeat(fault: Fault, rig: Rig, result: TrialResult, repeats: int, rng: random.Random) -> None:
    rig.cruise()
    fault.prepare(rig)
    rig.judge.silence_allowed = fault.silence_allowed
    for number in range(repeats):
        cruise = rig.cruise()
        rig.spin(rng.uniform(0.0, PHASE_S))
        try:
            _once(fault, rig, result, cruise, number == 0)
        except PromiseBroken as error:
            result.problems.append(f"repetition {number + 1}: {error}")
        result.repeats += 1
        recovery_began_s = time.monotonic()
        try:
            fault.recover(rig)
        except PromiseBroken as error:
            result.problems.append(f"recovery {number + 1}: {error}")
        rig.judge.abrupt_stop_allowed = False
        rig.cruise()
        result.recovered_s.append(time.monotonic() - recovery_began_s)
        reported = rig.operator.value("controller", "tick_jitter_worst_ms")
        result.latest_tick_ms = max(result.latest_tick_ms, float(reported or 0.0))


def _once(fault: Fault, rig: Rig, result: TrialResult, cruise: CommandSample, first: bool) -> None:
    if fault.evidence is not None and first:
        rig.forget_evidence()
    rig.judge.abrupt_stop_allowed = fault.abrupt_stop
    before = len(rig.samples)
    asked_ns = time.monotonic_ns()
    injected_ns = fault.inject(rig)
    if fault.keeps_driving:
        rig.spin(UNDISTURBED_S)
        if any(sample[1:4] != cruise[1:4] for sample in rig.samples[before:]):
            raise PromiseBroken("the robot did not keep its speed")
    elif fault.detection_s is not None:
        _judge_stop(fault, rig, result, _Injected(injected_ns, cruise, before))
    if fault.expect:
        rig.until(
            lambda: not rig.reported(asked_ns).isdisjoint(fault.expect),
            REPORTED_WITHIN_S,
            f"{' or '.join(fault.expect)} as reason",
        )
    if fault.latched:
        rig.spin(LATCHED_S)
        if any(sample.moving for sample in rig.samples if sample.arrival_ns > time.monotonic_ns() - LATCHED_S * 1e9):
            raise PromiseBroken("it moved again by itself")
    if fault.evidence is not None and first:
        node, text = fault.evidence
        rig.until(lambda: rig.evidence(node, text), EVIDENCE_WITHIN_S, f"{text!r} in the diagnostics of {node}")


def _judge_stop(fault: Fault, rig: Rig, result: TrialResult, injected: _Injected) -> None:
    assert fault.detection_s is not None
    injected_ns, cruise, before = injected
    tick_s = rig.promised.period_s
    result.promised_brake_s = fault.detection_s + tick_s + SLACK_S
    result.promised_zero_s = result.promised_brake_s + (0.0 if fault.abrupt_stop else braking_s(rig.promised, cruise))
    limit_s = result.promised_zero_s + STOP_TIMEOUT_S
    lifetime = f"(an action lived {rig.action_lifetime_s:.2f} s)"
    stop = Stop(None, None)
    while (time.monotonic_ns() - injected_ns) / 1e9 < limit_s:
        rig.spin(STANDS_S / 5)
        stop = find_stop(rig.samples[before:], injected_ns, cruise, fault.stays_stopped)
        if stop.zero_s is not None and (time.monotonic_ns() - injected_ns) / 1e9 > stop.zero_s + STANDS_S:
            break
    if stop.braked_s is None or stop.zero_s is None:
        raise PromiseBroken(f"no stop within {limit_s:.1f} s (state: {rig.state_text()})")
    result.braked_s.append(stop.braked_s)
    result.zero_s.append(stop.zero_s)
    if stop.braked_s > result.promised_brake_s:
        raise PromiseBroken(
            f"braked after {stop.braked_s * 1e3:.0f} ms, promised {result.promised_brake_s * 1e3:.0f} {lifetime}"
        )
    if stop.zero_s > result.promised_zero_s:
        raise PromiseBroken(
            f"zero after {stop.zero_s * 1e3:.0f} ms, promised {result.promised_zero_s * 1e3:.0f} {lifetime}"
        )
