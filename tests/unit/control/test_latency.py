from __future__ import annotations

import pytest

from mobile_vla.control.latency import ENOUGH, STEP_NS, WINDOW, Latency

MS = 1_000_000


def disarmed(latencies_ms: list[int]) -> Latency:
    unit = Latency()
    for latency_ms in latencies_ms:
        unit.note_disarmed(latency_ms * MS)
    return unit


@pytest.mark.parametrize(
    ("latencies_ms", "estimate_ms"),
    [([], 0), ([70], 70), ([90, 10], 10), ([30, 90, 10], 30), ([40, 30, 20, 10], 20), ([10, 20, 20, 90, 90], 20)],
)
def test_while_disarmed_the_estimate_is_the_lower_median(latencies_ms: list[int], estimate_ms: int) -> None:
    assert disarmed(latencies_ms).estimate_ns == estimate_ms * MS


def test_the_median_is_of_the_last_64() -> None:
    assert disarmed([10] * 32 + [90] * 32).estimate_ns == 10 * MS
    assert disarmed([10] * 32 + [90] * 33).estimate_ns == 90 * MS, "the first of the 10s is out: 31 of 64 are left"
    assert disarmed([90] * 33 + [10] * 31).estimate_ns == 90 * MS
    assert disarmed([90] * 33 + [10] * 32).estimate_ns == 10 * MS
    assert disarmed([5] * 1000 + list(range(1, WINDOW + 1))).estimate_ns == 32 * MS


def test_armed_it_rises_by_a_step_at_a_time_towards_the_share_of_95() -> None:
    unit = disarmed([100] * 19)
    unit.note_accepted(500 * MS)  # the 20th: the 19th of 20 is 100
    assert unit.estimate_ns == 100 * MS
    for number in (1, 2, 3):
        unit.note_accepted(500 * MS)
        assert unit.estimate_ns == 100 * MS + number * STEP_NS


def test_armed_an_action_no_later_than_the_estimate_raises_nothing() -> None:
    unit = disarmed([100] * 3)
    for _ in range(3):
        unit.note_accepted(500 * MS)
    assert unit.estimate_ns == 130 * MS
    for latency_ms in (130, 20):
        unit.note_accepted(latency_ms * MS)
        assert unit.estimate_ns == 130 * MS


def test_armed_it_is_never_above_the_share_and_falls_to_it_at_once() -> None:
    unit = disarmed([100] * 64)
    unit.note_accepted(104 * MS)
    assert unit.estimate_ns == 100 * MS, "one of 64 is no p95"
    for _ in range(3):
        unit.note_accepted(104 * MS)
    assert unit.estimate_ns == 104 * MS, "less than a step away"
    unit.note_accepted(20 * MS)
    assert unit.estimate_ns == 104 * MS
    for _ in range(59):
        unit.note_accepted(20 * MS)
    assert unit.estimate_ns == 104 * MS, "4 of 64 are left: the 61st is theirs"
    unit.note_accepted(20 * MS)
    assert unit.estimate_ns == 20 * MS


def test_the_slow_steps_of_a_start_count_until_enough_were_accepted_since_arming() -> None:
    unit = disarmed([900, 300, 160])
    for _ in range(ENOUGH - 1):
        unit.note_accepted(5 * MS)
        assert unit.estimate_ns == 300 * MS
    unit.note_accepted(5 * MS)
    assert unit.estimate_ns == 5 * MS


def test_a_policy_that_is_slow_now_and_then_stays_known_as_slow() -> None:
    unit = disarmed([100, 400, 400] * 20)
    for latency_ms in [100, 400, 400, 100] * 20:
        unit.note_accepted(latency_ms * MS)
        assert unit.estimate_ns == 400 * MS


def test_disarming_begins_the_count_anew() -> None:
    unit = disarmed([300] * 30)
    for _ in range(ENOUGH - 1):
        unit.note_accepted(5 * MS)
    unit.note_disarmed(300 * MS)
    for _ in range(ENOUGH - 1):
        unit.note_accepted(5 * MS)
        assert unit.estimate_ns == 300 * MS
    unit.note_accepted(5 * MS)
    assert unit.estimate_ns == 5 * MS
