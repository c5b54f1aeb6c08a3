"""The hook that makes a torchvision of another torch importable: where it is put, and what it costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from envsetup.torchvision import MODULE, make_importable

TORCH = """
class Operators: pass
class ops:
    torchvision = Operators()
    def load_library(path): raise OSError("built for another torch")
class library:
    class Library:
        def __init__(self, name, kind): assert (name, kind) == ("torchvision", "DEF")
        def define(self, schema): setattr(Operators, schema.partition("(")[0], schema)
"""
NEEDS_OPERATORS = """
import torch
if not hasattr(torch.ops.torchvision, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with a torch that knows no operators and a torchvision that wants one."""
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (packages(folder) / "torch").mkdir()
    (packages(folder) / "torch" / "__init__.py").write_text(TORCH)
    (packages(folder) / "torchvision").mkdir()
    (packages(folder) / "torchvision" / "__init__.py").write_text(NEEDS_OPERATORS)
    return folder


def packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python3.*")) / "site-packages"


def bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def says(folder: Path, code: str) -> str:
    command = [str(folder / "bin" / "python"), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=bare(), check=False, cwd=folder)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def hooks(folder: Path) -> set[str]:
    return {path.name for path in packages(folder).glob(f"{MODULE}*")}


def test_a_bare_script_imports_it_afterwards(root: Path, environment: Path) -> None:
    script = "import torchvision, torchvision as again; print('fine')"
    assert says(environment, script) == "RuntimeError: operator torchvision::nms does not exist"
    assert make_importable(root, environment, bare()) == ""
    assert hooks(environment) == {f"{MODULE}.py", f"{MODULE}.pth"}
    assert says(environment, script) == "fine"


def test_a_start_of_python_imports_no_torch(root: Path, environment: Path) -> None:
    make_importable(root, environment, bare())
    looked_for = "import importlib.util, sys; found = importlib.util.find_spec('torchvision')"
    assert says(environment, f"{looked_for}; print(found.name, 'torch' in sys.modules)") == "torchvision False"


@pytest.mark.parametrize("content", ["", None])
def test_nothing_is_installed_or_left_where_it_is_not_needed(
    root: Path, environment: Path, content: str | None
) -> None:
    """A healthy torchvision, and none at all; the environment had the hook before."""
    make_importable(root, environment, bare())
    file = packages(environment) / "torchvision" / "__init__.py"
    if content is None:
        shutil.rmtree(file.parent)
    else:
        file.write_text(content)
    assert make_importable(root, environment, bare()) == ""
    assert hooks(environment) == set()


def test_another_failure_is_said_and_not_hidden(root: Path, environment: Path) -> None:
    (packages(environment) / "torchvision" / "__init__.py").write_text("import nowhere_to_be_found")
    assert "nowhere_to_be_found" in make_importable(root, environment, bare())
    assert hooks(environment) == set()


def test_the_interpreter_of_the_environment_is_this_one(environment: Path) -> None:
    """The hook's folder is named after the version that runs the set-up."""
    assert packages(environment).parent.name == f"python{sys.version_info.major}.{sys.version_info.minor}"
