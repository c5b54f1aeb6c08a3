"""Imports run one way. import-linter checks the packages; here are those inside the library and what loading costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[3] / "ros2_ws" / "src" / "mobile_vla" / "mobile_vla"
# What a package may use besides itself; a package that is not listed may use any but the command line.
SHARED = {"errors", "files", "config", "timing", "resources", "metrics"}
ALLOWED = {
    "control": {"config", "errors"},
    "config": {"errors", "files", "resources"},
    "checkpoint": SHARED,
    "policy": SHARED | {"checkpoint"},
    "engine": SHARED | {"checkpoint", "policy", "camera"},
    "camera": SHARED,
    "bags": SHARED | {"camera"},
    "train": SHARED | {"bags", "checkpoint", "control", "engine", "evaluate", "policy"},
}
CHECKPOINT_MODULES = sorted(path.stem for path in (LIBRARY / "checkpoint").glob("[a-z]*.py"))
# All that a model may know of its file: sizes, facts of the card, and names of tensors.
KNOWN_TO_POLICY = {"card", "layout", "open_clip_names"}
HEAVY = {"torch", "transformers", "cv2", "av", "onnxruntime", "mujoco"}
ROS = {"rclpy", "sensor_msgs", "std_msgs"}


def packages_imported(package: str) -> dict[str, str]:
    """Other packages of the library that a package imports, each with a place where it does."""
    found: dict[str, str] = {}
    for path in (LIBRARY / package).rglob("*.py"):
        for name, line in imported_names(path):
            parts = name.split(".")
            if parts[0] == "mobile_vla" and len(parts) > 1 and parts[1] != package:
                found.setdefault(parts[1], f"{path.relative_to(LIBRARY)}:{line}")
    return found


def imported_names(path: Path) -> Iterator[tuple[str, int]]:
    """Every name that a file imports, dotted, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_uses_only_the_packages_below_it(package: str) -> None:
    assert (LIBRARY / package).is_dir()
    imported = packages_imported(package)
    assert {name: where for name, where in imported.items() if name not in ALLOWED[package]} == {}


def test_the_file_format_knows_no_module() -> None:
    """`checkpoint` describes tensors; what computes with them is `policy`."""
    names = {name for path in (LIBRARY / "checkpoint").rglob("*.py") for name, _ in imported_names(path)}
    assert "torch.Tensor" in names
    assert {name for name in names if f"{name}.".startswith("torch.nn.")} == set()


def test_the_model_knows_sizes_and_facts_but_no_file() -> None:
    modules = {
        name.split(".")[2]
        for path in (LIBRARY / "policy").rglob("*.py")
        for name, _ in imported_names(path)
        if name.startswith("mobile_vla.checkpoint.")
    }
    assert modules == KNOWN_TO_POLICY


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("; ".join(f"import mobile_vla.checkpoint.{name}" for name in CHECKPOINT_MODULES), {"checkpoint"}),
        ("; ".join(f"import mobile_vla.checkpoint.{name}" for name in KNOWN_TO_POLICY), {"checkpoint"}),
        ("import mobile_vla.policy.model, mobile_vla.policy.worker", {"checkpoint", "policy"}),
    ],
)
def test_importing_a_package_loads_none_above_it(code: str, allowed: set[str]) -> None:
    """What is imported indirectly counts too."""
    script = f"{code}\nimport sys\nprint('LOADED', *[name for name in sys.modules if name.startswith('mobile_vla.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    names = [name.split(".") for name in done.stdout.rpartition("LOADED")[2].split()]
    assert {parts[1] for parts in names} - SHARED == allowed
    if "import mobile_vla.checkpoint.layout" in code and "opening" not in code:
        assert {parts[2] for parts in names if parts[1] == "checkpoint" and len(parts) > 2} == KNOWN_TO_POLICY


def test_the_base_uses_nothing_but_errors() -> None:
    names = {name for name, _ in imported_names(LIBRARY / "files.py") if name.startswith("mobile_vla")}
    assert names == {"mobile_vla.errors.UserError"}


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
    ["mobile_vla.engine.config", "mobile_vla.camera.config", "mobile_vla.bags.config", "mobile_vla_sim.config"],
)
def test_settings_load_nothing_heavy(module: str) -> None:
    assert loaded(f"import {module}") == set()


def test_a_checkpoint_that_is_not_there_is_refused_without_torch() -> None:
    code = """
from mobile_vla.errors import UserError
from mobile_vla_bringup.graph import Choice, describe
try:
    describe(Choice(), {"inference": {"checkpoint": "none.pth"}})
except UserError as error:
    assert "none.pth does not exist" in str(error), error
else:
    raise AssertionError("not refused")
"""
    assert "torch" not in loaded(code)


def test_the_import_check_detects_a_heavy_module() -> None:
    assert loaded("import cv2") == {"cv2"}


def test_the_controller_process_loads_ros_and_nothing_heavy() -> None:
    assert loaded("import mobile_vla_nodes.controller") & HEAVY == set()
