"""How the battery's own processes run and end. On a busy machine the observer must not measure its own waiting."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

OBSERVER_PRIORITY = 9  # below the controller's
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> None:
    """The kernel sends this process a signal when its parent ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def start_worker() -> None:
    """Set up a process that runs faults: it never outlives its parent, and cleans up undisturbed once interrupted."""
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGINT, _interrupt_once)


def interrupted() -> bool:
    """Whether this lane was told to stop."""
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def prefer_this_process() -> str:
    """Give every thread of this process a real-time priority where permitted; children start normally."""
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(OBSERVER_PRIORITY))
    except (PermissionError, ProcessLookupError) as error:
        return f"normal ({error.strerror})"
    return f"real-time priority {OBSERVER_PRIORITY}"


def prefer_this_process_no_longer() -> None:
    """Let every thread of this process run as others do."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
