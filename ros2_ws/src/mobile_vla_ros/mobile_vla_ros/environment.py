"""The environment every ROS process here runs in. Imports no rclpy: it must act before rclpy is loaded."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla.resources import config_dir


def prepare(environ: MutableMapping[str, str] | None = None) -> MutableMapping[str, str]:
    """Fill in what is not set: DDS transports for images, discovery on this host only, the package index.

    Nothing that the user has set is changed: a robot whose parts talk over a network sets
    ROS_AUTOMATIC_DISCOVERY_RANGE (Humble: ROS_LOCALHOST_ONLY) itself.
    """
    environ = os.environ if environ is None else environ
    if ros_distribution(environ) == "humble":
        environ.setdefault("ROS_LOCALHOST_ONLY", "1")
    else:
        environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = _dds_profile()
    if profile is not None:
        fast_dds_2 = ros_distribution(environ) in ("humble", "jazzy")
        environ.setdefault(
            "FASTRTPS_DEFAULT_PROFILES_FILE" if fast_dds_2 else "FASTDDS_DEFAULT_PROFILES_FILE", str(profile)
        )
    environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    return environ


def ros_distribution(environ: Mapping[str, str]) -> str:
    """The sourced distribution, else the one whose wheels are installed."""
    if environ.get("ROS_DISTRO"):
        return environ["ROS_DISTRO"]
    try:
        importlib.metadata.version("ros-jazzy-rclpy")
    except importlib.metadata.PackageNotFoundError:
        return "kilted"
    return "jazzy"


def log_arguments(environ: Mapping[str, str]) -> list[str]:
    """ROS arguments that keep a process alive where its log folder cannot be written: it then logs to the console only.

    rcl itself refuses to start there, and a robot must not stand still for want of a log file.
    """
    home = environ.get("ROS_HOME") or Path(environ.get("HOME", "/")) / ".ros"
    folder = Path(environ.get("ROS_LOG_DIR") or Path(home) / "log").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError:
        return ["--ros-args", "--disable-external-lib-logs"]


def _dds_profile() -> Path | None:
    try:
        profile = config_dir() / "dds" / "fastdds.xml"
    except UserError:
        return None  # installed without the bringup package: default transports, slower but correct
    return profile if profile.is_file() else None
