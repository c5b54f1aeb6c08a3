"""colcon sees ament packages, builds them and runs their tests, in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("colcon_core") is None, reason="colcon is not installed"),
]
NAMES = {f"mobile_vla{suffix}" for suffix in ("", "_bench", "_bringup", "_cli", "_nodes", "_ros", "_sim")}


def colcon(root: Path, folder: Path, verb: str, *options: str) -> str:
    command = [sys.executable, "-m", "colcon", f"--log-base={folder / 'log'}", verb, *options]
    # Whatever another workspace left in the environment must not count.
    environ = {
        name: value for name, value in os.environ.items() if name not in ("AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH")
    }
    result = subprocess.run(command, cwd=root / "ros2_ws", env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the whole workspace built into it."""
    root, folder = Path(__file__).resolve().parents[3], tmp_path_factory.mktemp("colcon")
    colcon(root, folder, "build", "--symlink-install", *bases(folder))
    return folder


def bases(folder: Path) -> tuple[str, ...]:
    return (f"--build-base={folder / 'build'}", f"--install-base={folder / 'install'}")


def test_colcon_lists_every_package_as_ament_python(root: Path, tmp_path: Path) -> None:
    lines = [line.split("\t") for line in colcon(root, tmp_path, "list").splitlines()]
    assert {name: kind for name, _, kind in lines} == dict.fromkeys(NAMES, "(ros.ament_python)")


def test_the_built_workspace_has_what_ros2_run_and_launch_look_for(built: Path) -> None:
    install = built / "install"
    for name in NAMES:
        assert (install / name / "share" / "ament_index" / "resource_index" / "packages" / name).exists()
        assert (install / name / "share" / name / "package.xml").exists()
    for package, executable in (("mobile_vla_nodes", "controller_node"), ("mobile_vla_sim", "simulator_node")):
        assert os.access(install / package / "lib" / package / executable, os.X_OK)
    assert os.access(install / "mobile_vla_cli" / "bin" / "vla", os.X_OK)
    share = install / "mobile_vla_bringup" / "share" / "mobile_vla_bringup"
    assert list((share / "config" / "robots").glob("*.yaml"))
    assert list((share / "launch").glob("*.launch.py"))


def test_colcon_test_runs_clean(root: Path, built: Path) -> None:
    # The folder of the package itself: the unit tests run elsewhere already.
    colcon(root, built, "test", *bases(built), "--pytest-args", "test")
    results = colcon(root, built, "test-result", f"--test-result-base={built / 'build'}")
    assert re.search(r"\b1?[0-9] tests, 0 errors, 0 failures, 0 skipped", results), results


def test_a_package_copied_alone_builds_and_has_its_files(root: Path, tmp_path: Path) -> None:
    """As a build farm and COPY of a Dockerfile see it: nothing outside the package's own folder is there."""
    source, copy = root / "ros2_ws" / "src" / "mobile_vla_bringup", tmp_path / "copied" / "mobile_vla_bringup"
    shutil.copytree(source, copy, symlinks=True)
    colcon(root, tmp_path, "build", f"--base-paths={copy}", *bases(tmp_path))
    share = tmp_path / "install" / "mobile_vla_bringup" / "share" / "mobile_vla_bringup"
    shipped = [path for folder in ("checkpoints", "config", "launch") for path in (source / folder).rglob("*.*")]
    names = [path.relative_to(source) for path in shipped if path.is_file() and path.suffix != ".pyc"]
    assert len(names) > 20
    assert [str(name) for name in names if not (share / name).is_file()] == []


def test_colcon_test_finds_the_unit_tests_of_a_package(root: Path) -> None:
    """In the folder of a package, as colcon starts it, pytest collects its own test and the unit tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    folder = root / "ros2_ws" / "src" / "mobile_vla_ros"
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "test_installed.py" in result.stdout
    assert "test_failures.py" in result.stdout
