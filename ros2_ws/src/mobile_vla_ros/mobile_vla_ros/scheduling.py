"""Keeping the time on a busy machine."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def become_realtime(priority: int) -> str:
    """Give the calling thread a real-time priority where that is permitted; says in words how it is scheduled now.

    The other threads of this process get the next lower one: through those of the middleware come the messages that
    this thread must hear in time, a press of a stop device among them. 0 asks for nothing. The kernel's own throttling
    keeps runaway real-time threads from taking the whole machine.
    """
    if priority == 0:
        return "normal"
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
        for thread in _other_threads():
            _schedule(thread, max(1, priority - 1))
    except PermissionError:
        return f"normal; real-time priority {priority} is not permitted, allow it with rtprio in limits.conf"
    return f"real-time priority {priority}"


def _other_threads() -> list[int]:
    me = threading.get_native_id()
    return [number for task in Path("/proc/self/task").iterdir() if (number := int(task.name)) != me]


def _schedule(thread: int, priority: int) -> None:
    try:
        os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(priority))
    except ProcessLookupError:
        return  # it has ended since
