"""Sweeping up after killed processes: Fast DDS leaves its shared-memory segments, 17 MB each, in /dev/shm."""

from __future__ import annotations

import fcntl
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  (where the transport keeps its segments)
_LOCK_SUFFIX = "_el"


def segments_of(pid: int) -> list[Path]:
    """Locks of the shared-memory segments a process holds; ask before killing it."""
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []  # it has ended
    held = []
    for entry in entries:
        try:
            target = entry.readlink()
        except OSError:
            continue  # closed in the meantime
        if target.parent == SHARED_MEMORY and target.name.endswith(_LOCK_SUFFIX):
            held.append(target)
    return held


def sweep(locks: list[Path]) -> None:
    """Remove the segments of a killed process: those whose lock nobody holds any more."""
    for lock in locks:
        try:
            with lock.open() as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue  # somebody else's, or gone
        lock.unlink(missing_ok=True)
        lock.with_name(lock.name.removesuffix(_LOCK_SUFFIX)).unlink(missing_ok=True)
