"""The command thread comes first, the threads that bring it messages next; 0 asks for nothing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mobile_vla_ros.scheduling import become_realtime


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this process's limits nor its signal handlers are changed."""
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)


@pytest.fixture
def other() -> Iterator[int]:
    """Another thread of this process."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    assert thread.native_id is not None
    yield thread.native_id
    end.set()
    thread.join()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """What the kernel was asked for, by thread; 0 is the calling one."""
    calls: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda thread, policy, param: calls.update({thread: (policy, param.sched_priority)})
    )
    return calls


@pytest.mark.parametrize(("priority", "others"), [(10, 9), (1, 1)])
def test_the_threads_of_the_middleware_come_next(
    asked: dict[int, tuple[int, int]], other: int, priority: int, others: int
) -> None:
    assert become_realtime(priority) == f"real-time priority {priority}"
    assert asked[0] == (os.SCHED_RR, priority)
    assert asked[other] == (os.SCHED_RR, others)
    assert threading.get_native_id() not in asked


def test_zero_asks_for_nothing(asked: dict[int, tuple[int, int]]) -> None:
    assert become_realtime(0) == "normal"
    assert asked == {}


def test_a_thread_that_has_ended_is_passed_over_and_what_is_not_permitted_is_said(
    monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    def ended(thread: int, policy: int, param: os.sched_param) -> None:
        if thread:
            raise ProcessLookupError

    monkeypatch.setattr(os, "sched_setscheduler", ended)
    assert become_realtime(10) == "real-time priority 10"

    def forbidden(thread: int, policy: int, param: os.sched_param) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    assert "is not permitted, allow it with rtprio in limits.conf" in become_realtime(10)


STUCK = """
import os, time
from mobile_vla_ros.scheduling import become_realtime, scheduled
said = become_realtime(1)
end = time.monotonic() + 20.0
while os.sched_getscheduler(0) == os.SCHED_RR and time.monotonic() < end:
    pass
print(said, "|", scheduled(said))
"""


def test_a_thread_that_never_waits_loses_its_priority() -> None:
    result = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60, check=True)
    before, _, after = result.stdout.strip().partition(" | ")
    if not before.startswith("real-time"):
        pytest.skip(f"scheduled as {before}")
    assert after == "normal; ran for 0.5 s without waiting at real-time priority 1"
