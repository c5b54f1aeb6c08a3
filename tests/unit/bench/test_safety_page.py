"""docs/safety.md says what the code says, shows what was measured, and names tests that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mobile_vla_bench.faults.page import fault_table, generated, with_parts
from mobile_vla_bench.faults.registry import FAULTS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "safety.md"
FIGURES = ROOT / "docs" / "figures" / "faults.json"
AGAIN = "run: python -m mobile_vla_bench.faults.page docs/safety.md docs/figures/faults.json"


def test_generated_parts_are_current() -> None:
    text = PAGE.read_text()
    assert text.count("<!-- begin ") == 2
    assert with_parts(text, generated(json.loads(FIGURES.read_text()))) == text, AGAIN


def test_every_test_it_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())
    assert len(named) >= 10
    for file, function in named:
        source = (ROOT / file).read_text()
        assert not function or re.search(rf"^def {function}\(", source, re.MULTILINE), f"{file}::{function}"


def test_every_fault_it_names_exists() -> None:
    named = re.findall(r"`vla faults --only (\w+)`", PAGE.read_text())
    assert named
    assert set(named) <= set(FAULTS)


def test_a_broken_fault_is_shown_as_broken() -> None:
    measured = json.loads(FIGURES.read_text())
    measured["executed"]["failures"] = {"policy_killed": ["too late"]}
    rows = fault_table(measured).splitlines()
    assert [row for row in rows if "**broken**" in row] == [row for row in rows if "`policy_killed`" in row]


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(KeyError):
        with_parts("<!-- begin nobody -->\n<!-- end nobody -->", {})
