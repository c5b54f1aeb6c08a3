"""Judging commands: within limits, every one, as the controller sent them; and, as they arrived, when the robot stood.

Pure: time and values come in. The controller stamps a command with the moment for which it was decided. The limiters
change it by the time since the decision before, so a step between two commands is within limits when it is no steeper
than the limit over the time between their stamps: a late tick, a lost command or a busy transport changes nothing in
that. A slope, and how it changes from one pair of commands to the next, is known as well as the stamps are; where a
tick was late, or a command may be missing, only within a range.

Where the controller's clock is what a fault breaks, its stamps mean nothing. There the time of arrival stands in, known
to one period, and the change of the slope is not judged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.envelope import axis_limits, output_limits
from mobile_vla.control.limits import AxisLimits

ROUNDING = 1e-6
STAMP_ERROR_S = 0.0002
"""The limiters count on the steady clock, the stamp is of the ROS clock: readings up to 0.1 ms apart, rates 500 ppm."""
ONE_TICK = 1.5
"""Up to so many periods between two commands no tick lies between them, unless one came a whole period late."""
SILENCE_S = 0.25
LANDING_TICKS = 3


class CommandSample(NamedTuple):
    """One command: when it arrived, on the observer's steady clock, and when it was sent, by the controller's stamp.

    `others` are the components a robot lacks; `sent_ns` is None where stamps mean nothing.
    """

    arrival_ns: int
    forward: float
    left: float
    turn: float
    others: tuple[float, ...] = ()
    sent_ns: int | None = None

    @property
    def moving(self) -> bool:
        return bool(self.forward or self.left or self.turn)


class _Slope(NamedTuple):
    """What the slope between two commands can have been."""

    low: float
    high: float


class LimitJudge:
    """Feed it every command; `violations` are sentences."""

    def __init__(self, config: ControllerConfig) -> None:
        forward, left, turn = output_limits(config)
        self._axes: tuple[tuple[str, AxisLimits], ...] = (("forward", forward), ("left", left), ("turn", turn))
        self._lateral = config.base.moves_sideways
        self._period_s = config.period_s
        self._last: CommandSample | None = None
        self._slopes: tuple[_Slope, ...] | None = None
        self._slopes_error = 0.0
        self.violations: list[str] = []
        self.longest_gap_s = 0.0
        self.longest_arrival_gap_s = 0.0
        self.abrupt_stop_allowed = False
        self.silence_allowed = False

    def restart(self) -> None:
        """Another controller process begins: nothing connects its commands with those before."""
        self._last = self._slopes = None

    def take(self, sample: CommandSample) -> None:
        """Judge one command."""
        self._judge_velocity(sample)
        last, self._last = self._last, sample
        if last is None:
            return
        arrival_gap_s = (sample.arrival_ns - last.arrival_ns) / 1e9
        self.longest_arrival_gap_s = max(self.longest_arrival_gap_s, arrival_gap_s)
        if sample.sent_ns is None or last.sent_ns is None:
            gap_s, error_s = arrival_gap_s, self._period_s
        else:
            gap_s, error_s = (sample.sent_ns - last.sent_ns) / 1e9, STAMP_ERROR_S
        self._judge_gap(gap_s, last)
        slopes_before, self._slopes = self._slopes, None
        if not sample.moving and self.abrupt_stop_allowed:
            return
        for name, limits in self._axes:
            self._judge_step(name, limits, getattr(last, name), getattr(sample, name), gap_s + error_s)
        if error_s == STAMP_ERROR_S and 0.0 < gap_s <= ONE_TICK * self._period_s:
            self._judge_slopes(last, sample, gap_s, slopes_before)

    def _judge_velocity(self, sample: CommandSample) -> None:
        if not all(map(math.isfinite, (sample.forward, sample.left, sample.turn, *sample.others))):
            self._record_violation(f"not a number: {sample[1:]}")
        for name, limits in self._axes:
            value = getattr(sample, name)
            if not -limits.reverse - ROUNDING <= value <= limits.forward + ROUNDING:
                self._record_violation(f"{name} {value:.4f} beyond -{limits.reverse:g} to {limits.forward:g}")
        if any(sample.others) or (sample.left and not self._lateral):
            self._record_violation(f"a component this base does not have: left {sample.left}, others {sample.others}")

    def _judge_step(self, name: str, limits: AxisLimits, before: float, after: float, within_s: float) -> None:
        if before * after < 0:
            allowed = max(limits.accel, limits.decel)
        else:
            allowed = limits.accel if abs(after) > abs(before) else limits.decel
        if abs(after - before) > allowed * max(within_s, 0.0) + ROUNDING:
            self._record_violation(
                f"{name} from {before:.4f} to {after:.4f} within {within_s:.4f} s, allowed {allowed:g} per s"
            )

    def _judge_slopes(
        self, last: CommandSample, sample: CommandSample, gap_s: float, before: tuple[_Slope, ...] | None
    ) -> None:
        moved_s = min(gap_s, self._period_s)
        changes = [getattr(sample, name) - getattr(last, name) for name, _ in self._axes]
        slopes = tuple(_Slope(*sorted((change / gap_s, change / moved_s))) for change in changes)
        error, self._slopes_error = self._slopes_error, STAMP_ERROR_S / moved_s
        self._slopes = slopes
        if before is None:
            return
        for (name, limits), was, now in zip(self._axes, before, slopes, strict=True):
            change = max(now.low - was.high, was.low - now.high)
            steepest = max(limits.accel, limits.decel)
            if change > limits.jerk * (gap_s + STAMP_ERROR_S) + steepest * (error + self._slopes_error) + ROUNDING:
                self._record_violation(f"{name} slope changed by {change:.3f} per s within {gap_s:.4f} s")

    def _judge_gap(self, gap_s: float, last: CommandSample) -> None:
        self.longest_gap_s = max(self.longest_gap_s, gap_s)
        if gap_s > SILENCE_S and last.moving and not self.silence_allowed:
            self._record_violation(f"silent for {gap_s:.3f} s after a command that moves")

    def _record_violation(self, sentence: str) -> None:
        self.violations.append(sentence)


class Stop(NamedTuple):
    """When braking began and when the zeros began, in seconds after the injection; None: it did not happen."""

    braked_s: float | None
    zero_s: float | None


def find_stop(samples: list[CommandSample], injected_ns: int, cruise: CommandSample, stays_stopped: bool) -> Stop:
    """The first command below cruising speed, and the first zero (that no motion follows, when it must stay)."""
    after = [sample for sample in samples if sample.arrival_ns > injected_ns]
    braked = next((s for s in after if _slower(s, cruise)), None)
    if stays_stopped:
        last_motion = max((index for index, sample in enumerate(after) if sample.moving), default=-1)
        zero = after[last_motion + 1] if last_motion + 1 < len(after) else None
    else:
        zero = next((sample for sample in after if not sample.moving), None)
    return Stop(*(None if found is None else (found.arrival_ns - injected_ns) / 1e9 for found in (braked, zero)))


def from_rest(samples: list[CommandSample], seconds: float) -> list[CommandSample]:
    """The last zero, the first motion, and what was sent within some seconds of that, by the controller's stamps."""
    first = next((index for index, sample in enumerate(samples) if sample.moving), None)
    if first is None:
        return []
    begun_ns = samples[first].sent_ns or 0
    return [s for s in samples[max(first - 1, 0) :] if s.sent_ns is not None and s.sent_ns - begun_ns <= seconds * 1e9]


def braking_s(config: ControllerConfig, cruise: CommandSample) -> float:
    """Time from the first slower command to exact zero on every axis: v/a + a/j, and the limiter's landing."""
    times = []
    for value, limits in zip((cruise.forward, cruise.left, cruise.turn), axis_limits(config), strict=True):
        decel = min(limits.decel, math.sqrt(abs(value) * limits.jerk)) if value else 0.0
        times.append(abs(value) / decel + decel / limits.jerk if decel else 0.0)
    return max(times) + LANDING_TICKS * config.period_s


def _slower(sample: CommandSample, cruise: CommandSample) -> bool:
    return any(
        abs(getattr(sample, name)) < abs(getattr(cruise, name)) - ROUNDING for name in ("forward", "left", "turn")
    )
