"""setup.cfg files as the set-up reads them."""

from __future__ import annotations

from pathlib import Path

from envsetup.metadata import packages, requirement_name, third_party


def test_packages_that_others_need_come_first(workspace: Path) -> None:
    assert [package.name for package in packages(workspace)] == ["z_lower", "a_upper"]


def test_a_dependency_cycle_terminates(workspace: Path) -> None:
    path = workspace / "ros2_ws" / "src" / "z_lower" / "setup.cfg"
    path.write_text(path.read_text().replace("numpy>=1.26", "a_upper==0.1.0"))
    assert sorted(package.name for package in packages(workspace)) == ["a_upper", "z_lower"]


def test_own_packages_are_no_third_party_and_nothing_is_said_twice(workspace: Path) -> None:
    assert third_party(packages(workspace), ros_wheels=False) == ["numpy>=1.26", "pytest>=8", "torch>=2.3"]


def test_ros_wheels_are_asked_for_only_where_they_belong(workspace: Path) -> None:
    found = packages(workspace)
    assert "ros-rclpy>=9" in third_party(found, ros_wheels=True)
    assert found[0].specifier(ros_wheels=True).endswith("z_lower[policy,test,wheels]")
    assert found[0].specifier(ros_wheels=False).endswith("z_lower[policy,test]")
    assert found[1].specifier(ros_wheels=True).endswith("a_upper")


def test_executables_of_a_package_that_ros2_run_knows(workspace: Path) -> None:
    lower, upper = packages(workspace)
    assert upper.executables == ("some_node", "other_node")
    assert upper.ros_executables
    assert not lower.ros_executables


def test_requirement_name_stops_at_the_extra() -> None:
    assert requirement_name("mobile_vla[camera]==0.1.0") == "mobile_vla"
    assert requirement_name("ros-rclpy>=9 ; python_version < '3.12'") == "ros-rclpy"
