"""How much memory this process uses and may still take, and which control groups limit it."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


def own_memory() -> dict[str, int]:
    """Bytes of this process: anonymous and file-backed resident memory now, and the largest total so far."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    anonymous, resident = (_kilobytes(rollup, name) for name in ("Anonymous", "Rss"))
    return {
        "anonymous": anonymous,
        "file_backed": resident - anonymous,
        "peak": _kilobytes(status, "VmHWM"),
    }


def available_memory() -> int:
    """Bytes that this process may still take: the machine's free and reclaimable memory, and what the limits of its
    control groups and its own leave.
    """
    machine = _kilobytes(Path("/proc/meminfo").read_text(encoding="ascii"), "MemAvailable")
    limits = [machine, *_left_in_groups()]
    soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft - _kilobytes(Path("/proc/self/status").read_text(encoding="ascii"), "VmData"))
    return max(0, min(limits))


def _left_in_groups() -> Iterator[int]:
    """What each control group above this process leaves; its file pages can be given back and do not count."""
    for base, files, kind in control_groups():
        names = ("anon", files[0]) if kind == "cgroup v2" else ("total_rss", files[0])
        for group in (base, *base.parents):
            try:
                limit = (group / names[1]).read_text(encoding="ascii").strip()
                used = re.search(
                    rf"^{names[0]} (\d+)", (group / "memory.stat").read_text(encoding="ascii"), re.MULTILINE
                )
            except OSError:
                continue
            if limit.isdecimal() and used is not None:
                yield int(limit) - int(used[1])


def control_groups() -> Iterator[tuple[Path, tuple[str, ...], str]]:
    """Folders of the memory control groups to look in: the own one, then the mount; the names of their limit files; and
    which kind they are.
    """
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    v1 = next((line.split(":", 2)[2] for line in lines if line.split(":")[1] == "memory"), None)
    v2 = next((line.split(":", 2)[2] for line in lines if line.startswith("0::")), None)
    for mount, own, files, kind in (
        (_MOUNT, v2, ("memory.max", "memory.swap.max"), "cgroup v2"),
        (_MOUNT / "memory", v1, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "cgroup v1"),
    ):
        if own is not None:
            yield from ((base, files, kind) for base in (mount / own.lstrip("/"), mount) if base.is_dir())


def _kilobytes(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
