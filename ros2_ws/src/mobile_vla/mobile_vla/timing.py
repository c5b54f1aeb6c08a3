"""Rolling timings of one section of work: mean, percentiles, worst. No numpy: the controller uses it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class TimingSummary(NamedTuple):
    """Milliseconds over the newest values; all zero while there are none."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float
    total: int


class Timings:
    """The newest `keep` durations. One thread adds; summaries may be read from another."""

    def __init__(self, keep: int = 200) -> None:
        self._values: deque[float] = deque(maxlen=keep)
        self.total = 0

    def add(self, milliseconds: float) -> None:
        self._values.append(milliseconds)
        self.total += 1

    @contextmanager
    def measure(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.add((time.perf_counter() - start) * 1e3)

    def summary(self) -> TimingSummary:
        ordered = sorted(self._values.copy())
        if not ordered:
            return TimingSummary(0.0, 0.0, 0.0, 0.0, 0.0, 0)
        p50, p95, p99 = (percentile(ordered, percent) for percent in (50, 95, 99))
        return TimingSummary(sum(ordered) / len(ordered), p50, p95, p99, ordered[-1], self.total)

    def as_values(self, name: str) -> dict[str, str]:
        """Key-value pairs for a diagnostic status."""
        summary = self.summary()._asdict()
        del summary["total"]
        return {f"{name}_{part}": f"{milliseconds:.2f}" for part, milliseconds in summary.items()}


class RateMeter:
    """Events per second over a sliding span; the clock is an argument."""

    def __init__(self, span_s: float = 2.0) -> None:
        self._span_ns = int(span_s * 1e9)
        self._stamps: deque[int] = deque()

    def tick(self, now_ns: int) -> None:
        self._stamps.append(now_ns)
        self._trim(now_ns)

    def hz(self, now_ns: int) -> float:
        self._trim(now_ns)
        return len(self._stamps) / (self._span_ns / 1e9)

    def _trim(self, now_ns: int) -> None:
        while self._stamps and now_ns - self._stamps[0] > self._span_ns:
            self._stamps.popleft()


def percentile(ordered: list[float], percent: float) -> float:
    """Nearest-rank percentile of an already sorted, non-empty list."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
