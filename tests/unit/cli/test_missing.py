"""A Python module that is not installed: one sentence that names it and what to install."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla_cli.missing import EXTRAS, install_sentence

LIBRARY = Path(__file__).resolve().parents[3] / "ros2_ws" / "src" / "mobile_vla"
MODULE_OF = {"opencv-python-headless": "cv2", "Pillow": "PIL"}


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("torch", "'./ros2_ws/src/mobile_vla[policy]'"),
        ("cv2", "'./ros2_ws/src/mobile_vla[bags]'"),
        ("pyarrow", "'./ros2_ws/src/mobile_vla[dataset]'"),
        ("mujoco", "it comes with the package mobile_vla_sim"),
        ("rclpy", "source a ROS 2 installation"),
        ("std_msgs", "source a ROS 2 installation"),
        ("mobile_vla_bench", "install it beside mobile_vla_cli"),
        ("mobile_vla_bench.demo", "install it beside mobile_vla_cli"),
        ("psutil", "install it with pip"),
    ],
)
def test_what_is_missing_is_named_with_what_to_install(module: str, remedy: str) -> None:
    sentence = install_sentence(module)
    assert sentence is not None
    assert f" {module.partition('.')[0]}, which is not installed" in sentence
    assert remedy in sentence


@pytest.mark.parametrize("module", ["mobile_vla.no_such_part", "torch.no_such_part"])
def test_a_missing_part_of_an_installed_package_is_a_defect(module: str) -> None:
    assert install_sentence(module) is None


def test_every_module_of_the_library_s_extras_is_known_and_in_that_extra() -> None:
    parser = configparser.ConfigParser()
    parser.read(LIBRARY / "setup.cfg")
    extras = {
        extra: {MODULE_OF.get(name, name) for name in re.findall(r"^[\w-]+", requirements, re.MULTILINE)}
        for extra, requirements in parser["options.extras_require"].items()
        if extra != "test"
    }
    assert set(EXTRAS) == set.union(*extras.values())
    assert [module for module, extra in EXTRAS.items() if module not in extras[extra]] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("torch", ["checkpoint", "inspect", "x.pth"], "policy"), ("cv2", ["dataset", "check", "x"], "bags")],
)
def test_a_command_without_its_module_ends_with_the_sentence(
    module: str, arguments: list[str], extra: str, tmp_path: Path
) -> None:
    (tmp_path / "x.pth").write_bytes(b"")
    program = f"import sys; sys.modules[{module!r}] = None; import mobile_vla_cli as c; sys.exit(c.main({arguments}))"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert f"vla: this command needs the Python module {module}, which is not installed" in ended.stderr
    assert f"'./ros2_ws/src/mobile_vla[{extra}]'" in ended.stderr
    assert ended.stderr.count("\n") == 1
