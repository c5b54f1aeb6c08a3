"""The tree itself: packages that must exist, names that must be unique, what must never be committed."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

TOP_LEVEL = {
    "ros2_ws",
    "launch",
    "config",
    "checkpoints",
    "docker",
    "docs",
    "tests",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    ".ci",
}
LONGEST_FILE_LINES = 400
LARGEST_FILE_BYTES = 10 * 2**20


def tracked(root: Path) -> list[Path]:
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    result = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    return [root / name for name in result.stdout.split("\0") if name]


def test_every_top_level_folder_exists(root: Path) -> None:
    assert {name for name in TOP_LEVEL if not (root / name).exists()} == set()


def test_helper_modules_of_tests_have_unique_names(root: Path) -> None:
    helpers = [
        path.name
        for path in (root / "tests").rglob("*.py")
        if not path.name.startswith("test_") and path.name != "conftest.py"
    ]
    assert [name for name, count in Counter(helpers).items() if count > 1] == []


def test_no_build_output_is_committed(root: Path) -> None:
    made = {"__pycache__", "build", "install", "log", ".venv", ".mypy_cache", "node_modules"}
    assert [str(path) for path in tracked(root) if made & set(path.relative_to(root).parts)] == []


def test_what_the_pages_write_into_the_root_is_ignored(root: Path) -> None:
    tracked(root)  # skips where there is no git
    written = ["policy.pth", "base.safetensors", "policy.pth.card.yaml", "tokenizer/tokenizer.json", "eval.mp4"]
    written += ["expert/metadata.yaml", "my_robot.yaml", "bench.json", "compare.json", "drives/a/metadata.yaml"]
    result = subprocess.run(
        ["git", "check-ignore", "--no-index", *written], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.stdout.split() == written


def test_committed_files_stay_below_the_size_limit(root: Path) -> None:
    assert [str(path) for path in tracked(root) if path.is_file() and path.stat().st_size > LARGEST_FILE_BYTES] == []


def test_source_files_stay_below_the_length_limit(root: Path) -> None:
    sources = [*root.glob("ros2_ws/src/*/mobile_vla*/**/*.py"), *root.glob("tools/**/*.py")]
    assert len(sources) > 50
    assert [
        str(path.relative_to(root)) for path in sources if len(path.read_text().splitlines()) > LONGEST_FILE_LINES
    ] == []
