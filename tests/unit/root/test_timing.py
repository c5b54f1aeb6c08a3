"""Rolling timings and rates, by hand-computed numbers."""

from __future__ import annotations

import pytest

from mobile_vla.timing import RateMeter, Timings, percentile


def test_summary_of_known_values() -> None:
    timings = Timings(keep=100)
    for value in range(1, 101):
        timings.add(float(value))
    summary = timings.summary()
    assert (summary.mean_ms, summary.p50_ms, summary.p95_ms, summary.p99_ms, summary.worst_ms) == (
        50.5,
        51,
        96,
        100,
        100,
    )


def test_only_the_newest_are_kept_but_all_are_counted() -> None:
    timings = Timings(keep=2)
    for value in (100.0, 1.0, 3.0):
        timings.add(value)
    assert timings.summary().worst_ms == 3.0
    assert timings.summary().total == 3


def test_empty_timings_are_zero() -> None:
    assert set(Timings().summary()) == {0.0}


def test_rate_over_a_span() -> None:
    meter = RateMeter(span_s=2.0)
    for tick in range(30):
        meter.tick(tick * 100_000_000)
    assert meter.hz(2_900_000_000) == pytest.approx(10, abs=0.6)
    assert meter.hz(10_000_000_000) == 0


def test_percentile_of_one_value() -> None:
    assert percentile([4.0], 99) == 4.0
