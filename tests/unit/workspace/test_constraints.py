"""Every dependency that the packages and the tools name has an exact version in each constraints file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from envsetup import constraints
from envsetup.metadata import packages, requirement_name, third_party

FILES = (constraints.WHEELS, constraints.JAZZY, constraints.SOURCED)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(path: Path) -> set[str]:
    return {normal(requirement_name(line)) for line in constraints.read(path)}


@pytest.mark.parametrize("name", FILES)
def test_pins_are_exact(root: Path, name: str) -> None:
    loose = [line for line in constraints.read(root / name) if not re.match(r"^[A-Za-z0-9._-]+==[^ *]+( ; .+)?$", line)]
    assert loose == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_left_unpinned(root: Path, name: str) -> None:
    wanted = {
        normal(requirement_name(line)) for line in third_party(packages(root), ros_wheels=name == constraints.WHEELS)
    }
    if name == constraints.SOURCED:
        wanted = {line for line in wanted if constraints.without_torch([line])}
    assert wanted - pinned(root / name) == set(), f"run `make constraints`: {name} is older than the setup.cfg files"


def test_a_sourced_machine_keeps_the_numpy_its_messages_were_built_with(root: Path) -> None:
    lines = constraints.read(root / constraints.SOURCED)
    assert [line for line in lines if line.startswith("numpy==1.")]
    assert not [line for line in lines if line.startswith(("ros-", "torch", "nvidia-"))]


def test_python_3_10_gets_a_transformers_that_computes_kosmos_rightly(root: Path) -> None:
    for name in FILES:
        line = next(line for line in constraints.read(root / name) if re.match(r"transformers==.*< '3\.11'", line))
        version = tuple(int(part) for part in line.split(" ")[0].split("==")[1].split("."))
        assert version < (4, 52) or version >= (5, 23)


def test_conditions_that_always_hold_are_not_repeated() -> None:
    shorter = constraints._shorter
    assert shorter("rich==15.0.0 ; python_full_version < '3.14' and sys_platform == 'linux'") == "rich==15.0.0"
    assert shorter(
        "av==18.1.0 ; python_full_version >= '3.11' and python_full_version < '3.14' and sys_platform == 'linux'"
    ) == ("av==18.1.0 ; python_full_version >= '3.11'")
    assert shorter("rich==15.0.0") == "rich==15.0.0"
