"""`param` and `section` keep the type of their field: a default of another type is an error of mypy."""

from __future__ import annotations

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api")

ROOT = Path(__file__).resolve().parents[3]
HEAD = """from dataclasses import dataclass
from mobile_vla.config import REQUIRED, Config, param, section

@dataclass(frozen=True, kw_only=True)
class Axis(Config):
    speed_mps: float = param(0.5, "speed")

@dataclass(frozen=True, kw_only=True)
class Robot(Config):
"""
GOOD = (
    'speed_mps: float = param(1, "a whole number is one, too")',
    'topics: tuple[str, ...] = param((), "topics")',
    'gains: tuple[float, ...] = param((1.0, 2.0), "gains")',
    'wheels: int = param(REQUIRED, "has no default")',
    'axis: Axis | None = param(None, "may be left out")',
    "linear: Axis = section(Axis, speed_mps=0.3)",
)
BAD = (
    'speed_mps: float = param("a", "speed")',
    'wheels: int = param(2.5, "wheels")',
    'stamped: bool = param(1, "stamped")',
    'topics: tuple[str, ...] = param("scan", "topics")',
    'gains: tuple[float, ...] = param(("a",), "gains")',
    "linear: int = section(Axis)",
)


def test_a_default_has_the_type_of_its_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", str(ROOT / "ros2_ws/src/mobile_vla"))
    file = tmp_path / "robot.py"
    file.write_text(HEAD + "".join(f"    {line}\n" for line in (*GOOD, *BAD)))
    options = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports", "--explicit-package-bases"]
    found, problems, _ = api.run([*options, f"--cache-dir={tmp_path}", "--no-error-summary", str(file)])
    first = HEAD.count("\n") + len(GOOD) + 1
    lines = {int(row.split(":")[1]) for row in found.splitlines() if ": error:" in row}
    assert not problems
    assert lines == set(range(first, first + len(BAD))), found
