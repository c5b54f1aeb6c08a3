"""Steps say what they do, how long it took, and how they failed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from envsetup.errors import SetupError
from envsetup.host import clean_environment
from envsetup.run import LINES_SHOWN, Progress, run


def test_each_step_prints_its_number_and_time() -> None:
    out = io.StringIO()
    progress = Progress(2, out)
    with progress.step("one"):
        pass
    with pytest.raises(ValueError, match="broken"), progress.step("two"):
        raise ValueError("broken")
    first, second = out.getvalue().splitlines()
    assert first.startswith("[1/2] one: ")
    assert second.startswith("[2/2] two: failed after ")


def test_a_failed_command_shows_the_end_of_its_own_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("from an earlier step\n")
    code = f"[print('line', number) for number in range({LINES_SHOWN + 5})]; raise SystemExit(3)"
    with pytest.raises(SetupError) as caught:
        run([sys.executable, "-c", code], log, {}, "the test")
    text = str(caught.value)
    assert "the test failed (exit code 3)" in text
    assert f"line {LINES_SHOWN + 4}" in text
    assert "line 4\n" not in text
    assert "earlier step" not in text


def test_another_environment_leaks_nothing_into_a_new_one() -> None:
    kept = clean_environment(
        {"PATH": "/bin", "PYTHONHOME": "x", "VIRTUAL_ENV": "y", "LD_LIBRARY_PATH": "/usr/lib/mine"}
    )
    assert kept == {"PATH": "/bin", "LD_LIBRARY_PATH": "/usr/lib/mine"}
    bootstrapped = {"_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1", "LD_LIBRARY_PATH": "/venv/lib"}
    assert clean_environment(bootstrapped) == {}
