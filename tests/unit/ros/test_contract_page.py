"""The committed contract page equals the generated one."""

from __future__ import annotations

from pathlib import Path

from mobile_vla_ros.contract_page import page


def test_contract_page_is_current() -> None:
    committed = Path(__file__).parents[3] / "docs" / "reference" / "graph.md"
    assert committed.read_text() == page(), "run: python -m mobile_vla_ros.contract_page > docs/reference/graph.md"
