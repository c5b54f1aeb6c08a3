"""Pages: links lead somewhere, figures of the first page are those of the pages that it links, named files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "ros2_ws" / "src"
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "docs/reference/*.md", "docs/figures/*.md", "ros2_ws/src/*/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
BOLD = re.compile(r"\*\*(.+?)\*\*")


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as they are made where the pages are shown."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    path = ROOT / page
    wrong = []
    for target, anchor in LINK.findall(path.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        linked = (path.parent / target).resolve() if target else path
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            wrong.append(f"{target}#{anchor}")
    assert wrong == []


def test_metrics_of_the_first_page_are_those_of_the_pages_it_links() -> None:
    text = (ROOT / "README.md").read_text()
    rows = [line for line in text.partition("\n## Features\n")[2].partition("\n## ")[0].splitlines() if "](" in line]
    assert len(rows) >= 6
    checked = 0
    for row in rows:
        page = (ROOT / LINK.findall(row)[-1][0]).read_text()
        metrics = BOLD.findall(row)
        assert [metric for metric in metrics if metric not in page] == [], row
        checked += len(metrics)
    assert checked >= 10


def test_the_first_page_has_picture_commands_and_diagram() -> None:
    text = (ROOT / "README.md").read_text()
    assert "](docs/images/demo.gif)" in text
    assert "\n    make demo" in text
    assert "\n```mermaid\nflowchart " in text


def test_files_and_packages_that_the_architecture_page_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    existing = [path.relative_to(ROOT).as_posix() for path in (*SOURCES.rglob("*.py"), *ROOT.glob("tests/**/*.py"))]
    named = re.findall(r"`([\w/]+\.py)`", text)
    assert len(named) > 20
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in existing)] == []
    packages = sorted(path.parent.name for path in SOURCES.glob("*/package.xml"))
    assert [name for name in packages if f"**[{name}](" not in text] == []


def test_every_file_of_metrics_is_quoted_by_a_page_and_has_a_command() -> None:
    folder = ROOT / "docs" / "figures"
    files = sorted(path.name for path in folder.glob("*.json"))
    listed = re.findall(r"^\| `([\w-]+\.json)` \| `", (folder / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == files
    pages = "\n".join((ROOT / page).read_text() for page in PAGES if not page.startswith("docs/figures/"))
    assert [name for name in files if f"figures/{name}" not in pages] == []
