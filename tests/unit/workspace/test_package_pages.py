"""The pages of each package (README, changelog, licence, quality declaration), and that they say what it has."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "ros2_ws" / "src"
PACKAGES = sorted(path.parent.name for path in SOURCES.glob("*/package.xml"))
PAGES = ("README.md", "CHANGELOG.rst", "LICENSE", "QUALITY_DECLARATION.md")
README_SECTIONS = ("Features", "Design", "Parameters", "Topics", "Test", "Quality")


def console_scripts(name: str) -> list[str]:
    config = configparser.ConfigParser()
    config.read(SOURCES / name / "setup.cfg")
    lines = config.get("options.entry_points", "console_scripts", fallback="").strip().splitlines()
    return [line.partition("=")[0].strip() for line in lines]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_has_its_pages_as_files_of_its_own(name: str) -> None:
    paths = [SOURCES / name / page for page in PAGES]
    assert [path.name for path in paths if path.is_symlink() or not path.is_file()] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_the_licence_is_that_of_the_repository_and_is_installed(name: str) -> None:
    assert (SOURCES / name / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    licence = ElementTree.parse(SOURCES / name / "package.xml").getroot().find("license")
    assert licence is not None
    assert licence.get("file") == "LICENSE"
    config = configparser.ConfigParser()
    config.read(SOURCES / name / "setup.cfg")
    assert "LICENSE" in config.get("options.data_files", f"share/{name}").split()


@pytest.mark.parametrize("name", PACKAGES)
def test_the_readme_has_the_usual_sections_and_names_every_executable(name: str) -> None:
    text = (SOURCES / name / "README.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert [section for section in README_SECTIONS if f"\n## {section}\n" not in text] == []
    assert [script for script in console_scripts(name) if f"`{script}`" not in text] == []
    assert "(QUALITY_DECLARATION.md)" in text


@pytest.mark.parametrize("name", PACKAGES)
def test_the_changelog_has_the_version_or_what_is_forthcoming(name: str) -> None:
    text = (SOURCES / name / "CHANGELOG.rst").read_text()
    title = f"Changelog for package {name}"
    line = "^" * len(title)
    assert text.startswith(f"{line}\n{title}\n{line}\n")
    version = ElementTree.parse(SOURCES / name / "package.xml").getroot().findtext("version")
    assert re.search(
        rf"^(Forthcoming\n-{{11}}|{re.escape(version or '')} \(\d{{4}}-\d\d-\d\d\)\n-{{18}})$", text, re.MULTILINE
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_the_quality_declaration_answers_every_section_of_rep_2004(name: str) -> None:
    text = (SOURCES / name / "QUALITY_DECLARATION.md").read_text()
    sections = (
        "Version policy",
        "Change control",
        "Documentation",
        "Testing",
        "Dependencies",
        "Platform support",
        "Security",
    )
    assert [section for section in sections if f" {section} [" not in text] == []
