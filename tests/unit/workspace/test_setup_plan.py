"""What gets installed where: decided from facts, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from envsetup.errors import SetupError
from envsetup.host import Host
from envsetup.plan import Plan, make_plan

MakeHost = Callable[..., Host]


def everything(plan: Plan) -> str:
    return "\n".join(" ".join(step.arguments) for step in plan.steps)


def test_the_default_installs_everything_pinned_in_one_step(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(workspace, "dev", workspace / ".venv", host())
    assert [step.title for step in plan.steps] == ["the packages of this checkout and what they need"]
    assert "torch==2.13.0 ; python_full_version < '3.14'" in plan.constraints
    assert plan.left_out == ()


def test_a_torch_index_is_asked_for_torch_alone_and_first(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(workspace, "dev", workspace / ".venv", host(torch_index_url="https://example.org/cpu"))
    assert plan.steps[0].arguments == ("--default-index", "https://example.org/cpu", "torch==2.13.0")
    assert "example.org" not in " ".join(plan.steps[1].arguments)


def test_wheels_without_a_distribution(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(workspace, "dev", workspace / ".venv", host())
    assert not plan.system_site_packages
    assert "wheels]" in everything(plan)
    assert "ros-rclpy==9.1.2" in plan.constraints


def test_a_sourced_distribution_is_seen_and_no_wheel_installed(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(
        workspace, "dev", workspace / ".venv", host(ros_distro="humble", rclpy_works=True, python_version=(3, 10))
    )
    assert plan.system_site_packages
    assert "ros-rclpy" not in everything(plan)
    assert "wheels]" not in everything(plan)
    assert plan.constraints == ("numpy==1.26.4",)


def test_a_distribution_that_does_not_import_is_an_error_not_a_silent_switch_to_wheels(
    workspace: Path, host: MakeHost
) -> None:
    with pytest.raises(
        SetupError, match=r"humble is sourced but its rclpy does not import.*3\.11.*PYTHON=/usr/bin/python3"
    ):
        make_plan(workspace, "dev", workspace / ".venv", host(ros_distro="humble"))


@pytest.mark.parametrize("profile", ["dev", "jazzy"])
def test_another_processor_without_ros_gets_a_sentence(workspace: Path, host: MakeHost, profile: str) -> None:
    with pytest.raises(SetupError, match=r"x86_64 only and this machine is aarch64; install ROS 2 from apt"):
        make_plan(workspace, profile, workspace / ".venv", host(machine="aarch64"))


def test_another_processor_with_ros_works(workspace: Path, host: MakeHost) -> None:
    facts = host(machine="aarch64", ros_distro="jazzy", rclpy_works=True, python_version=(3, 12))
    assert make_plan(workspace, "dev", workspace / ".venv", facts).system_site_packages


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_an_unsupported_python_is_named_with_the_remedy(
    workspace: Path, host: MakeHost, version: tuple[int, int]
) -> None:
    with pytest.raises(SetupError, match=rf"Python 3\.10 to 3\.13 is needed.*3\.{version[1]}.*PYTHON="):
        make_plan(workspace, "dev", workspace / ".venv", host(python_version=version))


def test_torch_from_another_index_removes_its_pins(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(
        workspace,
        "dev",
        workspace / ".venv",
        host(torch_spec="torch==2.8.0", torch_index_url="https://example.org/cpu"),
    )
    assert plan.steps[0].arguments == ("--default-index", "https://example.org/cpu", "torch==2.8.0")
    assert plan.constraints == ("numpy==2.4.6", "ros-rclpy==9.1.2")


def test_an_empty_torch_means_one_is_there(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(workspace, "dev", workspace / ".venv", host(torch_spec=""))
    assert not [step for step in plan.steps if step.title.startswith("torch")]
    assert plan.left_out == ("torch", "torchvision")


def test_jazzy_wheels_replace_the_others(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(workspace, "jazzy", workspace / ".venv-jazzy", host())
    assert "ros-rclpy" not in everything(plan)
    assert "wheels]" not in everything(plan)
    assert f"{workspace / 'pyproject.toml'}:jazzy" in everything(plan)


def test_a_robot_leaves_the_packages_to_colcon(workspace: Path, host: MakeHost) -> None:
    plan = make_plan(
        workspace, "robot", workspace / ".venv", host(ros_distro="humble", rclpy_works=True, python_version=(3, 10))
    )
    assert "--editable" not in everything(plan)
    assert f"{workspace / 'pyproject.toml'}:colcon" in everything(plan)
    assert ":dev" not in everything(plan)
    assert [step.title for step in plan.steps] == ["torch", "what the packages need"]
    assert "pytest>=8" not in plan.steps[1].arguments
    with pytest.raises(SetupError, match="source /opt/ros"):
        make_plan(workspace, "robot", workspace / ".venv", host())


def test_missing_pins_are_an_error(workspace: Path, host: MakeHost) -> None:
    (workspace / "constraints.txt").unlink()
    with pytest.raises(SetupError, match="make constraints"):
        make_plan(workspace, "dev", workspace / ".venv", host())
