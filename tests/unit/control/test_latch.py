from __future__ import annotations

import pytest

from mobile_vla.control import Latched, Now, Outcome, Pressed
from mobile_vla.control.config import EmergencyStop
from mobile_vla.control.latch import EmergencyLatch

MS = 1_000_000
SETTINGS = EmergencyStop(reset_delay_s=0.5)


def at(milliseconds: int) -> Now:
    return Now(77 * MS + milliseconds * MS, 1_000_000 * MS)


def closed_at(milliseconds: int, cause: str = "button") -> EmergencyLatch:
    unit = EmergencyLatch()
    unit.close(cause, at(milliseconds))
    return unit


def test_it_begins_open() -> None:
    unit = EmergencyLatch()
    assert (unit.closed, unit.cause) == (False, "")
    assert unit.reset(SETTINGS, at(0)) == Outcome(True, "no emergency stop is latched")


@pytest.mark.parametrize(("after_ms", "opens"), [(0, False), (499, False), (500, True), (501, True)])
def test_it_opens_from_the_end_of_the_delay_on(after_ms: int, opens: bool) -> None:
    unit = closed_at(1000)
    assert (unit.closed, unit.cause) == (True, "button")
    assert unit.reset(SETTINGS, at(1000 + after_ms)).ok is opens
    assert unit.closed is not opens
    assert unit.cause == ("" if opens else "button")


def test_a_refusal_says_how_long_it_has_been() -> None:
    assert closed_at(1000).reset(SETTINGS, at(1250)) == Outcome(
        False, "refused: 0.25 s after the stop, allowed after 0.5 s; try again"
    )


def test_a_second_stop_starts_the_delay_again_and_is_the_cause() -> None:
    unit = closed_at(1000)
    unit.close("service", at(1400))
    assert unit.cause == "service"
    assert not unit.reset(SETTINGS, at(1899)).ok
    assert unit.reset(SETTINGS, at(1900)).ok


def test_a_pressed_device_keeps_it_closed_however_late() -> None:
    unit = closed_at(0)
    unit.devices.offer("a", True, at(0))
    assert unit.reset(SETTINGS, at(100_000)) == Outcome(
        False, "refused: still pressed: the stop input; release that first"
    )
    assert unit.closed
    unit.devices.offer("a", False, at(100_000))
    assert unit.closed
    assert unit.reset(SETTINGS, at(100_001)) == Outcome(True, "emergency stop released; arm to move")


def test_another_process_latches_what_was_latched_here() -> None:
    first = closed_at(0)
    first.devices.offer_present({"a": "/button"})
    first.devices.offer("a", True, at(0))
    assert first.record == Latched("button", (Pressed("a", "/button"),))
    second = EmergencyLatch()
    second.restore(first.record, at(0))
    assert (second.cause, second.record) == ("button", first.record)
    assert "still pressed: /button" in second.reset(SETTINGS, at(499)).message, "which says more than the delay"
    second.devices.offer("a", False, at(499))
    assert not second.reset(SETTINGS, at(499)).ok
    assert second.reset(SETTINGS, at(500)).ok
    assert (second.record, EmergencyLatch().record) == (None, None)
