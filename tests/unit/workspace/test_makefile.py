"""The commands of the Makefile."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from envsetup import stamp

TESTS = {"test", "test-fast", "coverage", "test-anywhere", "test-jazzy"}
TARGETS = {"demo", *TESTS, "lint", "bench", "faults", "fuzz", "constraints", "clean", "help"}


def make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    # Not a part of the make that may have started these tests.
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        ["make", *arguments], cwd=root, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_every_target_with_a_sentence(root: Path) -> None:
    result = make(root, "help")
    assert result.returncode == 0
    listed = dict(re.findall(r"make ([a-z-]+) +(\S.+)", result.stdout))
    assert listed.keys() >= TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_can_be_planned(root: Path, target: str) -> None:
    result = make(root, "--dry-run", target)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("target", ["demo", "test", "test-fast", "lint", "bench", "faults", "fuzz"])
def test_every_target_makes_the_environment_first(root: Path, target: str) -> None:
    lines = make(root, "--dry-run", target).stdout.splitlines()
    assert "tools/setup_env.py" in lines[0]


def test_a_second_set_up_is_quick_and_silent(root: Path) -> None:
    if stamp.read(root / ".venv") != stamp.fingerprint(root, "dev"):
        pytest.skip("this checkout's environment is not the one the set-up would make now")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "tools/setup_env.py"], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    # Processor time: a busy neighbour does not lengthen it.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


def test_an_unknown_profile_is_a_usage_error(root: Path) -> None:
    result = subprocess.run(
        [sys.executable, "tools/setup_env.py", "--profile", "x"], cwd=root, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "invalid choice" in result.stderr


def test_ci_runs_the_same_command(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()
    assert "make test" in script
    assert (root / ".ci" / "run").stat().st_mode & 0o111


def test_an_old_python_gets_a_sentence_not_a_syntax_error(root: Path) -> None:
    source = (root / "tools" / "setup_env.py").read_text()
    code = f"import sys; sys.version_info = (3, 8, 18); exec({source!r})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert (
        result.stderr.strip()
        == "setup: Python 3.10 or newer is needed, this is 3.8; set PYTHON=python3.11, for example"
    )
