"""How many frames are taken, and how evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.camera.rate_limit import RateLimit
from mobile_vla.camera.source import NS


def taken(limit: RateLimit, times_ns: list[int]) -> list[int]:
    return [at for at in times_ns if limit.takes(at)]


@pytest.mark.parametrize(("source_hz", "rate_hz"), [(60, 10), (50, 30), (30, 30), (25, 10), (29.97, 30), (15, 30)])
def test_the_rate_over_a_long_time(source_hz: float, rate_hz: float) -> None:
    times = [round(number * NS / source_hz) for number in range(int(source_hz * 60))]
    kept = taken(RateLimit(rate_hz), times)
    # one frame more or less at each end of a minute
    assert len(kept) == pytest.approx(60 * min(source_hz, rate_hz), abs=2)


def test_an_even_camera_at_its_own_rate_loses_nothing_to_jitter() -> None:
    rng = np.random.default_rng(0)
    times = [round(number * NS / 30 + late) for number, late in enumerate(rng.uniform(0, NS / 30, 900))]
    assert taken(RateLimit(30, ahead=3), times) == times


def test_a_bunch_after_a_pause_is_cut_to_what_is_allowed_at_once() -> None:
    limit = RateLimit(10, ahead=2)
    assert len(taken(limit, [0] * 20)) == 2
    assert len(taken(limit, [10 * NS] * 20)) == 3  # what was left over, and those allowed at once


@given(
    st.lists(st.integers(-NS, NS), min_size=1, max_size=200),
    st.floats(1, 100),
    st.integers(1, 4),
)
def test_never_more_than_the_rate_allows(gaps: list[int], rate_hz: float, ahead: int) -> None:
    """Whatever the times, those that go back included."""
    times = list(np.cumsum([0, *gaps]))
    forward_ns = sum(gap for gap in gaps if gap > 0)
    kept = taken(RateLimit(rate_hz, ahead), [int(at) for at in times])
    assert len(kept) <= forward_ns * rate_hz / NS + ahead + 2
