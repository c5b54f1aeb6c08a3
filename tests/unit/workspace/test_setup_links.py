"""What ros2 run and ros2 launch find in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from envsetup.links import link_all
from envsetup.metadata import packages


@pytest.fixture
def venv(workspace: Path) -> Path:
    folder = workspace / ".venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("some_node", "other_node", "tool"):
        (folder / "bin" / name).write_text("#!/bin/sh\n")
    return folder


def test_executables_and_shared_files_are_where_ros_looks(workspace: Path, venv: Path) -> None:
    link_all(venv, packages(workspace))
    assert (venv / "lib" / "a_upper" / "some_node").resolve() == venv / "bin" / "some_node"
    assert not (venv / "lib" / "z_lower").exists()
    assert (venv / "share" / "ament_index" / "resource_index" / "packages" / "z_lower").is_file()
    assert (venv / "share" / "a_upper" / "config" / "one.yaml").read_text() == "a: 1\n"


def test_a_second_run_changes_nothing_and_a_renamed_file_leaves_no_dead_link(workspace: Path, venv: Path) -> None:
    first = link_all(venv, packages(workspace))
    assert link_all(venv, packages(workspace)) == first
    config = workspace / "ros2_ws" / "src" / "a_upper" / "config"
    (config / "one.yaml").rename(config / "two.yaml")
    link_all(venv, packages(workspace))
    assert [path.name for path in (venv / "share" / "a_upper" / "config").iterdir()] == ["two.yaml"]


def test_a_wrong_link_or_file_is_replaced(workspace: Path, venv: Path) -> None:
    (venv / "lib" / "a_upper").mkdir(parents=True)
    (venv / "lib" / "a_upper" / "some_node").write_text("an old copy")
    link_all(venv, packages(workspace))
    assert (venv / "lib" / "a_upper" / "some_node").is_symlink()
