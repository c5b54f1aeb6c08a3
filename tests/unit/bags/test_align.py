"""Which command belongs to which frame, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

from mobile_vla.bags.align import AlignedFrame, align
from mobile_vla.bags.types import BagCommand, BagFrame, BagInstruction, BagOdometry, BagRange, BagScan, Event

MS = 1_000_000


def frame(stamp_ms: int, log_ms: int | None = None) -> BagFrame:
    return BagFrame(stamp_ms * MS, (stamp_ms if log_ms is None else log_ms) * MS, "/c", "mono8", 1, 1, 1, False, b"x")


def command(stamp_ms: int, value: float) -> BagCommand:
    return BagCommand(stamp_ms * MS, stamp_ms * MS, "/cmd_vel", value, 0.0, 0.0)


def run(events: list[Event], delay_ms: int = 0, tolerance_ms: int = 50) -> list[AlignedFrame]:
    ordered = sorted(events, key=lambda event: event.log_ns)
    return list(align(ordered, delay_ms * MS, tolerance_ms * MS))


def test_nearest_within_tolerance() -> None:
    samples = run([frame(0), frame(100), frame(200), command(-10, 1.0), command(105, 2.0), command(260, 3.0)])
    commands = [sample.command for sample in samples]
    assert [one and (one.linear_mps, one.stamp_ns // MS) for one in commands] == [(1.0, -10), (2.0, 105), None]


def test_delay_moves_the_wanted_time() -> None:
    events = [frame(0), frame(100), command(0, 1.0), command(40, 2.0), command(100, 3.0), command(140, 4.0)]
    assert [s.command.linear_mps for s in run(events) if s.command] == [1.0, 3.0]
    assert [s.command.linear_mps for s in run(events, delay_ms=40) if s.command] == [2.0, 4.0]


def test_every_frame_comes_out_once_and_in_order() -> None:
    events: list[Event] = [frame(10 * i) for i in range(100)] + [command(33 * i + 3, float(i)) for i in range(31)]
    samples = run(events)
    assert [s.frame.stamp_ns for s in samples] == [10 * i * MS for i in range(100)]
    for sample in samples:
        nearest = min(range(31), key=lambda i: abs(33 * i + 3 - sample.frame.stamp_ns // MS))
        wanted = abs(33 * nearest + 3 - sample.frame.stamp_ns // MS) <= 50
        assert (sample.command is not None) == wanted
        if sample.command is not None:
            apart_ms = abs(sample.command.stamp_ns - sample.frame.stamp_ns) // MS
            assert apart_ms == abs(33 * nearest + 3 - sample.frame.stamp_ns // MS)


def test_no_commands_at_all() -> None:
    assert [sample.command for sample in run([frame(0), frame(100)])] == [None, None]


def test_waiting_frames_are_bounded() -> None:
    """Without commands a frame is given up soon, so that memory does not grow with the bag."""
    taken = 0

    def endless() -> Iterator[Event]:
        nonlocal taken
        while True:
            yield frame(100 * taken)
            taken += 1

    samples = align(endless(), 0, 50 * MS)
    for given in range(1, 500):
        next(samples)
        assert taken - given < 10


def test_context_is_the_latest_at_the_frame() -> None:
    events = [
        BagInstruction(0, 0, "/i", "first"),
        frame(10),
        BagInstruction(20 * MS, 20 * MS, "/i", "second"),
        frame(30),
    ]
    assert [sample.instruction for sample in align(events)] == ["first", "second"]


def test_a_clock_jump_back_resets_the_alignment() -> None:
    events: list[Event] = [
        frame(5000),
        command(5010, 1.0),
        frame(5100),
        frame(0),
        command(10, 2.0),
        frame(100),
        command(105, 3.0),
    ]
    samples = list(align(events, 0, 50 * MS))
    assert [s.frame.stamp_ns // MS for s in samples] == [5000, 5100, 0, 100]
    assert [s.command.linear_mps if s.command else None for s in samples] == [1.0, None, 2.0, 3.0]


def test_sensor_readings_go_with_the_next_frame() -> None:
    def sensed(log_ms: int) -> list[Event]:
        at = (log_ms * MS, log_ms * MS, "/s")
        return [BagScan(*at, [1.0], 0.0, 0.1, 0.1, 9.0), BagRange(*at, 1.0, 0.1, 9.0), BagOdometry(*at, *[0.0] * 6)]

    events = [frame(0), *sensed(10), *sensed(60), frame(100), frame(200), *sensed(210), command(300, 1.0)]
    around = [[event.log_ns // MS for event in sample.readings] for sample in run(events)]
    assert around == [[], [10, 10, 10, 60, 60, 60], []]
