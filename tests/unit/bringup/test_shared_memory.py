"""Cleaning up shared memory of killed processes leaves that of running ones alone."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from mobile_vla_bringup.shared_memory import segments_of, sweep


def test_only_what_nobody_holds_is_removed(tmp_path: Path) -> None:
    for name in ("fastdds_a", "fastdds_a_el", "fastdds_b", "fastdds_b_el"):
        (tmp_path / name).touch()
    with (tmp_path / "fastdds_b_el").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        sweep([tmp_path / "fastdds_a_el", tmp_path / "fastdds_b_el", tmp_path / "fastdds_gone_el"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fastdds_b", "fastdds_b_el"]


def test_a_process_that_has_ended_holds_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert segments_of(process.pid) == []
