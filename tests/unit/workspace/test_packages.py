"""What colcon, rosdep and pip read: they must agree with each other and with what the code imports."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from envsetup.metadata import requirement_name

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "ros2_ws" / "src"
PACKAGES = sorted(path.parent.name for path in SOURCES.glob("*/package.xml"))
DEPENDENCY_TAGS = ("depend", "exec_depend", "build_depend", "test_depend")
# Modules of other people that the packages import -> their key in the rosdep database (python.yaml); None: it has none.
ROSDEP_KEYS = {
    "cv2": "python3-opencv",
    "h5py": "python3-h5py",
    "hypothesis": "python3-hypothesis",
    "mujoco": "python3-mujoco-pip",
    "numpy": "python3-numpy",
    "PIL": "python3-pil",
    "pytest": "python3-pytest",
    "pytest_timeout": "python3-pytest-timeout",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "torch": "python3-torch",
    "transformers": "python3-transformers-pip",
    "yaml": "python3-yaml",
}
WITHOUT_KEY = {"av", "mcap", "open_clip", "pyarrow", "rich_argparse", "safetensors", "tokenizers", "zstandard"}
# What moves the robot must be releasable: a build farm takes no key that only pip can fill.
COMMAND_PATH = {"mobile_vla", "mobile_vla_ros", "mobile_vla_nodes", "mobile_vla_bringup"}
ROS_PACKAGES = {
    "rclpy",
    "std_msgs",
    "std_srvs",
    "sensor_msgs",
    "geometry_msgs",
    "nav_msgs",
    "diagnostic_msgs",
    "lifecycle_msgs",
    "rcl_interfaces",
    "builtin_interfaces",
    "rosgraph_msgs",
    "action_msgs",
    "launch",
    "launch_ros",
    "ros2launch",
    "rmw_fastrtps_cpp",
    "cv_bridge",
    "ament_index_python",
    "joy",
    "rosbag2_storage_mcap",
    "composition_interfaces",
}
IMPORTED_ROS = ROS_PACKAGES - {"launch", "launch_ros", "cv_bridge"}  # optional at run time: imported where they exist

DATA_FOLDERS = ("checkpoints", "config", "launch")


def package_xml(name: str) -> ElementTree.Element:
    return ElementTree.parse(SOURCES / name / "package.xml").getroot()


def dependencies(name: str, *tags: str) -> set[str]:
    return {element.text or "" for tag in tags or DEPENDENCY_TAGS for element in package_xml(name).iter(tag)}


def setup_cfg(name: str) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(SOURCES / name / "setup.cfg")
    return config


def imported(name: str) -> set[str]:
    """Top-level modules that any file of a package imports."""
    found: set[str] = set()
    for path in (SOURCES / name / name).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_the_workspace_has_its_packages() -> None:
    suffixes = ("", "_bench", "_bringup", "_cli", "_nodes", "_ros", "_sim")
    assert [f"mobile_vla{suffix}" for suffix in suffixes] == PACKAGES


def test_all_packages_have_one_version() -> None:
    versions = {name: package_xml(name).findtext("version") for name in PACKAGES}
    assert len(set(versions.values())) == 1, versions
    assert re.fullmatch(r"\d+\.\d+\.\d+", versions["mobile_vla"] or "")


@pytest.mark.parametrize("name", PACKAGES)
def test_pip_asks_for_the_same_version_of_the_own_packages(name: str) -> None:
    config, version = setup_cfg(name), package_xml(name).findtext("version")
    lines = config.get("options", "install_requires", fallback="").split("\n")
    lines += [line for _, extra in (config.items("options.extras_require")) for line in extra.split("\n")]
    own = [line for line in lines if requirement_name(line) in PACKAGES]
    assert [line for line in own if not line.endswith(f"=={version}")] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_package_xml_is_complete(name: str) -> None:
    xml = package_xml(name)
    assert xml.findtext("name") == name
    assert len(xml.findtext("description") or "") > 30
    assert xml.findtext("license") == "Apache-2.0"
    assert xml.findtext("export/build_type") == "ament_python"
    maintainer = xml.find("maintainer")
    assert maintainer is not None
    # An invalid address silently demotes the package to plain `python` in colcon.
    assert re.fullmatch(r"[\w.-]+@[\w-]+(\.[\w-]+)+", maintainer.get("email") or "")


@pytest.mark.parametrize("name", PACKAGES)
def test_ros_packages_that_are_imported_are_declared_and_the_other_way_round(name: str) -> None:
    declared = dependencies(name)
    used = imported(name) & (IMPORTED_ROS | set(PACKAGES)) - {name}
    if name == "mobile_vla":
        used -= set(PACKAGES)  # the command line reaches for the others where they are installed
    extras = " ".join(value for _, value in setup_cfg(name).items("options.extras_require"))
    optional = {package for package in PACKAGES if f"{package}==" in extras}
    assert used - declared - optional == set(), "imported, not in package.xml"
    messages = {
        dependency
        for dependency in dependencies(name, "depend")
        if dependency.endswith(("_msgs", "_srvs", "_interfaces"))
    }
    assert messages - used == set(), "in package.xml, not imported"


@pytest.mark.parametrize("name", PACKAGES)
def test_dependencies_are_names_that_rosdep_knows(name: str) -> None:
    assert dependencies(name) - set(ROSDEP_KEYS.values()) - ROS_PACKAGES - set(PACKAGES) == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_modules_of_other_people_are_declared(name: str) -> None:
    modules = imported(name) - set(sys.stdlib_module_names) - set(PACKAGES) - ROS_PACKAGES
    assert modules - set(ROSDEP_KEYS) - WITHOUT_KEY == set(), "name their rosdep keys in this test"
    keys = {ROSDEP_KEYS[module] for module in modules & set(ROSDEP_KEYS)}
    if name in COMMAND_PATH:
        keys = {key for key in keys if not key.endswith("-pip")}
    assert keys - dependencies(name) == set(), "imported, not in package.xml"


def closure(name: str) -> set[str]:
    """A package and those of this workspace that it needs."""
    own = (dependencies(name) & set(PACKAGES)) - {name}
    return {name}.union(*(closure(needed) for needed in own))


@pytest.mark.parametrize("name", PACKAGES)
def test_what_only_pip_can_fill_makes_a_package_source_only(name: str) -> None:
    keys = {key for needed in closure(name) for key in dependencies(needed) if key.endswith("-pip")}
    assert bool(keys) == (name not in COMMAND_PATH)
    assert ("Source-only" in (SOURCES / name / "README.md").read_text()) == bool(keys)


def test_every_unit_test_belongs_to_one_package() -> None:
    """`colcon test` finds them through `testpaths`; those of the workspace itself belong to none."""
    named = [
        (SOURCES / name / path).resolve()
        for name in PACKAGES
        for path in setup_cfg(name)["tool:pytest"]["testpaths"].split()
    ]
    units = {
        path
        for path in (ROOT / "tests" / "unit").iterdir()
        if any(path.rglob("test_*.py")) or path.name.startswith("test_")
    }
    assert sorted(path for path in named if path.parent.name == "unit") == sorted(
        units - {ROOT / "tests/unit" / name for name in ("support", "workspace")}
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_own_dependencies_are_the_same_for_pip_and_for_colcon(name: str) -> None:
    config = setup_cfg(name)
    requirements = config.get("options", "install_requires", fallback="").split("\n")
    by_pip = {requirement_name(line) for line in requirements} & set(PACKAGES)
    assert by_pip <= dependencies(name) & set(PACKAGES)


@pytest.mark.parametrize("name", PACKAGES)
def test_entry_points_name_functions_that_exist(name: str) -> None:
    config = setup_cfg(name)
    lines = config.get("options.entry_points", "console_scripts", fallback="").strip().splitlines()
    for line in lines:
        module, _, function = line.partition("=")[2].strip().partition(":")
        path = SOURCES / name / Path(*module.split("."))
        file = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
        assert file.is_file(), f"{line.strip()}: no file for {module}"
        names = {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}
        names |= {
            alias.asname or alias.name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert function in names, f"{line.strip()}: {file} has no {function}"


@pytest.mark.parametrize("name", PACKAGES)
def test_executables_of_nodes_go_where_ros2_run_looks(name: str) -> None:
    config = setup_cfg(name)
    if not config.has_section("install"):
        return
    assert config.get("install", "install_scripts") == f"$base/lib/{name}"
    assert config.get("develop", "script_dir") == f"$base/lib/{name}"


@pytest.mark.parametrize("name", PACKAGES)
def test_shared_files_are_installed_and_none_is_forgotten(name: str) -> None:
    config = setup_cfg(name)
    files = dict(config.items("options.data_files"))
    assert files["share/ament_index/resource_index/packages"].strip() == f"resource/{name}"
    assert (SOURCES / name / "resource" / name).is_file()
    assert (SOURCES / name / name / "py.typed").is_file()
    if name != "mobile_vla_bringup":
        return
    patterns = [pattern for value in files.values() for pattern in value.split()]
    installed = {path for pattern in patterns for path in (SOURCES / name).glob(pattern)}
    shipped = {path for folder in DATA_FOLDERS for path in (SOURCES / name / folder).rglob("*") if path.is_file()}
    assert len(shipped) > 20
    assert {path for path in shipped if "__pycache__" not in path.parts} - installed == set()


def test_the_packages_hold_their_files_and_the_root_links_to_them() -> None:
    """A package is copied alone by a build farm and by COPY of a Dockerfile: a link out of it would dangle there."""
    assert [str(path) for path in SOURCES.rglob("*") if path.is_symlink()] == []
    for folder in DATA_FOLDERS:
        assert (ROOT / folder).is_symlink()
        assert (ROOT / folder).resolve() == SOURCES / "mobile_vla_bringup" / folder
