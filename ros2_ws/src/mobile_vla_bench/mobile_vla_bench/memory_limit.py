"""Runs a command in a fresh process under a real memory limit.

A control group counts what a small machine would: anonymous memory and the file pages that cannot be given back. Where
none can be made, RLIMIT_DATA is the substitute; it also counts private file mappings, so their size is added to it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mobile_vla.engine.memory import control_groups

_REMOVE_TRIES, _REMOVE_PAUSE_S = 50, 0.1
_RLIMIT = (
    "import os, resource, sys; limit = int(sys.argv[1]); resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


class LimitedRun(NamedTuple):
    """How one limited run ended. `report` is the last line of JSON it printed."""

    survived: bool
    report: dict[str, Any]
    reason: str


class _Group(NamedTuple):
    """One control group, the names of its limit files, and which kind it is."""

    path: Path
    limit_files: tuple[str, ...]
    kind: str


def limiter() -> str:
    """What limits memory here: `cgroup v2`, `cgroup v1` or `rlimit`."""
    try:
        with _group("probe", 1 << 30) as group:
            return "rlimit" if group is None else group.kind
    except OSError:
        return "rlimit"


def run_limited(command: Sequence[str], limit_bytes: int, mapped_bytes: int, timeout_s: float) -> LimitedRun:
    """Run to the end or to the limit. `mapped_bytes`: file mappings that RLIMIT_DATA has to allow on top."""
    with _group(str(os.getpid()), limit_bytes) as group:
        if group is None:
            words = [sys.executable, "-c", _RLIMIT, str(limit_bytes + mapped_bytes), *command]
        else:
            words = ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group.path / "cgroup.procs"), *command]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            return LimitedRun(False, {}, f"not finished after {timeout_s:.0f} s")
    if done.returncode == 0:
        return LimitedRun(True, json.loads(done.stdout.strip().splitlines()[-1]), "")
    if done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return LimitedRun(False, {}, "killed for memory")
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    return LimitedRun(False, {}, f"exit code {done.returncode}: {last[:200]}")


def forget_pages(file: Path) -> None:
    """Drop a file from the page cache: pages that another process brought in are not charged to the limited one."""
    with file.open("rb") as handle:
        os.fdatasync(handle.fileno())
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def _group(name: str, limit_bytes: int) -> Iterator[_Group | None]:
    """A control group with a memory limit and no swap, or None where the kernel or its owner allows none."""
    group = _make(f"mobile_vla_{name}")
    if group is None:
        yield None
        return
    try:
        for file in group.limit_files:
            if (group.path / file).exists():
                (group.path / file).write_text("0" if file == "memory.swap.max" else str(limit_bytes))
        yield group
    finally:
        _remove(group.path)


def _remove(group: Path) -> None:
    """The kernel needs a moment after the last process of a group has ended."""
    for _ in range(_REMOVE_TRIES):
        try:
            group.rmdir()
        except OSError:
            time.sleep(_REMOVE_PAUSE_S)
        else:
            return
    group.rmdir()


def _make(name: str) -> _Group | None:
    for base, files, kind in control_groups():
        path = base / name
        try:
            path.mkdir()
        except OSError:
            continue
        if (path / files[0]).exists():
            return _Group(path, files, kind)
        path.rmdir()
    return None
