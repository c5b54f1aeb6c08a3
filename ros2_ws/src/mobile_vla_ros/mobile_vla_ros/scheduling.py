"""Keeping the time on a busy machine."""

from __future__ import annotations

import os


def become_realtime(priority: int) -> str:
    """Give the calling thread a real-time priority where that is permitted; says in words how it is scheduled now.

    0 asks for nothing. The kernel's own throttling keeps a runaway real-time thread from taking the whole machine.
    """
    if priority == 0:
        return "normal"
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except PermissionError:
        return f"normal; real-time priority {priority} is not permitted, allow it with rtprio in limits.conf"
    return f"real-time priority {priority}"
