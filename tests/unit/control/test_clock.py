from __future__ import annotations

import pytest

from mobile_vla.control import Now
from mobile_vla.control.clock import (
    MOST_READINGS,
    Rejected,
    Rejections,
    SimulatedTime,
    check_stamp,
    one_instant,
    to_ns,
    to_s,
)

MS = 1_000_000
NOW = Now(77 * MS, 1_000_000 * MS)
EARLIER_NS = NOW.ros_ns - 200 * MS


def age_of(stamp_ns: int, last_ns: int = EARLIER_NS, future_ns: int = 50 * MS) -> int:
    return check_stamp("scan", stamp_ns, last_ns, NOW, future_ns)


def test_seconds_become_the_nearest_whole_nanoseconds_and_back() -> None:
    assert [to_ns(seconds) for seconds in (0.3, 1e-9, 0.6e-9, 0.4e-9, -2.5)] == [300 * MS, 1, 1, 0, -2500 * MS]
    assert to_s(1500 * MS) == 1.5


@pytest.mark.parametrize(
    ("stamp_ns", "age_ns"),
    [
        (NOW.ros_ns - 120 * MS, 120 * MS),
        (NOW.ros_ns, 0),
        (NOW.ros_ns + 50 * MS, 0),
        (EARLIER_NS + 1, 200 * MS - 1),
    ],
)
def test_the_age_of_a_stamp_is_never_negative(stamp_ns: int, age_ns: int) -> None:
    assert age_of(stamp_ns) == age_ns


@pytest.mark.parametrize(
    ("stamp_ns", "code", "sentence"),
    [
        (0, "scan.zero_stamp", "has stamp 0 ns"),
        (-1, "scan.zero_stamp", "has stamp -1 ns"),
        (NOW.ros_ns + 50 * MS + 1, "scan.future_stamp", "stamp is 0.050 s in the future"),
        (NOW.ros_ns + 1250 * MS, "scan.future_stamp", "stamp is 1.250 s in the future"),
        (EARLIER_NS, "scan.out_of_order", "0.000 s behind"),
        (EARLIER_NS - 1500 * MS, "scan.out_of_order", "1.500 s behind"),
    ],
)
def test_stamps_that_prove_nothing_are_refused_with_the_metric(stamp_ns: int, code: str, sentence: str) -> None:
    with pytest.raises(Rejected, match=sentence) as caught:
        age_of(stamp_ns)
    assert caught.value.code == code


def test_the_first_nanosecond_after_the_epoch_is_a_stamp() -> None:
    assert check_stamp("scan", 1, 0, Now(5, 3), 0) == 2


def clocks(lost_ns: list[int], ahead_ns: int = 500 * MS) -> Now:
    """What is read when a microsecond passes with each reading, and so much more before each of the ROS clock."""
    time_ns, lost = 1000 * MS, iter(lost_ns)

    def steady_ns() -> int:
        nonlocal time_ns
        time_ns += 1000
        return time_ns

    def ros_ns() -> int:
        nonlocal time_ns
        time_ns += next(lost)
        return steady_ns() + ahead_ns

    return one_instant(ros_ns, steady_ns)


@pytest.mark.parametrize("lost_ms", [[0], [19, 0], [19, 3, 0], [50, 40, 30, 20, 0]])
def test_a_process_that_lost_the_processor_between_two_clocks_reads_them_again(lost_ms: list[int]) -> None:
    now = clocks([each * MS for each in lost_ms])
    assert abs(now.ros_ns - now.steady_ns - 500 * MS) <= 1000


def test_where_no_two_readings_are_close_the_closest_count() -> None:
    lost_ns = [9 * MS] * MOST_READINGS
    lost_ns[4] = 2 * MS
    now = clocks(lost_ns)
    assert now.steady_ns == 1000 * MS + 5 * 3000 + 4 * 9 * MS + 2 * MS, "the fifth pair"
    assert now.ros_ns == now.steady_ns - 1000 + 500 * MS


def test_ignored_inputs_are_counted_by_code_with_the_last_sentence() -> None:
    rejections = Rejections()
    for code, sentence in (("a.old", "first"), ("a.old", "second"), ("b.old", "other")):
        rejections.add(Rejected(code, sentence))
    assert rejections.counts == {"a.old": 2, "b.old": 1}
    assert rejections.last == {"a.old": "second", "b.old": "other"}


def test_before_clock_says_anything_simulated_time_is_zero() -> None:
    assert SimulatedTime().now_ns(NOW.steady_ns) == 0


def test_a_first_message_on_clock_stands_until_the_next() -> None:
    unit = SimulatedTime()
    unit.hear(5_000 * MS, 0)
    assert unit.now_ns(80 * MS) == 5_000 * MS


@pytest.mark.parametrize(
    ("step_ms", "after_ms", "ahead_ms"),
    [
        (100, 0, 0),
        (100, 60, 60),
        (100, 250, 100),
        (1, 60, 1),
        (1000, 60, 60),
        (1000, 250, 100),
        (-2000, 60, 0),
        (100, -5, 0),
    ],
)
def test_between_two_messages_simulated_time_goes_on_by_one_step_at_most(
    step_ms: int, after_ms: int, ahead_ms: int
) -> None:
    unit = SimulatedTime()
    unit.hear(5_000 * MS, 0)
    unit.hear((5_000 + step_ms) * MS, 900 * MS)
    assert unit.now_ns((900 + after_ms) * MS) == (5_000 + step_ms + ahead_ms) * MS


def test_a_paused_clock_that_repeats_itself_stands() -> None:
    unit = SimulatedTime()
    for index in range(20):
        unit.hear(min(5_000 + index * 10, 5_050) * MS, index * 10 * MS)
    assert unit.now_ns(10_000 * MS) == 5_060 * MS
    unit.hear(5_070 * MS, 20_000 * MS)
    assert unit.now_ns(20_000 * MS) == 5_070 * MS


@pytest.mark.parametrize("rate_hz", [10, 100, 1000])
def test_ages_on_simulated_time_are_those_on_system_time_within_one_tick(rate_hz: int) -> None:
    """Read at 30 Hz, as the controller does: the newest message that had come by then. The first tick knows no step."""
    unit, tick_ms, clock_ms = SimulatedTime(), 33, 1000 // rate_hz
    for tick in range(2, 300):
        now_ms = tick * tick_ms
        unit.hear((1 + now_ms // clock_ms * clock_ms) * MS, now_ms * MS)
        error_ms = (unit.now_ns(now_ms * MS) - now_ms * MS) / MS
        if tick > 2 + 2 * clock_ms // tick_ms:
            assert abs(error_ms) <= tick_ms
