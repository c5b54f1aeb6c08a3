"""Facts about this machine and the user's options, collected once; the plan is a pure function of them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

# The ROS wheels re-execute every Python of their environment with these two; another environment must not inherit them.
BOOTSTRAP_MARK, BOOTSTRAP_PATH = "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH"


@dataclass(frozen=True)
class Host:
    """What the plan depends on."""

    python: str
    python_version: tuple[int, int]
    machine: str
    root: bool
    ros_distro: str
    rclpy_works: bool
    torch_spec: str | None
    torch_index_url: str

    @property
    def ros_sourced(self) -> bool:
        return bool(self.ros_distro) and self.rclpy_works


def inspect_host(environ: Mapping[str, str] | None = None) -> Host:
    """Ask the machine; starts one short process when a ROS distribution is sourced."""
    environ = os.environ if environ is None else environ
    distro = environ.get("ROS_DISTRO", "")
    return Host(
        python=sys.executable,
        python_version=sys.version_info[:2],
        machine=platform.machine(),
        root=os.geteuid() == 0,
        ros_distro=distro,
        rclpy_works=bool(distro) and _imports_rclpy(environ),
        torch_spec=environ.get("TORCH_SPEC"),
        torch_index_url=environ.get("TORCH_INDEX_URL", ""),
    )


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for processes of an environment being made: nothing of another one leaks in."""
    clean = {
        name: value for name, value in environ.items() if name not in ("PYTHONHOME", "VIRTUAL_ENV", BOOTSTRAP_MARK)
    }
    if BOOTSTRAP_MARK in environ:
        clean.pop(BOOTSTRAP_PATH, None)
    return clean


def _imports_rclpy(environ: Mapping[str, str]) -> bool:
    result = subprocess.run(
        [sys.executable, "-c", "import rclpy"], env=clean_environment(environ), capture_output=True, check=False
    )
    return result.returncode == 0
