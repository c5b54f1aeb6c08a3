"""Requirements of the workspace's packages, read from their setup.cfg."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from pathlib import Path

ROS_WHEELS_EXTRA, TEST_EXTRA = "wheels", "test"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Package:
    """One ament_python package: its folder, requirements, executables and shared files."""

    name: str
    folder: Path
    requires: tuple[str, ...]
    extras: dict[str, tuple[str, ...]]
    executables: tuple[str, ...]
    ros_executables: bool
    shared: dict[str, tuple[Path, ...]]

    def specifier(self, *, ros_wheels: bool) -> str:
        """The argument for `pip install -e`: the folder with every extra that belongs on this machine."""
        extras = sorted(extra for extra in self.extras if ros_wheels or extra != ROS_WHEELS_EXTRA)
        return f"{self.folder}[{','.join(extras)}]" if extras else str(self.folder)


def packages(root: Path) -> list[Package]:
    """Every package under ros2_ws/src, those that others need first."""
    found = [_read(path.parent) for path in sorted((root / "ros2_ws" / "src").glob("*/setup.cfg"))]
    names = {package.name for package in found}
    ordered: list[Package] = []
    while found:
        done = {package.name for package in ordered}
        ready = [package for package in found if _own(package.requires, names) <= done]
        ordered += ready or found
        found = [package for package in found if package not in ordered]
    return ordered


def third_party(found: list[Package], *, ros_wheels: bool, tests: bool = True) -> list[str]:
    """What other people publish and the packages need, without repetition: with all extras that belong here."""
    left_out = {name for name, wanted in ((ROS_WHEELS_EXTRA, ros_wheels), (TEST_EXTRA, tests)) if not wanted}
    names = {package.name for package in found}
    lines: list[str] = []
    for package in found:
        lines += package.requires
        lines += [line for extra, needed in package.extras.items() if extra not in left_out for line in needed]
    return sorted({line for line in lines if requirement_name(line) not in names})


def requirement_name(line: str) -> str:
    """`mobile_vla[camera]==0.1.0` -> `mobile_vla`."""
    match = _NAME.match(line)
    return match.group() if match else ""


def _own(requirements: tuple[str, ...], names: set[str]) -> set[str]:
    return {requirement_name(line) for line in requirements} & names


def _read(folder: Path) -> Package:
    config = configparser.ConfigParser()
    config.optionxform = str  # type: ignore[assignment,method-assign]
    config.read(folder / "setup.cfg")
    scripts = _lines(config.get("options.entry_points", "console_scripts", fallback=""))
    return Package(
        name=folder.name,
        folder=folder,
        requires=_lines(config.get("options", "install_requires", fallback="")),
        extras={name: _lines(value) for name, value in _section(config, "options.extras_require").items()},
        executables=tuple(line.split("=")[0].strip() for line in scripts),
        ros_executables=config.has_option("install", "install_scripts"),
        shared={
            target: tuple(
                path for pattern in re.split(r"[,\n]", patterns) for path in sorted(folder.glob(pattern.strip()))
            )
            for target, patterns in _section(config, "options.data_files").items()
        },
    )


def _section(config: configparser.ConfigParser, name: str) -> dict[str, str]:
    return {key: value.strip() for key, value in config.items(name)} if config.has_section(name) else {}


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
