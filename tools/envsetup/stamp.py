"""Whether an environment still fits: a fingerprint of everything that decided its content, kept inside it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from envsetup import torchvision

STAMP = "mobile_vla_setup.json"
# Wishes and circumstances that change what gets installed.
VARIABLES = ("TORCH_SPEC", "TORCH_INDEX_URL", "ROS_DISTRO")
INPUTS = (
    "constraints*.txt",
    "tools/envsetup/*.py",
    "ros2_ws/src/*/setup.cfg",
    "ros2_ws/src/*/package.xml",
    str(torchvision.SOURCE),
)


def fingerprint(root: Path, profile: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Everything that decided what an environment contains; another value means that it is stale."""
    environ = os.environ if environ is None else environ
    interpreter = f"{sys.implementation.cache_tag} {os.path.realpath(sys.base_prefix)}"
    wishes = "\n".join(f"{name}={environ.get(name, '')!r}" for name in VARIABLES)
    inputs = inputs_digest(root)
    content = hashlib.sha256(f"{profile}\n{wishes}\n{inputs}\n".encode()).hexdigest()
    return {"interpreter": interpreter, "content": content, "inputs": inputs, "root": str(root)}


def inputs_digest(root: Path) -> str:
    """The files of a checkout that decide what an environment contains, as one number."""
    digest = hashlib.sha256()
    for path in _inputs(root):
        digest.update(f"{path.relative_to(root)}\n".encode())
        digest.update(path.read_bytes())
    digest.update(_dependency_groups(root).encode())
    return digest.hexdigest()


def read(venv: Path) -> dict[str, str]:
    """The fingerprint an environment was made for; empty when it was never finished."""
    try:
        content = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(venv: Path, value: Mapping[str, str]) -> None:
    """Say that the environment is finished."""
    temporary = venv / f"{STAMP}.new"
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    temporary.replace(venv / STAMP)


def remove(venv: Path) -> None:
    """From here until `write`, the environment is unfinished."""
    (venv / STAMP).unlink(missing_ok=True)


def _dependency_groups(root: Path) -> str:
    """That section of pyproject.toml; the settings of the linters beside it change no environment."""
    _, _, rest = (root / "pyproject.toml").read_text().partition("[dependency-groups]")
    return rest.partition("\n[")[0]


def _inputs(root: Path) -> Iterable[Path]:
    return sorted(path for pattern in INPUTS for path in root.glob(pattern))
