"""The library with nothing but its own requirements (numpy, PyYAML): no ROS, no torch, no extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

ALONE = """
import sys
from importlib.abc import MetaPathFinder

class OnlyRequirements(MetaPathFinder):
    allowed = {"numpy", "yaml", "_yaml", "mobile_vla", *sys.stdlib_module_names}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, OnlyRequirements())
"""


def alone(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{ALONE}\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("module", ["bags", "camera", "checkpoint", "config", "control", "engine", "policy", "teleop"])
def test_a_module_of_the_library_is_imported_without_any_extra(module: str) -> None:
    result = alone(f"import mobile_vla.{module}")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["control", "config", "teleop"])
def test_every_file_of_the_command_path_is_imported_without_any_extra(module: str) -> None:
    result = alone(
        f"import pkgutil, importlib, mobile_vla.{module} as found\n"
        "for file in pkgutil.walk_packages(found.__path__, found.__name__ + '.'): importlib.import_module(file.name)"
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", ["torch", "rclpy", "cv2"])
def test_the_import_check_detects_an_extra(module: str) -> None:
    assert "ModuleNotFoundError" in alone(f"import {module}").stderr
