"""The steps needed on this machine, computed without side effects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envsetup import constraints
from envsetup.errors import SetupError
from envsetup.host import Host
from envsetup.metadata import Package, packages, third_party

SUPPORTED = ((3, 10), (3, 13))
GROUPS = {"dev": ("dev",), "jazzy": ("dev", "jazzy"), "robot": ("colcon",)}
TORCH_AND_COMPANION = ("torch", "torchvision")


@dataclass(frozen=True)
class Step:
    """One `uv pip install` (arguments after it)."""

    title: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The environment to make: where, how, with what."""

    venv: Path
    system_site_packages: bool
    constraints: tuple[str, ...]
    left_out: tuple[str, ...]
    steps: tuple[Step, ...]
    packages: tuple[Package, ...]
    check: bool


def make_plan(root: Path, profile: str, venv: Path, host: Host) -> Plan:
    """Raises `SetupError` where no working environment is possible."""
    _check_supported(profile, host)
    sourced = profile == "robot" or (profile == "dev" and host.ros_sourced)
    wheels = profile == "dev" and not sourced
    found = packages(root)
    lines = constraints.read(root / constraints.file_for(profile, sourced))
    own_torch = host.torch_spec is not None
    groups = tuple(part for name in GROUPS[profile] for part in ("--group", f"{root / 'pyproject.toml'}:{name}"))
    torch = host.torch_spec if host.torch_spec is not None else constraints.torch_pin(lines)
    steps = []
    if torch and (own_torch or host.torch_index_url or sourced):
        # First and from its index alone; without a wish it is one of the pins.
        index = ("--default-index", host.torch_index_url) if host.torch_index_url else ()
        steps.append(Step(torch, (*index, torch)))
    if profile == "robot":
        wanted = third_party(found, ros_wheels=False, tests=False)
        steps.append(Step("what the packages need", (*groups, *wanted)))
    else:
        editable = [part for package in found for part in ("--editable", package.specifier(ros_wheels=wheels))]
        title = "the packages of this checkout and what they need"
        steps.append(Step(title, ("--no-build-isolation", *groups, *editable)))
    return Plan(
        venv=venv,
        system_site_packages=sourced,
        constraints=tuple(constraints.without_torch(lines) if own_torch or sourced else lines),
        # uv does not see what the system has, and would bring a second torch.
        left_out=() if torch else TORCH_AND_COMPANION,
        steps=tuple(steps),
        packages=tuple(found),
        check=not sourced and bool(torch),
    )


def _check_supported(profile: str, host: Host) -> None:
    low, high = SUPPORTED
    version = f"{host.python_version[0]}.{host.python_version[1]}"
    if not low <= host.python_version <= high:
        raise SetupError(
            f"Python 3.{low[1]} to 3.{high[1]} is needed, {host.python} is {version}; "
            "set PYTHON=python3.11, for example"
        )
    if profile == "robot" and not host.ros_sourced:
        raise SetupError(
            "the robot profile needs a ROS 2 distribution; `source /opt/ros/<distribution>/setup.bash` first"
        )
    if profile == "dev" and host.ros_distro and not host.rclpy_works:
        raise SetupError(
            f"ROS 2 {host.ros_distro} is sourced but its rclpy does not import under {host.python} ({version}); "
            "use the distribution's own Python (PYTHON=/usr/bin/python3), or unset ROS_DISTRO to use wheels"
        )
    if host.machine != "x86_64" and not (host.ros_sourced and profile != "jazzy"):
        raise SetupError(
            f"ROS 2 wheels exist for x86_64 only and this machine is {host.machine}; "
            "install ROS 2 from apt, `source /opt/ros/<distribution>/setup.bash`, and run this again (or use docker/)"
        )
