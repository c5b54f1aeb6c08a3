"""Where a process leaves what the one that replaces it must know. Imports no rclpy.

Whoever starts a graph and restarts its processes (`vla up`, the launch files, tests) gives each run a folder of its
own: a process that is started again finds what it left, and another run does not. A node that somebody starts by hand
uses one folder of the user's, which the machine clears when it boots.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

RUN_FOLDER = "MOBILE_VLA_RUN_FOLDER"


def run_folder(environ: Mapping[str, str]) -> Path:
    """The folder of this run; it may not exist yet."""
    if environ.get(RUN_FOLDER):
        return Path(environ[RUN_FOLDER])
    if environ.get("XDG_RUNTIME_DIR"):
        return Path(environ["XDG_RUNTIME_DIR"]) / "mobile_vla"
    return Path(tempfile.gettempdir()) / f"mobile_vla-{os.getuid()}"


def end_run(folder: Path) -> None:
    """Remove what this run has left; every process of it has ended. What cannot be removed stays."""
    shutil.rmtree(folder, ignore_errors=True)


def begin_run(folder: Path) -> None:
    """Remove what an earlier run has left in a folder."""
    if folder.is_dir():
        for left in folder.glob("*.json"):
            left.unlink()
