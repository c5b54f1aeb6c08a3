"""Time as the gate sees it, and the exception for inputs it will not use."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

NS_PER_S = 1_000_000_000
ONE_INSTANT_NS = 100_000
MOST_READINGS = 10


class Now(NamedTuple):
    """One instant on two clocks, in nanoseconds: `steady_ns` drives watchdogs, `ros_ns` is compared with stamps."""

    steady_ns: int
    ros_ns: int


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_ns() -> int:
    """The clock for `Now.steady_ns`: it never steps and, where the system has such a clock, goes on during suspend."""
    return time.clock_gettime_ns(_STEADY)


def one_instant(ros_ns: Callable[[], int], steady_ns: Callable[[], int] = steady_ns) -> Now:
    """Both clocks at one instant, as closely as they can be read: what the limiters count and what a stamp says agree.

    A process can lose the processor between two readings. So the steady clock is read before and after the ROS clock,
    again while more than 0.1 ms lies between, and the closest pair counts.
    """
    closest, closest_ns = Now(0, 0), -1
    for _ in range(MOST_READINGS):
        before_ns, read_ns, after_ns = steady_ns(), ros_ns(), steady_ns()
        if closest_ns < 0 or after_ns - before_ns < closest_ns:
            closest, closest_ns = Now(after_ns, read_ns), after_ns - before_ns
        if closest_ns <= ONE_INSTANT_NS:
            break
    return closest


def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * NS_PER_S)


def to_s(nanoseconds: int) -> float:
    """Nanoseconds as seconds."""
    return nanoseconds / NS_PER_S


class SimulatedTime:
    """ROS time as /clock tells it, for comparing it with stamps.

    Between two messages it goes on with the steady clock, by as much as the step before (`LONGEST_STEP_NS` at most), so
    that a slow /clock makes no image younger than it is and no stamp one of the future. When /clock pauses, so does it.
    """

    LONGEST_STEP_NS = 100_000_000

    def __init__(self) -> None:
        self._clock_ns = 0
        self._heard_ns = 0
        self._step_ns = 0

    def hear(self, clock_ns: int, steady_ns: int) -> None:
        """A message on /clock; one that repeats the time before changes nothing."""
        if clock_ns == self._clock_ns:
            return
        step_ns = clock_ns - self._clock_ns if self._clock_ns else 0
        self._step_ns = min(max(step_ns, 0), self.LONGEST_STEP_NS)
        self._clock_ns, self._heard_ns = clock_ns, steady_ns

    def now_ns(self, steady_ns: int) -> int:
        """Nanoseconds; 0 before the first message."""
        return self._clock_ns + min(max(steady_ns - self._heard_ns, 0), self._step_ns)


class Rejected(Exception):
    """An input that is ignored and counted: `code` is its counter, the message says which value and why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Rejections:
    """Counts ignored inputs by code and keeps the last sentence of each; the codes are a fixed set."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.last: dict[str, str] = {}

    def add(self, error: Rejected) -> None:
        """Count one ignored input."""
        self.counts[error.code] += 1
        self.last[error.code] = str(error)


def check_stamp(kind: str, stamp_ns: int, last_ns: int, now: Now, future_ns: int) -> int:
    """Age of a stamp in nanoseconds (never negative); raises `Rejected` for zero, future and out-of-order stamps."""
    if stamp_ns <= 0:
        raise Rejected(
            f"{kind}.zero_stamp", f"{kind} message has stamp {stamp_ns} ns; the sender must stamp its messages"
        )
    age_ns = now.ros_ns - stamp_ns
    if age_ns < -future_ns:
        raise Rejected(
            f"{kind}.future_stamp", f"{kind} stamp is {-age_ns / 1e9:.3f} s in the future; synchronise the clocks"
        )
    if stamp_ns <= last_ns:
        raise Rejected(
            f"{kind}.out_of_order", f"{kind} stamp is {(last_ns - stamp_ns) / 1e9:.3f} s behind the one before it"
        )
    return max(age_ns, 0)
