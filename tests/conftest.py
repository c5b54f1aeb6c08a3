"""Order and grouping of all tests: what starts processes comes last, one file after another in each worker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
PROCESS_FOLDERS = ("graph", "faults", "pages")
LONGEST = (
    "test_vla_up.py",
    "test_pages_run.py",
    "test_life_and_death.py",
    "test_quick_battery.py",
    "test_recipe.py",
    "test_colcon.py",
    "test_controller.py",
    "test_sim_bench.py",
)
"""Files of slow tests that take a minute or more: begun first, so that no worker is left alone with one at the end."""
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
            item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=place)


def place(item: pytest.Item) -> int:
    """Quick tests first, then the longest files, then the other slow tests."""
    if item.get_closest_marker("slow") is None:
        return 0
    return 1 + LONGEST.index(item.path.name) if item.path.name in LONGEST else 1 + len(LONGEST)


def starts_processes(item: pytest.Item) -> bool:
    """Whether the test lies in a folder whose tests drive real processes."""
    parts = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
    return bool(parts) and parts[0] in PROCESS_FOLDERS


def group_of(item: pytest.Item) -> str:
    """The file: its tests run one after another in one worker.

    A graph of processes mostly waits (it takes 0.4 of a core), so each worker has room for one at a time; what is
    inherently timed is tried again where a neighbour delayed it.
    """
    return str(item.path.relative_to(TESTS)) if item.path.is_relative_to(TESTS) else item.path.name
