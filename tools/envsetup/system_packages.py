"""System libraries outside wheels: MuJoCo's software renderer (EGL first, OSMesa second), python3-venv on Debian."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

EGL_PACKAGES = ("libegl1", "libegl-mesa0", "libgl1-mesa-dri")
EGL_VENDORS = (Path("/usr/share/glvnd/egl_vendor.d"), Path("/etc/glvnd/egl_vendor.d"))
OSMESA_NAMES = ("libOSMesa.so.8", "libOSMesa.so.6")


def missing_renderer(loads: Callable[[str], bool] | None = None, vendors: tuple[Path, ...] = EGL_VENDORS) -> list[str]:
    """Names of apt packages the simulated camera needs; empty when EGL with a driver, or OSMesa, is there."""
    loads = loadable if loads is None else loads
    egl = loads("libEGL.so.1") and any(folder.is_dir() and any(folder.glob("*.json")) for folder in vendors)
    return [] if egl or any(loads(name) for name in OSMESA_NAMES) else list(EGL_PACKAGES)


def missing_venv() -> list[str]:
    """Debian and Ubuntu ship `python -m venv` without the part that puts pip into it."""
    return [] if importlib.util.find_spec("ensurepip") else [f"python3.{sys.version_info.minor}-venv"]


def command(names: list[str], *, root: bool) -> str:
    """The line a person types."""
    sudo = "" if root else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(names)}"


def apt_steps(names: list[str]) -> list[list[str]]:
    """The commands root runs; a fresh container has no package lists, so they are fetched first."""
    return [["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "--no-install-recommends", *names]]


def has_apt() -> bool:
    """Whether this is Debian or Ubuntu."""
    return shutil.which("apt-get") is not None


def loadable(name: str) -> bool:
    """Whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
