"""No node hides an attribute of rclpy's own: `self._parameters`, for one, breaks the first parameter change."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import rclpy.lifecycle.managed_entity
import rclpy.lifecycle.node
import rclpy.node

SOURCES = Path(__file__).parents[3] / "ros2_ws" / "src"
MODULES = sorted(
    path
    for package in ("mobile_vla_nodes", "mobile_vla_sim")
    for path in (SOURCES / package / package).glob("*.py")
    if "Node)" in path.read_text()
)


def assigned(source: str) -> set[str]:
    """Names of attributes that methods set on self."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


RCLPY = assigned(inspect.getsource(rclpy.node)) | assigned(inspect.getsource(rclpy.lifecycle.node))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_node_attributes_are_its_own(path: Path) -> None:
    assert not assigned(path.read_text()) & RCLPY


def test_the_check_sees_rclpy() -> None:
    assert {"_parameters", "_clock", "_context"} <= RCLPY
