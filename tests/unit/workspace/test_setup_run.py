"""Steps say what they do, how long it took, and how they failed."""

from __future__ import annotations

import re
import sys

import pytest

from envsetup.errors import SetupError
from envsetup.host import clean_environment
from envsetup.run import run, step


def test_a_step_prints_its_title_and_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    with step("one"):
        pass
    assert re.fullmatch(r"one \.\.\.\none: \d+\.\d s\n", capsys.readouterr().out)


def test_a_failed_command_shows_what_it_said(capfd: pytest.CaptureFixture[str]) -> None:
    code = "print('no such release'); raise SystemExit(3)"
    with pytest.raises(SetupError, match=r"the test failed \(exit code 3\); its output is above"):
        run([sys.executable, "-c", code], {}, "the test")
    assert "no such release" in capfd.readouterr().out


def test_variables_of_another_environment_are_removed() -> None:
    kept = clean_environment(
        {"PATH": "/bin", "PYTHONHOME": "x", "VIRTUAL_ENV": "y", "LD_LIBRARY_PATH": "/usr/lib/mine"}
    )
    assert kept == {"PATH": "/bin", "LD_LIBRARY_PATH": "/usr/lib/mine"}
    bootstrapped = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1", "LD_LIBRARY_PATH": "/venv/lib"}
    assert clean_environment(bootstrapped) == {}
