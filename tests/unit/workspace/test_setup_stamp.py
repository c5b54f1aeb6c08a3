"""When an environment counts as stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from envsetup import stamp


def fingerprint(workspace: Path, **environ: str) -> dict[str, str]:
    return stamp.fingerprint(workspace, "dev", environ)


def test_nothing_changed_means_the_same_fingerprint(workspace: Path) -> None:
    assert fingerprint(workspace) == fingerprint(workspace)


@pytest.mark.parametrize(
    "name", ["constraints.txt", "ros2_ws/src/a_upper/setup.cfg", "ros2_ws/src/z_lower/package.xml"]
)
def test_a_changed_input_makes_it_stale(workspace: Path, name: str) -> None:
    before = fingerprint(workspace)
    path = workspace / name
    path.write_text(path.read_text() + "\n")
    assert fingerprint(workspace)["content"] != before["content"]


def test_of_pyproject_only_the_dependencies_count(workspace: Path) -> None:
    before = fingerprint(workspace)
    path = workspace / "pyproject.toml"
    path.write_text(path.read_text().replace("120", "100"))
    assert fingerprint(workspace) == before
    path.write_text(path.read_text().replace("dev = []", 'dev = ["ruff"]'))
    assert fingerprint(workspace) != before


@pytest.mark.parametrize("name", stamp.VARIABLES)
def test_a_changed_option_makes_it_stale(workspace: Path, name: str) -> None:
    assert fingerprint(workspace, **{name: "other"}) != fingerprint(workspace)


def test_unfinished_or_broken_stamps_read_as_nothing(tmp_path: Path) -> None:
    assert stamp.read(tmp_path) == {}
    stamp.write(tmp_path, {"a": "b"})
    assert stamp.read(tmp_path) == {"a": "b"}
    stamp.remove(tmp_path)
    stamp.remove(tmp_path)
    assert stamp.read(tmp_path) == {}
    (tmp_path / stamp.STAMP).write_text("{ half")
    assert stamp.read(tmp_path) == {}
