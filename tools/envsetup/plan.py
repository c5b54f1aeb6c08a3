"""What has to be done on this machine, decided without touching it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envsetup import constraints
from envsetup.errors import SetupError
from envsetup.host import Host
from envsetup.metadata import Package, packages, third_party

SUPPORTED = ((3, 10), (3, 13))
PROFILES = {
    "dev": "everything: packages editable, ROS 2 Kilted wheels unless a distribution is sourced, tools",
    "jazzy": "the same with ROS 2 Jazzy wheels, for the graph tests",
    "robot": "what the packages need at run time beside a sourced ROS 2; colcon builds the packages themselves",
}


@dataclass(frozen=True)
class Step:
    """One command of the environment's Python (arguments after `python`)."""

    title: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The environment to make: where, how, with what."""

    venv: Path
    system_site_packages: bool
    constraints: tuple[str, ...]
    steps: tuple[Step, ...]
    packages: tuple[Package, ...]
    check: bool


def make_plan(root: Path, profile: str, venv: Path, host: Host) -> Plan:
    """Raises `SetupError` where no working environment is possible."""
    _refuse_hopeless(profile, host)
    sourced = profile == "robot" or (profile == "dev" and host.ros_sourced)
    found = packages(root)
    lines = constraints.read(root / constraints.file_for(profile, sourced))
    pins = constraints.without_torch(lines) if host.torch_spec is not None or sourced else lines
    torch = host.torch_spec if host.torch_spec is not None else constraints.torch_pin(lines)
    pip = ("-m", "pip", "install", "--disable-pip-version-check", "--constraint", str(venv / "constraints.txt"))
    group = f"{root / 'pyproject.toml'}"
    steps = [
        Step("pip and the build tools", (*pip, "--upgrade", "pip", "setuptools", "wheel")),
        Step("ROS 2 and other packages", (*pip, *_requirements(profile, found, sourced), *_groups(profile, group))),
    ]
    if torch:
        index = ("--index-url", host.torch_index_url) if host.torch_index_url else ()
        steps.insert(1, Step(torch, (*pip, *index, torch)))
    if profile != "robot":
        editable = [part for package in found for part in ("--editable", _editable(package, profile, sourced))]
        steps.append(Step("the packages of this checkout", (*pip, "--no-build-isolation", *editable)))
    return Plan(venv, sourced, tuple(pins), tuple(steps), tuple(found), check=not sourced)


def _refuse_hopeless(profile: str, host: Host) -> None:
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


def _requirements(profile: str, found: list[Package], sourced: bool) -> list[str]:
    return third_party(found, ros_wheels=profile == "dev" and not sourced, tests=profile != "robot")


def _editable(package: Package, profile: str, sourced: bool) -> str:
    return package.specifier(ros_wheels=profile == "dev" and not sourced)


def _groups(profile: str, pyproject: str) -> list[str]:
    names = {"dev": ["dev"], "jazzy": ["dev", "jazzy"], "robot": ["colcon"]}[profile]
    return [part for name in names for part in ("--group", f"{pyproject}:{name}")]
