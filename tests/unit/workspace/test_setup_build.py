"""When an environment is kept, and what is never deleted."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from envsetup.build import can_be_kept, clear
from envsetup.errors import SetupError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}.1"


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    folder = tmp_path / ".venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "pip").write_text(f"#!{folder}/bin/python\n")
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text(f"include-system-site-packages = false\nversion = {HERE}\n")
    return folder


def test_the_same_interpreter_and_kind_is_kept(venv: Path) -> None:
    assert can_be_kept(venv, system_site_packages=False)


def test_another_kind_version_or_place_or_a_broken_environment_is_replaced(venv: Path) -> None:
    assert not can_be_kept(venv, system_site_packages=True)
    config = venv / "pyvenv.cfg"
    whole = config.read_text()
    config.write_text(whole.replace(HERE, "3.9.1"))
    assert not can_be_kept(venv, system_site_packages=False)
    config.write_text(whole)
    moved = venv.rename(venv.with_name(".venv-moved"))
    assert not can_be_kept(moved, system_site_packages=False)
    assert not can_be_kept(venv, system_site_packages=False)


def test_a_folder_that_is_no_environment_is_never_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(SetupError, match=r"precious exists and is not a virtual environment"):
        clear(folder)
    assert (folder / "thesis.txt").exists()


def test_an_empty_folder_and_an_old_environment_are_cleared(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", venv):
        clear(folder)
        assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_sourced_distribution_for_another_python_is_refused_before_anything_is_made(
    root: Path, tmp_path: Path
) -> None:
    fake = tmp_path / "ros" / "rclpy"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('built for another Python')")
    environ = {**os.environ, "ROS_DISTRO": "humble", "PYTHONPATH": str(fake.parent)}
    for name in ("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "LD_LIBRARY_PATH"):
        environ.pop(name, None)
    command = [sys.executable, "tools/setup_env.py", "--venv", str(tmp_path / "venv")]
    result = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "ROS 2 humble is sourced but its rclpy does not import" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_the_environment_is_compiled() -> None:
    """Otherwise every process compiles again what it imports where Python may not write (PYTHONDONTWRITEBYTECODE)."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    nobody_imports_it = Path(spec.origin).parent / "utils" / "collect_env.py"
    assert Path(importlib.util.cache_from_source(str(nobody_imports_it))).exists()
