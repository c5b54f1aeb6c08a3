"""What `colcon test` runs: the package as it was built. The tests of its behaviour are in tests/ of the checkout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from xml.etree import ElementTree

NAME = "mobile_vla_cli"
PACKAGE_XML = Path(__file__).resolve().parents[1] / "package.xml"


def test_the_installed_version_is_that_of_package_xml() -> None:
    assert importlib.metadata.version(NAME) == ElementTree.parse(PACKAGE_XML).getroot().findtext("version")


def test_every_executable_has_its_module() -> None:
    points = importlib.metadata.distribution(NAME).entry_points
    scripts = [point for point in points if point.group == "console_scripts"]
    assert [point.name for point in scripts if importlib.util.find_spec(point.module) is None] == []
