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

EVERYBODY, UDP_ON_THIS_HOST, UDP_ON_THE_NETWORK = "fastdds.xml", "fastdds_udp_host.xml", "fastdds_udp_network.xml"
REPORTED_AS = "MOBILE_VLA_REPORTED_AS"
"""The command that turned into this process: its mistakes begin with that name, as those of every other command."""
FAST_DDS = ("rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")


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
    profile = _dds_profile(EVERYBODY)
    if profile is not None:
        environ.setdefault(_profile_variable(environ), str(profile))
    environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    return environ


def without_shared_memory(environ: MutableMapping[str, str] | None = None) -> MutableMapping[str, str]:
    """Give one prepared process UDP alone, as far as the user reaches: this host, or the network where he says so.

    Nobody who hangs in the middle of a write into shared memory can then hold up what this process sends or receives.
    The reach is left to the profile (SYSTEM_DEFAULT), because for LOCALHOST the middleware adds shared memory whatever
    the profile says. Left as it is: another middleware, a profile of the user's own, discovery that is off, and
    LOCALHOST with static peers, which only the middleware itself can reach.
    """
    environ = os.environ if environ is None else environ
    variable, everybody = _profile_variable(environ), _dds_profile(EVERYBODY)
    own_profile = everybody is None or environ.get(variable) != str(everybody)
    if own_profile or environ.get("RMW_IMPLEMENTATION", FAST_DDS[0]) not in FAST_DDS:
        return environ
    discovery = environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    this_host = _this_host_only(environ)
    if discovery == "OFF" or (this_host and environ.get("ROS_STATIC_PEERS")):
        return environ
    profile = _dds_profile(UDP_ON_THIS_HOST if this_host else UDP_ON_THE_NETWORK)
    if profile is None:
        return environ  # a configuration folder of the user's own, made without it
    environ[variable] = str(profile)
    if this_host and ros_distribution(environ) == "humble":
        environ["ROS_LOCALHOST_ONLY"] = "0"
    elif this_host:
        environ.pop("ROS_LOCALHOST_ONLY", None)
        environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
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


def _this_host_only(environ: Mapping[str, str]) -> bool:
    distribution = ros_distribution(environ)
    if distribution in ("humble", "jazzy") and environ.get("ROS_LOCALHOST_ONLY") == "1":
        return True
    # As rcl reads it: an unknown word means this host, an empty one the network.
    network = ("", "SUBNET", "SYSTEM_DEFAULT")
    return distribution != "humble" and environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "") not in network


def _profile_variable(environ: Mapping[str, str]) -> str:
    fast_dds_2 = ros_distribution(environ) in ("humble", "jazzy")
    return "FASTRTPS_DEFAULT_PROFILES_FILE" if fast_dds_2 else "FASTDDS_DEFAULT_PROFILES_FILE"


def _dds_profile(name: str) -> Path | None:
    try:
        profile = config_dir() / "dds" / name
    except UserError:
        return None  # installed without the bringup package: default transports, slower but correct
    return profile if profile.is_file() else None
