"""The observer's own scheduling: on a busy machine it must not measure its own waiting."""

from __future__ import annotations

import os
from pathlib import Path

OBSERVER_PRIORITY = 9  # below the controller's


def prefer_this_process() -> str:
    """Give every thread of this process a real-time priority where permitted; children start normally."""
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(OBSERVER_PRIORITY))
    except (PermissionError, ProcessLookupError) as error:
        return f"normal ({error.strerror})"
    return f"real-time priority {OBSERVER_PRIORITY}"
