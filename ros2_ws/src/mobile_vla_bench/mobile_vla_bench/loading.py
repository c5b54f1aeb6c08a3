"""Waiting for a policy to be loaded: as long as its process works on it, however slow the machine is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mobile_vla.errors import UserError

PATIENCE_S = 60.0
LEAST_CPU_S = 1.5
"""Within `PATIENCE_S`. A node that only waits takes below 1 % of a core; a loader on a crowded machine gets more."""
LEAST_READ_BYTES = 4e6
MOST_RESTARTS = 3
SAY_EVERY_S = 15.0


class Work(NamedTuple):
    """What a process has done since it started."""

    cpu_s: float = 0.0
    read_bytes: float = 0.0


def work_of(pid: int) -> Work:
    """From /proc; nothing for a process that is gone."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        read = Path(f"/proc/{pid}/io").read_text().partition("read_bytes: ")[2].split()[0]
    except (OSError, IndexError):
        return Work()
    return Work((int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"), float(read))


def wait_for_policy(
    ready: Callable[[], bool],
    work: Callable[[], Work],
    pause: Callable[[], None],
    reason: Callable[[], str],
    *,
    say: Callable[[str], None] = lambda text: None,
    now_s: Callable[[], float] = time.monotonic,
) -> None:
    """Until `ready`. `UserError` when the loading process has done nothing for `PATIENCE_S`, or ended too often."""
    began_s = since_s = said_s = now_s()
    done, ended = work(), 0
    while not ready():
        now, at_s = work(), now_s()
        if now.cpu_s < done.cpu_s:  # it ended; another takes its place
            done, ended = Work(), ended + 1
        if ended >= MOST_RESTARTS:
            raise UserError(f"the process that loads the policy has ended {ended} times; {reason()}")
        if now.cpu_s - done.cpu_s >= LEAST_CPU_S or now.read_bytes - done.read_bytes >= LEAST_READ_BYTES:
            done, since_s = now, at_s
        if at_s - since_s > PATIENCE_S:
            raise UserError(
                f"the policy is not loaded after {at_s - began_s:.0f} s and its process has done nothing for "
                f"{PATIENCE_S:g} s; {reason()}"
            )
        if at_s - said_s >= SAY_EVERY_S:
            said_s = at_s
            say(f"loading the policy, {at_s - began_s:.0f} s")
        pause()
