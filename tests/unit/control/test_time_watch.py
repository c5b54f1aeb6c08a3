from __future__ import annotations

import time

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Now, steady_ns
from mobile_vla.control.time_watch import TimeWatch

MS = 1_000_000
STEADY, ROS = 7_000 * MS, 1_700_000_000_000 * MS


def at(steady_ms: int, ros_ms: int | None = None) -> Now:
    return Now(STEADY + steady_ms * MS, ROS + (steady_ms if ros_ms is None else ros_ms) * MS)


@pytest.fixture
def watch() -> TimeWatch:
    unit = TimeWatch(ControllerConfig())
    assert unit.look(at(0)) == (0, False, ())
    return unit


@pytest.mark.parametrize(
    ("since", "gap_ms", "set_back", "codes"),
    [
        ((33, 33), 0, False, []),
        ((250, 250), 0, False, []),
        ((251, 251), 251, False, ["clock.gap"]),
        ((33, -100), 0, False, []),
        ((33, -101), 0, True, ["clock.set_back"]),
        ((33, 1033), 0, False, []),
        ((33, 1034), 0, False, ["clock.stepped_forward"]),
        ((0, 0), 0, False, []),
        ((-5, 33), 0, False, []),
        ((600_000, 600_000), 600_000, False, ["clock.gap"]),
        ((600_000, -3_600_000), 600_000, True, ["clock.gap", "clock.set_back"]),
    ],
)
def test_what_happened_since_the_tick_before(
    watch: TimeWatch, since: tuple[int, int], gap_ms: int, set_back: bool, codes: list[str]
) -> None:
    steady_ms, ros_ms = since
    change = watch.look(at(steady_ms, ros_ms))
    assert (change.gap_ns, change.set_back) == (gap_ms * MS, set_back)
    assert [note.code for note in change.notes] == codes
    assert watch.look(at(steady_ms + 33, ros_ms + 33)) == (0, False, ())


def test_sentences_have_the_metric(watch: TimeWatch) -> None:
    (gap,) = watch.look(at(1500)).notes
    assert str(gap) == "no tick for 1.500 s; motion restarts from rest"
    (back,) = watch.look(at(1533, -2000)).notes
    assert str(back) == "ROS time went back 3.500 s"
    (forward,) = watch.look(at(1566, 3_600_033)).notes
    assert str(forward) == "ROS time stepped forward 3602.000 s"


def test_requests_are_refused_in_a_gap_and_shortly_after_it(watch: TimeWatch) -> None:
    assert watch.refusal(at(250)) == ""
    assert "did not run for the last 4.0 s" in watch.refusal(at(4000))
    watch.look(at(4000))
    assert "did not run for 4.0 s until just now; ask again" in watch.refusal(at(4000))
    watch.look(at(4200))
    watch.look(at(4400))
    assert watch.refusal(at(4499))
    assert watch.refusal(at(4500)) == ""


def test_without_simulated_time_or_while_it_stands_arming_is_refused(watch: TimeWatch) -> None:
    assert "/clock says nothing" in watch.refusal(at(0)._replace(ros_ns=0))
    for steady_ms in range(33, 1400, 33):
        watch.look(at(steady_ms, 33))
    assert "simulated time has stood still for 1.0 s; let /clock go on" in watch.refusal(at(1033 + 33, 33))
    assert watch.refusal(at(1400, 66)) == ""


def test_the_length_of_a_gap_can_be_changed(watch: TimeWatch) -> None:
    watch.configure(with_values(ControllerConfig(), {"output.silence_s": 0.5}))
    assert watch.look(at(500)).gap_ns == 0
    assert watch.look(at(1001)).gap_ns == 501 * MS


def test_the_steady_clock_counts_the_time_of_a_suspend_where_the_system_can() -> None:
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime_ns(clock)
    assert before <= steady_ns() <= time.clock_gettime_ns(clock)
