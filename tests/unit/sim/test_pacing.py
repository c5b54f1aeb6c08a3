"""Simulated time against a wall clock that the test moves."""

from __future__ import annotations

import numpy as np
import pytest

from mobile_vla_sim.config import SimCameraConfig
from mobile_vla_sim.pacing import NS, SensorSchedule, Shutter, SimTimePacer

IMAGE = np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_simulated_time_follows_real_time_times_scale(scale: float) -> None:
    pacer, simulated = SimTimePacer(scale), 0
    for tick in range(101):
        simulated += pacer.behind(tick * NS // 100, simulated)
    assert simulated == pytest.approx(scale * NS, rel=1e-6)
    assert pacer.lost_ns == 0


def test_the_first_tick_advances_nothing() -> None:
    assert SimTimePacer(1.0).behind(10**18, 0) == 0


def test_a_long_pause_is_counted_as_lost_time() -> None:
    pacer = SimTimePacer(1.0)
    pacer.behind(0, 0)
    advance = pacer.behind(5 * NS, 0)
    assert advance == NS // 5
    assert pacer.lost_ns == 5 * NS - advance
    assert pacer.behind(5 * NS + NS // 100, advance) == NS // 100


def test_a_schedule_fires_at_its_rate_and_skips_what_it_missed() -> None:
    schedule = SensorSchedule(10.0)
    fired = [now for now in range(0, 1000, 10) if schedule.due(now * 1_000_000)]
    assert fired == list(range(0, 1000, 100))
    assert schedule.due(5 * NS)
    assert not schedule.due(5 * NS + 1)
    assert schedule.due(5 * NS + NS // 10)


def test_a_rate_of_zero_never_fires() -> None:
    assert not any(SensorSchedule(0.0).due(now * NS) for now in range(10))


def test_thirty_hertz_on_a_ten_millisecond_step_is_thirty_images_a_second() -> None:
    schedule = SensorSchedule(30.0)
    assert sum(schedule.due(step * NS // 100) for step in range(1000)) == 300


def test_the_shutter_delays_by_the_latency_and_keeps_the_stamp() -> None:
    shutter, config = Shutter(0), SimCameraConfig(latency_s=0.1)
    shutter.take(NS, 77, IMAGE, config)
    assert shutter.ready(NS + NS // 20) is None
    assert shutter.ready(NS + NS // 10) == (77, IMAGE)
    assert shutter.ready(2 * NS) is None


def test_the_shutter_loses_its_share_reproducibly() -> None:
    config = SimCameraConfig(drop_share=0.25)

    def losses(seed: int) -> list[bool]:
        shutter = Shutter(seed)
        return [shutter.loses(config) for _ in range(2000)]

    assert losses(1) == losses(1)
    assert sum(losses(1)) == pytest.approx(500, abs=60)
    assert not any(Shutter(1).loses(SimCameraConfig()) for _ in range(100))
