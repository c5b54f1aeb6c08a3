"""A public class has a name of its own: who searches for it finds one definition."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[3] / "ros2_ws" / "src"


def public_classes(source: str) -> list[str]:
    return [
        node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_public_classes_of_a_module_are_found() -> None:
    assert public_classes("class A:\n    class B: ...\n\n\nclass _C: ...\n\n\ndef f():\n    class D: ...\n") == ["A"]


def test_public_class_names_are_unique_across_packages() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCES.glob("mobile_vla*/mobile_vla*/**/*.py")):
        for name in public_classes(path.read_text()):
            places[name].append(str(path.relative_to(SOURCES)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
