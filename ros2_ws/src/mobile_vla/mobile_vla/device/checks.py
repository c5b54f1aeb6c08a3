"""What works on this machine, without ROS: interpreter, libraries, devices, space. Every answer names the remedy."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from mobile_vla.errors import UserError
from mobile_vla.resources import config_dir, shipped_policies

LEAST_FREE_GB = 2.0
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)


class Verdict(Enum):
    """How a check ended. Only `BROKEN` keeps the demo from running."""

    FINE = "fine"
    MISSING = "missing"  # not needed by everyone
    BROKEN = "broken"


class Finding(NamedTuple):
    """One line of the doctor's report."""

    subject: str
    verdict: Verdict
    text: str


Check = Callable[[], Iterable[Finding]]


def machine() -> Iterable[Finding]:
    """Processor, memory, disk, interpreter."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield Finding("machine", Verdict.FINE, f"{platform.machine()}, {os.cpu_count()} cores, {memory_gb:.0f} GB memory")
    version = sys.version_info[:2]
    known = OLDEST_PYTHON <= version <= NEWEST_PYTHON
    text = f"Python {platform.python_version()}" + ("" if known else "; use 3.10 to 3.13 (make demo PYTHON=python3.11)")
    yield Finding("python", Verdict.FINE if known else Verdict.BROKEN, text)
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    enough = free_gb >= LEAST_FREE_GB
    remedy = "" if enough else f"; free at least {LEAST_FREE_GB:g} GB, bags need it"
    yield Finding("disk", Verdict.FINE if enough else Verdict.BROKEN, f"{free_gb:.0f} GB free here{remedy}")


def libraries() -> Iterable[Finding]:
    """What the policy, the camera and the simulator are made of."""
    for name, needed_for in (
        ("numpy", "everything"),
        ("torch", "the policy"),
        ("transformers", "the policy"),
        ("safetensors", "the policy"),
        ("rosbags", "bags and reports"),
        ("mujoco", "the simulated robot"),
    ):
        try:
            yield Finding(name, Verdict.FINE, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            needed = Verdict.BROKEN if name == "numpy" else Verdict.MISSING
            yield Finding(name, needed, f"not installed; {needed_for} needs it: pip install {name}")


def accelerator() -> Iterable[Finding]:
    """CUDA as PyTorch sees it."""
    try:
        import torch
    except ImportError:
        return
    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory
        yield Finding("cuda", Verdict.FINE, f"{name}, {memory / 1e9:.0f} GB")
    else:
        yield Finding("cuda", Verdict.MISSING, "PyTorch sees no CUDA device; the policy runs on the processor")


def camera() -> Iterable[Finding]:
    """Video devices and the permission to read them."""
    yield from _devices(
        "camera", Path("/dev"), "video*", "video", "give `camera.source` an address, a file or a folder"
    )


def gamepad() -> Iterable[Finding]:
    """Joysticks and the permission to read them."""
    yield from _devices("gamepad", Path("/dev/input"), "js*", "input", "the keyboard works too")


def resources() -> Iterable[Finding]:
    """Configuration and the policy that ships."""
    try:
        yield Finding("config", Verdict.FINE, str(config_dir()))
    except UserError as error:
        yield Finding("config", Verdict.BROKEN, str(error))
    shipped = shipped_policies()
    if shipped:
        yield Finding("policy", Verdict.FINE, ", ".join(f"{name} ({path.parent})" for name, path in shipped.items()))
    else:
        yield Finding("policy", Verdict.MISSING, "no checkpoints/ folder with a policy; name a checkpoint of your own")


def _devices(subject: str, folder: Path, pattern: str, group: str, otherwise: str) -> Iterable[Finding]:
    devices = sorted(folder.glob(pattern))
    if not devices:
        yield Finding(subject, Verdict.MISSING, f"no {folder}/{pattern}; {otherwise}")
    for device in devices:
        if os.access(device, os.R_OK | os.W_OK):
            yield Finding(subject, Verdict.FINE, str(device))
        else:
            yield Finding(
                subject, Verdict.MISSING, f"{device} may not be read; sudo usermod -aG {group} $USER, log in again"
            )


CHECKS: tuple[Check, ...] = (machine, libraries, accelerator, camera, gamepad, resources)
