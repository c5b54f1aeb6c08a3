"""Judging commands as they arrive: within limits, every one, and when the robot began to brake and stood.

Pure: time and values come in. Velocity is exact. Slope and its change are computed from what arrived: the gate moves
no further in a late tick than in one on time, so a step between two messages is allowed one period's worth, times the
number of ticks that passed between them; the slope's change is judged with the arrival jitter as tolerance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.envelope import axis_limits
from mobile_vla.control.limits import AxisLimits

ROUNDING = 1e-6
JITTER_FLOOR = 0.05
SILENCE_S = 0.25
LANDING_TICKS = 3


class Sample(NamedTuple):
    """One command as it arrived, on the observer's steady clock; `others` are the components a robot lacks."""

    arrival_ns: int
    forward: float
    left: float
    turn: float
    others: tuple[float, ...] = ()

    @property
    def moving(self) -> bool:
        return bool(self.forward or self.left or self.turn)


class LimitJudge:
    """Feed it every command; `violations` are sentences."""

    def __init__(self, config: ControllerConfig) -> None:
        forward, left, turn = axis_limits(config)
        self._axes: tuple[tuple[str, AxisLimits], ...] = (("forward", forward), ("left", left), ("turn", turn))
        self._lateral = config.base.kind == "omni"
        self._period_s = config.period_s
        self._last: Sample | None = None
        self._slopes: tuple[float, ...] | None = None
        self._jitter = 0.0
        self.violations: list[str] = []
        self.longest_gap_s = 0.0
        self.abrupt_stop_allowed = False
        self.silence_allowed = False

    def restart(self) -> None:
        """Another controller process begins: nothing connects its commands with those before."""
        self._last = self._slopes = None

    def take(self, sample: Sample) -> None:
        """Judge one command."""
        self._judge_velocity(sample)
        last, self._last = self._last, sample
        if last is None:
            return
        gap_s = (sample.arrival_ns - last.arrival_ns) / 1e9
        self._judge_gap(gap_s, last)
        slopes_before, self._slopes = self._slopes, None
        if not sample.moving and self.abrupt_stop_allowed:
            return
        ticks = max(1, round(gap_s / self._period_s))
        slopes = tuple(
            (getattr(sample, name) - getattr(last, name)) / (ticks * self._period_s) for name, _ in self._axes
        )
        jitter, self._jitter = self._jitter, abs(gap_s / (ticks * self._period_s) - 1.0) + JITTER_FLOOR
        for index, (name, limits) in enumerate(self._axes):
            self._judge_slope(name, limits, getattr(last, name), getattr(sample, name), slopes[index])
            if ticks == 1 and slopes_before is not None:
                steepest = max(limits.accel, limits.decel)
                allowed = limits.jerk * self._period_s + steepest * (jitter + self._jitter)
                if abs(slopes[index] - slopes_before[index]) > allowed + ROUNDING:
                    self._blame(f"{name} slope changed from {slopes_before[index]:.3f} to {slopes[index]:.3f}")
        self._slopes = slopes if ticks == 1 else None

    def _judge_velocity(self, sample: Sample) -> None:
        if not all(map(math.isfinite, (sample.forward, sample.left, sample.turn, *sample.others))):
            self._blame(f"not a number: {sample[1:]}")
        for name, limits in self._axes:
            value = getattr(sample, name)
            if not -limits.reverse - ROUNDING <= value <= limits.forward + ROUNDING:
                self._blame(f"{name} {value:.4f} beyond -{limits.reverse:g} to {limits.forward:g}")
        if any(sample.others) or (sample.left and not self._lateral):
            self._blame(f"a component this base does not have: left {sample.left}, others {sample.others}")

    def _judge_slope(self, name: str, limits: AxisLimits, before: float, after: float, slope: float) -> None:
        if before * after < 0:
            allowed = max(limits.accel, limits.decel)
        else:
            allowed = limits.accel if abs(after) > abs(before) else limits.decel
        if abs(slope) > allowed + ROUNDING:
            self._blame(f"{name} from {before:.4f} to {after:.4f} is {abs(slope):.3f} per s, allowed {allowed:g}")

    def _judge_gap(self, gap_s: float, last: Sample) -> None:
        self.longest_gap_s = max(self.longest_gap_s, gap_s)
        if gap_s > SILENCE_S and last.moving and not self.silence_allowed:
            self._blame(f"silent for {gap_s:.3f} s after a command that moves")

    def _blame(self, sentence: str) -> None:
        self.violations.append(sentence)


class Stop(NamedTuple):
    """When braking began and when the zeros began, in seconds after the strike; None: it did not happen."""

    braked_s: float | None
    zero_s: float | None


def find_stop(samples: list[Sample], struck_ns: int, cruise: Sample, stays: bool) -> Stop:
    """The first command below cruising speed, and the first zero (that no motion follows, when it must stay)."""
    after = [sample for sample in samples if sample.arrival_ns > struck_ns]
    braked = next((s for s in after if _slower(s, cruise)), None)
    if stays:
        last_motion = max((index for index, sample in enumerate(after) if sample.moving), default=-1)
        zero = after[last_motion + 1] if last_motion + 1 < len(after) else None
    else:
        zero = next((sample for sample in after if not sample.moving), None)
    return Stop(*(None if found is None else (found.arrival_ns - struck_ns) / 1e9 for found in (braked, zero)))


def braking_s(config: ControllerConfig, cruise: Sample) -> float:
    """Time from the first slower command to exact zero on every axis: v/a + a/j, and the limiter's landing."""
    times = []
    for value, limits in zip((cruise.forward, cruise.left, cruise.turn), axis_limits(config), strict=True):
        decel = min(limits.decel, math.sqrt(abs(value) * limits.jerk)) if value else 0.0
        times.append(abs(value) / decel + decel / limits.jerk if decel else 0.0)
    return max(times) + LANDING_TICKS * config.period_s


def _slower(sample: Sample, cruise: Sample) -> bool:
    return any(
        abs(getattr(sample, name)) < abs(getattr(cruise, name)) - ROUNDING for name in ("forward", "left", "turn")
    )
