"""Missing system libraries, and the install command for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from envsetup import system_packages


def only(*names: str) -> Callable[[str], bool]:
    return lambda name: name in names


@pytest.fixture
def vendors(tmp_path: Path) -> tuple[Path, ...]:
    (tmp_path / "50_mesa.json").write_text("{}")
    return (tmp_path,)


def test_egl_with_a_driver_or_osmesa_is_enough(vendors: tuple[Path, ...], tmp_path: Path) -> None:
    assert system_packages.missing_renderer(only("libEGL.so.1"), vendors) == []
    assert system_packages.missing_renderer(only("libOSMesa.so.6"), (tmp_path / "none",)) == []


def test_libraries_are_loaded_to_be_found() -> None:
    assert system_packages.loadable("libc.so.6")
    assert not system_packages.loadable("libdoes-not-exist.so.1")


def test_egl_without_any_driver_is_not(tmp_path: Path) -> None:
    assert system_packages.missing_renderer(only("libEGL.so.1"), (tmp_path / "none",)) == list(
        system_packages.EGL_PACKAGES
    )


def test_the_line_for_a_person_updates_the_lists_first() -> None:
    assert system_packages.command(["libegl1"], root=False) == (
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends libegl1"
    )
    assert "sudo" not in system_packages.command(["libegl1"], root=True)
    assert [step[1] for step in system_packages.apt_steps(["libegl1"])] == ["update", "install"]
