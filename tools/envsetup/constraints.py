"""The exact pins: which file applies, and making them again (`make constraints`).

uv resolves one file for every supported Python at once (markers where versions differ), which neither `pip freeze`
(one interpreter, one platform) nor pip-tools (one file per interpreter) can do. No uv.lock: it names the index that
each release came from, knows no ROS of the system, and pins the torch of one index.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from envsetup.errors import SetupError
from envsetup.metadata import packages, requirement_name, third_party

WHEELS, JAZZY, SOURCED = "constraints.txt", "constraints-jazzy.txt", "constraints-sourced.txt"
DEFAULT_TORCH = "torch==2.13.0"
HEADER = "# Exact versions for Python 3.10 to 3.13, made by `make constraints`; do not edit.\n"
# apt's ROS 2 (Humble, Jazzy) is compiled against numpy 1; a numpy 2 in front of it breaks cv_bridge and the messages.
SOURCED_BOUNDS = ("numpy<2",)
_TORCH_AND_ITS_CUDA = ("torch", "triton", "nvidia-", "cuda-")


def file_for(profile: str, sourced: bool) -> str:
    """The constraints file of an environment."""
    if sourced:
        return SOURCED
    return JAZZY if profile == "jazzy" else WHEELS


def read(path: Path) -> list[str]:
    """The pins of a file, comments dropped."""
    if not path.is_file():
        raise SetupError(f"{path} is missing; restore it from the repository or run `make constraints`")
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def torch_pin(lines: Sequence[str]) -> str:
    """The torch a constraints file pins; a sourced machine (whose torch depends on its CUDA) takes what is at hand."""
    return next((line.split(";")[0].strip() for line in lines if requirement_name(line) == "torch"), "torch")


def without_torch(lines: Sequence[str]) -> list[str]:
    """The pins less torch, its companions and its CUDA libraries: for a torch of somebody's own choice."""
    return [line for line in lines if not requirement_name(line).startswith(_TORCH_AND_ITS_CUDA)]


def regenerate(root: Path, upgrade: bool) -> list[Path]:
    """Resolve again and write the three files; existing pins are kept where they still fit unless `upgrade`."""
    found = packages(root)
    wheels = third_party(found, ros_wheels=True)
    plain = third_party(found, ros_wheels=False)
    written = []
    for name, requirements, groups in (
        (WHEELS, [*wheels, DEFAULT_TORCH], ("dev", "bounds")),
        (JAZZY, [*plain, DEFAULT_TORCH], ("dev", "jazzy", "bounds")),
        (SOURCED, [*plain, *SOURCED_BOUNDS], ("dev", "bounds")),
    ):
        pins = _resolve(root, root / name, requirements, groups, upgrade)
        pins = without_torch(pins) if name == SOURCED else pins
        (root / name).write_text(HEADER + "\n".join(pins) + "\n")
        written.append(root / name)
    return written


def _resolve(root: Path, target: Path, requirements: Sequence[str], groups: Sequence[str], upgrade: bool) -> list[str]:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.10"]
    command += ["--no-header", "--no-annotate", "-", "--output-file", str(target)]
    command += [part for group in groups for part in ("--group", f"pyproject.toml:{group}")]
    if upgrade:
        command.append("--upgrade")
    result = subprocess.run(
        command, cwd=root, input="\n".join(requirements), text=True, capture_output=True, check=False
    )
    if result.returncode != 0:
        raise SetupError(f"uv found no set of versions for {target.name}:\n{result.stderr.strip()}")
    return [_shorter(line) for line in read(target)]


def _shorter(line: str) -> str:
    """The pin without the conditions that hold wherever this workspace runs (pyproject.toml, tool.uv.environments)."""
    requirement, _, marker = line.partition(" ; ")
    for everywhere in ("python_full_version < '3.14'", "sys_platform == 'linux'"):
        marker = marker.replace(f" and {everywhere}", "").replace(f"{everywhere} and ", "")
        marker = "" if marker == everywhere else marker
    return f"{requirement} ; {marker}" if marker else requirement
