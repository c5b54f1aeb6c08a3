"""Keeping the time on a busy machine."""

from __future__ import annotations

import os
import resource
import signal
import threading
from pathlib import Path

LONGEST_RUN_S = 0.5
"""Of a real-time thread, without waiting. A tick of the controller takes some milliseconds."""


def become_realtime(priority: int) -> str:
    """Give the calling thread a real-time priority where that is permitted; says in words how it is scheduled now.

    The other threads of this process get the next lower one: through those of the middleware come the messages that
    this thread must hear in time, a press of a stop device among them. 0 asks for nothing.
    A real-time thread that never waits leaves the rest of the machine a twentieth of a core, so one that has run for
    `LONGEST_RUN_S` without waiting takes the whole process back to normal scheduling.
    """
    if priority == 0:
        return "normal"
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
        for thread in _other_threads():
            _schedule(thread, max(1, priority - 1))
    except PermissionError:
        return f"normal; real-time priority {priority} is not permitted, allow it with rtprio in limits.conf"
    _step_down_when_stuck()
    return f"real-time priority {priority}"


def scheduled(asked: str) -> str:
    """How the calling thread is scheduled now, given what `become_realtime` said."""
    if asked.startswith("real-time") and os.sched_getscheduler(0) != os.SCHED_RR:
        return f"normal; ran for {LONGEST_RUN_S:g} s without waiting at {asked}"
    return asked


def _step_down_when_stuck() -> None:
    """The kernel counts the time that a real-time thread runs without waiting, and sends a signal at the limit."""

    def step_down(_number: int, _frame: object) -> None:
        for thread in (0, *_other_threads()):
            _schedule(thread, 0)

    signal.signal(signal.SIGXCPU, step_down)
    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    resource.setrlimit(resource.RLIMIT_RTTIME, (round(LONGEST_RUN_S * 1e6), hard))


def _other_threads() -> list[int]:
    me = threading.get_native_id()
    return [number for task in Path("/proc/self/task").iterdir() if (number := int(task.name)) != me]


def _schedule(thread: int, priority: int) -> None:
    policy = os.SCHED_RR if priority else os.SCHED_OTHER
    try:
        os.sched_setscheduler(thread, policy, os.sched_param(priority))
    except ProcessLookupError:
        return  # it has ended since
