"""What `ros2 run` and `ros2 launch` look for and pip does not make: lib/<package>/<executable> and share/."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from envsetup.metadata import Package


def link_all(venv: Path, packages: Iterable[Package]) -> list[Path]:
    """Link executables and shared files of each package into the environment; the links it made or kept."""
    made: list[Path] = []
    for package in packages:
        _remove_stale(venv, package.name)
        if package.ros_executables:
            made += [_link(venv / "lib" / package.name / name, venv / "bin" / name) for name in package.executables]
        for target, files in package.shared.items():
            made += [_link(venv / target / file.name, file) for file in files]
    return made


def _link(link: Path, target: Path) -> Path:
    link.parent.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(target, link.parent)
    if link.is_symlink() and str(link.readlink()) == relative:
        return link
    link.unlink(missing_ok=True)
    link.symlink_to(relative)
    return link


def _remove_stale(venv: Path, package: str) -> None:
    """Links whose target is gone (an executable or a file that was renamed)."""
    for folder in (venv / "lib" / package, venv / "share" / package):
        for link in folder.rglob("*") if folder.is_dir() else ():
            if link.is_symlink() and not link.exists():
                link.unlink()
