from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from envsetup.host import Host

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root() -> Path:
    """The checkout that is under test."""
    return ROOT


@pytest.fixture
def host() -> Callable[..., Host]:
    """Make a host; every fact can be said."""

    def make(**facts: object) -> Host:
        usual: dict[str, object] = {
            "python": "/usr/bin/python3",
            "python_version": (3, 11),
            "machine": "x86_64",
            "root": False,
            "ros_distro": "",
            "rclpy_works": False,
            "torch_spec": None,
            "torch_index_url": "",
        }
        return Host(**{**usual, **facts})  # type: ignore[arg-type]

    return make


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A small checkout: two packages, one of which needs the other, and constraints."""
    lower, upper = (tmp_path / "ros2_ws" / "src" / name for name in ("z_lower", "a_upper"))
    for folder in (lower, upper):
        (folder / "resource").mkdir(parents=True)
        (folder / "resource" / folder.name).touch()
        (folder / "package.xml").write_text(f"<package><name>{folder.name}</name></package>")
    (lower / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    numpy>=1.26\n"
        "[options.extras_require]\nwheels =\n    ros-rclpy>=9\npolicy =\n    torch>=2.3\ntest =\n    pytest>=8\n"
        "[options.entry_points]\nconsole_scripts =\n    tool = z_lower.cli:main\n"
        "[options.data_files]\nshare/ament_index/resource_index/packages = resource/z_lower\n"
        "share/z_lower = package.xml\n"
    )
    (upper / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n    z_lower[policy]==0.1.0\n    numpy>=1.26\n"
        "[options.entry_points]\nconsole_scripts =\n"
        "    some_node = a_upper.node:main\n    other_node = a_upper.other:main\n"
        "[options.data_files]\nshare/a_upper/config = config/*.yaml\n"
        "[install]\ninstall_scripts = $base/lib/a_upper\n"
    )
    (upper / "config").mkdir()
    (upper / "config" / "one.yaml").write_text("a: 1\n")
    pins = "numpy==2.4.6\ntorch==2.13.0 ; python_full_version < '3.14'\n"
    pins += "triton==3.7.1\nnvidia-cublas==13.1\nros-rclpy==9.1.2\n"
    for name in ("constraints.txt", "constraints-jazzy.txt"):
        (tmp_path / name).write_text(f"# made\n{pins}")
    (tmp_path / "constraints-sourced.txt").write_text("numpy==1.26.4\n")
    (tmp_path / "pyproject.toml").write_text("[dependency-groups]\ndev = []\n[tool.ruff]\nline-length = 120\n")
    return tmp_path
