"""Pages run: their commands, in page order, in a copy of the repository; printed lines that a page shows are compared.

Cheap commands run with every `make test`, long ones with `make docs-check` (PAGES=long). The notes with which a page
says what cannot run: tests/support/page_blocks.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_blocks import Block, blocks, says, with_options, without_comment

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docs/reference/*.md", "*/README.md", "ros2_ws/src/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
LONG = os.environ.get("PAGES") == "long"
CHEAP_S, LONG_S, STOP_S = 90.0, 1800.0, 30.0
REFUSED, DIFFERS, INTERRUPTED = 2, 1, (0, 130)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The committed and new files of the repository, and nothing that was made by running it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, tmp_path / "copy" / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return tmp_path / "copy"


@pytest.fixture
def environ(copy: Path, tmp_path: Path) -> dict[str, str]:
    """A home of its own, this environment's commands on the path, the copy's packages before all others."""
    packages = [str(path.parent) for path in copy.glob("ros2_ws/src/*/setup.cfg")]
    (tmp_path / "home").mkdir()
    return {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": ":".join([*packages, os.environ.get("PYTHONPATH", "")]),
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }


def commands(page: str) -> Iterator[Block]:
    return (block for block in blocks((ROOT / page).read_text()) if block.runs)


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))])
def test_commands_run_as_the_page_says(page: str, copy: Path, environ: dict[str, str]) -> None:
    printed = ""
    for block in blocks((ROOT / page).read_text()):
        where = f"{page}:{block.line}"
        if "prints" in block.notes:
            assert not printed or says("\n".join(block.lines), printed), f"{where}: printed was\n{printed}"
            continue
        printed = ""
        if not block.runs or "not run" in block.notes or ("long" in block.notes and not LONG):
            continue
        for command in [*block.notes.get("before", []), *block.lines]:
            printed = run(command, block, copy, environ, where)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_has_a_reason(page: str) -> None:
    left_out = [block for block in blocks((ROOT / page).read_text()) if "not run" in block.notes]
    assert [f"{page}:{block.line}" for block in left_out if not block.notes["not run"][0].strip()] == []


def run(line: str, block: Block, copy: Path, environ: dict[str, str], where: str) -> str:
    """What the command printed; its exit code is the one that the page says."""
    command = without_comment(line)
    for options in block.notes.get("with", []):
        command = with_options(command, options)
    stop = block.notes.get("stopped after")
    limit_s = float(stop[0].split()[0]) if stop else LONG_S if "long" in block.notes else CHEAP_S
    process = subprocess.Popen(
        ["bash", "-ec", command],
        cwd=copy,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=limit_s)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
        os.killpg(process.pid, signal.SIGINT if stop else signal.SIGKILL)
        printed, _ = process.communicate(timeout=STOP_S)
    allowed = (REFUSED,) if "refused" in block.notes else (DIFFERS,) if "differs" in block.notes else (0,)
    assert ended or stop, f"{where}: {command}: still running after {limit_s:g} s\n{printed}"
    assert process.returncode in (INTERRUPTED if stop and not ended else allowed), f"{where}: {command}:\n{printed}"
    assert "Traceback" not in printed, f"{where}: {command}:\n{printed}"
    return printed
