"""The committed reference page equals the generated one."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.config.reference import as_markdown
from mobile_vla_bringup.graph import all_kinds

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "parameters.md"


def test_reference_page_is_current() -> None:
    generated = as_markdown({name: kind.config for name, kind in all_kinds().items()})
    assert PAGE.read_text() == generated, "run: vla params --markdown docs/reference/parameters.md"
