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


class CheckStatus(Enum):
    """How a check ended. Only `BROKEN` keeps the demo from running."""

    FINE = "fine"
    MISSING = "missing"  # not needed by everyone
    BROKEN = "broken"


class CheckResult(NamedTuple):
    """One line of the doctor's report."""

    subject: str
    verdict: CheckStatus
    text: str


Check = Callable[[], Iterable[CheckResult]]


def machine() -> Iterable[CheckResult]:
    """Processor, memory, disk, interpreter."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield CheckResult(
        "machine", CheckStatus.FINE, f"{platform.machine()}, {os.cpu_count()} cores, {memory_gb:.0f} GB memory"
    )
    version = sys.version_info[:2]
    known = OLDEST_PYTHON <= version <= NEWEST_PYTHON
    text = f"Python {platform.python_version()}" + ("" if known else "; use 3.10 to 3.13 (make demo PYTHON=python3.11)")
    yield CheckResult("python", CheckStatus.FINE if known else CheckStatus.BROKEN, text)
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    enough = free_gb >= LEAST_FREE_GB
    remedy = "" if enough else f"; free at least {LEAST_FREE_GB:g} GB, bags need it"
    yield CheckResult("disk", CheckStatus.FINE if enough else CheckStatus.BROKEN, f"{free_gb:.0f} GB free here{remedy}")


def libraries() -> Iterable[CheckResult]:
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
            yield CheckResult(name, CheckStatus.FINE, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            needed = CheckStatus.BROKEN if name == "numpy" else CheckStatus.MISSING
            yield CheckResult(name, needed, f"not installed; {needed_for} needs it: pip install {name}")


def accelerator() -> Iterable[CheckResult]:
    """CUDA as PyTorch sees it."""
    try:
        import torch
    except ImportError:
        return
    if torch.cuda.is_available():
        name, memory = torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory
        yield CheckResult("cuda", CheckStatus.FINE, f"{name}, {memory / 1e9:.0f} GB")
    else:
        yield CheckResult("cuda", CheckStatus.MISSING, "PyTorch sees no CUDA device; the policy runs on the processor")


def camera() -> Iterable[CheckResult]:
    """Video devices and the permission to read them."""
    yield from _devices(
        "camera", Path("/dev"), "video*", "video", "give `camera.source` an address, a file or a folder"
    )


def gamepad() -> Iterable[CheckResult]:
    """Joysticks and the permission to read them."""
    yield from _devices("gamepad", Path("/dev/input"), "js*", "input", "the keyboard works too")


def resources() -> Iterable[CheckResult]:
    """Configuration and the policy that ships."""
    try:
        yield CheckResult("config", CheckStatus.FINE, str(config_dir()))
    except UserError as error:
        yield CheckResult("config", CheckStatus.BROKEN, str(error))
    shipped = shipped_policies()
    if shipped:
        yield CheckResult(
            "policy", CheckStatus.FINE, ", ".join(f"{name} ({path.parent})" for name, path in shipped.items())
        )
    else:
        yield CheckResult(
            "policy", CheckStatus.MISSING, "no checkpoints/ folder with a policy; name a checkpoint of your own"
        )


def _devices(subject: str, folder: Path, pattern: str, group: str, otherwise: str) -> Iterable[CheckResult]:
    devices = sorted(folder.glob(pattern))
    if not devices:
        yield CheckResult(subject, CheckStatus.MISSING, f"no {folder}/{pattern}; {otherwise}")
    for device in devices:
        if os.access(device, os.R_OK | os.W_OK):
            yield CheckResult(subject, CheckStatus.FINE, str(device))
        else:
            yield CheckResult(
                subject, CheckStatus.MISSING, f"{device} may not be read; sudo usermod -aG {group} $USER, log in again"
            )


CHECKS: tuple[Check, ...] = (machine, libraries, accelerator, camera, gamepad, resources)
