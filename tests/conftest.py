"""Order and grouping of all tests: what starts processes runs one at a time and after everything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
# Their timings would suffer from busy neighbours; one group means one worker, one test after another.
PROCESS_FOLDERS = ("graph", "faults")
PROCESS_GROUP = "processes"
# How long an example takes says something about the machine's other work, not about the code.
settings.register_profile("shared_machine", deadline=None)
settings.load_profile("shared_machine")
# Helper modules lie beside the tests that use them and are imported by their plain (unique) names.
sys.path += [str(folder) for pattern in ("unit/*", "*") for folder in sorted(TESTS.glob(pattern)) if folder.is_dir()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if starts_processes(item):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group(PROCESS_GROUP))
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


def starts_processes(item: pytest.Item) -> bool:
    """Whether the test lies in a folder whose tests drive real processes."""
    parts = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
    return bool(parts) and parts[0] in PROCESS_FOLDERS
