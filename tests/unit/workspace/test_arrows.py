"""Imports run one way. import-linter checks the packages; here are those inside the library and what loading costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[3] / "ros2_ws" / "src" / "mobile_vla" / "mobile_vla"
# What a package may use besides itself; a package that is not listed may use any but the command line.
SHARED = {"errors", "config", "timing", "resources", "regular", "parents", "figures"}
TORCH_SIDE = {"policy", "checkpoint", "engine", "device"}
ALLOWED = {
    "control": {"config", "errors"},
    "config": {"errors", "resources"},
    "checkpoint": SHARED | TORCH_SIDE,
    "policy": SHARED | TORCH_SIDE | {"camera"},
    "engine": SHARED | TORCH_SIDE,
    "camera": SHARED,
    "bags": SHARED | {"camera"},
}
HEAVY = {"torch", "transformers", "cv2", "av", "onnxruntime", "mujoco"}
ROS = {"rclpy", "sensor_msgs", "std_msgs"}


def packages_imported(package: str) -> dict[str, str]:
    """Other packages of the library that a package imports, each with a place where it does."""
    found: dict[str, str] = {}
    for path in (LIBRARY / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module else []
            for name in names:
                parts = name.split(".")
                if parts[0] == "mobile_vla" and len(parts) > 1 and parts[1] != package:
                    found.setdefault(parts[1], f"{path.relative_to(LIBRARY)}:{node.lineno}")
    return found


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_uses_only_the_packages_below_it(package: str) -> None:
    assert (LIBRARY / package).is_dir()
    imported = packages_imported(package)
    assert {name: where for name, where in imported.items() if name not in ALLOWED[package]} == {}


def loaded(code: str) -> set[str]:
    """The heavy modules that a fresh Python has loaded after some code."""
    watched = sorted(HEAVY | ROS)
    script = f"{code}\nimport sys\nprint('LOADED', *[name for name in {watched} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "module", ["mobile_vla", "mobile_vla.control", "mobile_vla.config", "mobile_vla.errors", "mobile_vla_cli"]
)
def test_light_modules_load_nothing_heavy_and_no_ros(module: str) -> None:
    assert loaded(f"import {module}") == set()


@pytest.mark.parametrize(
    "module",
    ["mobile_vla.policy.config", "mobile_vla.camera.config", "mobile_vla.bags.config", "mobile_vla_sim.config"],
)
def test_settings_load_nothing_heavy(module: str) -> None:
    assert loaded(f"import {module}") == set()


def test_the_watch_itself_sees_a_heavy_module() -> None:
    assert loaded("import cv2") == {"cv2"}


def test_the_controller_process_loads_ros_and_nothing_heavy() -> None:
    assert loaded("import mobile_vla_nodes.controller") & HEAVY == set()
