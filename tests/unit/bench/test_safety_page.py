"""docs/safety.md and the page of the fault battery: generated parts are current, named tests and faults exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mobile_vla_bench.faults.page import PAGES, broken_faults, fault_table, generated, with_parts
from mobile_vla_bench.faults.registry import FAULTS

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
FIGURES = DOCS / "figures" / "faults.json"
TEXT = "\n".join((DOCS / name).read_text() for name in PAGES)
AGAIN = "run: python -m mobile_vla_bench.faults.page docs"


def test_generated_parts_are_current() -> None:
    assert TEXT.count("<!-- begin ") == 3
    assert with_parts(TEXT, generated(DOCS)) == TEXT, AGAIN


def test_every_test_they_name_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)
    assert len(named) >= 10
    for file, function in named:
        source = (ROOT / file).read_text()
        assert not function or re.search(rf"^def {function}\(", source, re.MULTILINE), f"{file}::{function}"


def test_every_fault_they_name_exists() -> None:
    named = re.findall(r"`vla faults --only (\w+)`", TEXT)
    assert named
    assert set(named) <= set(FAULTS)


def test_a_broken_fault_is_shown_as_broken() -> None:
    measured = json.loads(FIGURES.read_text())
    measured["executed"]["failures"] = {"policy_killed": ["too late"]}
    rows = fault_table(measured).splitlines()
    assert [row for row in rows if "**broken**" in row] == [row for row in rows if "`policy_killed`" in row]


def test_what_was_seen_of_a_broken_fault_is_listed() -> None:
    measured = json.loads(FIGURES.read_text())
    measured["executed"]["failures"] = {"policy_killed": ["too late", "too fast"]}
    assert broken_faults(measured).splitlines()[-1] == "| `policy_killed` | too late; too fast |"
    measured["executed"]["failures"] = {}
    assert "|" not in broken_faults(measured)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(KeyError):
        with_parts("<!-- begin nobody -->\n<!-- end nobody -->", {})
