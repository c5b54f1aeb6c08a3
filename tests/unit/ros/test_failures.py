"""What is contained is counted, named and logged seldom."""

from __future__ import annotations

import pytest

from mobile_vla_ros.failures import LOG_EVERY_NS, MOST_KINDS, RECENT_NS, Failures


class Clock:
    def __init__(self) -> None:
        self.ns = 1

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def failures(clock: Clock, logged: list[str]) -> Failures:
    return Failures(logged.append, clock)


def test_each_kind_is_counted_by_itself(failures: Failures) -> None:
    for _ in range(3):
        failures.add("/scan", ValueError("no\n  number"))
    failures.add("/scan", KeyError("x"))
    failures.add("service arm", ValueError("no"))
    assert failures.values() == {
        "failed./scan.ValueError": "3 x ValueError: no number",
        "failed./scan.KeyError": "1 x KeyError: 'x'",
        "failed.service arm.ValueError": "1 x ValueError: no",
    }
    assert failures.count == 5


def test_a_block_that_fails_is_left_and_counted(failures: Failures) -> None:
    with failures.contained("tick"):
        raise ValueError("no")
    assert failures.values() == {"failed.tick.ValueError": "1 x ValueError: no"}


def test_what_ends_a_process_is_not_contained(failures: Failures) -> None:
    with pytest.raises(KeyboardInterrupt), failures.contained("tick"):
        raise KeyboardInterrupt
    assert failures.count == 0


def test_the_newest_is_news_for_ten_seconds(failures: Failures, clock: Clock) -> None:
    assert failures.recent() == ""
    failures.add("/scan", ValueError("no"))
    clock.ns += RECENT_NS - 1
    assert failures.recent() == "/scan: ValueError: no"
    clock.ns += 1
    assert failures.recent() == ""


def test_a_flood_is_logged_seldom(failures: Failures, clock: Clock, logged: list[str]) -> None:
    for _ in range(1000):
        failures.add("/scan", ValueError("no"))
    assert logged == ["/scan: ValueError: no (1 of this kind so far; the node goes on)"]
    clock.ns += LOG_EVERY_NS
    failures.add("/scan", ValueError("no"))
    assert logged[1:] == ["/scan: ValueError: no (1001 of this kind so far; the node goes on)"]


def test_endless_kinds_need_no_endless_memory(failures: Failures) -> None:
    for number in range(3 * MOST_KINDS):
        failures.add(f"/topic{number}", ValueError("x" * 10_000))
    values = failures.values()
    assert len(values) == MOST_KINDS + 1
    assert sum(map(len, values.values())) < 300 * (MOST_KINDS + 1)
    assert values["failed.others"].startswith(f"{2 * MOST_KINDS} x ")
