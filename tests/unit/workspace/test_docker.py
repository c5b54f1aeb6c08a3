"""No container engine runs here; everything about the images that can be checked without one is."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and arguments, continuation lines joined, comments dropped."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in pairs]


def values(path: Path, word: str) -> list[str]:
    return [rest for found, rest in instructions(path) if found == word]


def compose() -> dict[str, Any]:
    content = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    assert isinstance(content, dict)
    return content


def launch_command(command: list[str]) -> tuple[str, list[str]]:
    assert command[:3] == ["ros2", "launch", "mobile_vla_bringup"]
    return command[3], command[4:]


def test_the_three_images_are_there() -> None:
    assert [path.name for path in DOCKERFILES] == ["Dockerfile.jetson-jp6", "Dockerfile.jetson-jp7", "Dockerfile.x86"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = shutil.which("hadolint", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    command = [hadolint, "--no-color", "--config", str(DOCKER / "hadolint.yaml"), str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_everything_that_is_copied_exists(path: Path) -> None:
    copies = values(path, "COPY")
    assert copies
    sources = {source for copy in copies for source in shlex.split(copy)[:-1]}
    assert {source for source in sources if not (ROOT / source).exists()} == set()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_every_package_is_there_before_its_requirements_are_installed(path: Path) -> None:
    copied = {source for copy in values(path, "COPY") for source in shlex.split(copy)[:-1]}
    for cfg in ROOT.glob("ros2_ws/src/*/setup.cfg"):
        assert str(cfg.relative_to(ROOT)) in copied
        assert str(cfg.with_name("package.xml").relative_to(ROOT)) in copied
    assert {path.name for path in ROOT.glob("constraints*.txt")} <= copied


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_entry_point_and_the_launch_file_exist(path: Path) -> None:
    entry = yaml.safe_load(values(path, "ENTRYPOINT")[-1])[0]
    script = ROOT / Path(entry).relative_to("/opt/mobile_vla")
    assert os.access(script, os.X_OK)
    launch_file, _ = launch_command(yaml.safe_load(values(path, "CMD")[-1]))
    assert (ROOT / "launch" / launch_file).is_file()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_set_up_is_called_with_options_it_has(path: Path) -> None:
    runs = [run for run in values(path, "RUN") if "setup_env.py" in run]
    assert len(runs) == 1
    assert "--profile robot --venv /opt/venv" in runs[0]
    assert f"/opt/ros/{distribution(path)}/setup.bash" in runs[0]


def distribution(path: Path) -> str:
    return "humble" if path.name.endswith("jp6") else "jazzy"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_no_package_of_another_distribution_is_installed(path: Path) -> None:
    assert set(re.findall(r"\bros-(humble|jazzy|kilted|iron)-", path.read_text())) == {distribution(path)}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_image_does_not_run_as_root(path: Path) -> None:
    assert values(path, "USER")[-1] not in ("root", "0")


def test_compose_builds_from_files_and_stages_that_exist() -> None:
    for name, service in compose()["services"].items():
        build = service["build"]
        assert (DOCKER / build["context"]).resolve() == ROOT
        dockerfile = ROOT / build["dockerfile"]
        assert dockerfile.is_file(), name
        if "target" in build:
            assert re.search(rf"^FROM .* AS {build['target']}$", dockerfile.read_text(), re.MULTILINE), name


def test_a_robot_gets_its_camera_gamepad_network_gpu_and_time_for_the_last_zero() -> None:
    robots = {name: service for name, service in compose()["services"].items() if name.startswith("jetson")}
    assert set(robots) == {"jetson-jp6", "jetson-jp7"}
    for service in robots.values():
        assert service["runtime"] == "nvidia"
        assert service["network_mode"] == "host"
        assert service["ipc"] == "host"
        assert service["stop_signal"] == "SIGINT"
        targets = [device.rpartition(":")[2] for device in service["devices"]]
        assert targets == ["/dev/video0", "/dev/input"]
        assert {"video", "input"} <= set(service["group_add"])


def test_the_commands_of_compose_name_launch_files_arguments_and_settings_that_exist() -> None:
    from mobile_vla.config import fields_of
    from mobile_vla_bringup.graph import Choice

    known = {field.name for field in fields_of(Choice)}
    for service in compose()["services"].values():
        if "command" not in service:
            continue
        launch_file, arguments = launch_command(service["command"])
        assert (ROOT / "launch" / launch_file).is_file()
        for argument in arguments:
            name, _, value = argument.partition(":=")
            assert name in known
            default = re.fullmatch(r"\$\{[A-Z]+:-(\w+)\}", value)
            assert default is not None
            folder = {"robot": "robots", "policy": "policies", "device": "devices"}[name]
            assert (ROOT / "config" / folder / f"{default.group(1)}.yaml").is_file(), argument


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Target in the container -> default source on the host."""
    found = {}
    for volume in service.get("volumes", ()):
        match = re.fullmatch(r"\$\{[A-Z]+:-([^}]+)\}:(/[^:]+)(:ro)?", volume)
        assert match is not None, volume
        found[match.group(2)] = match.group(1)
    return found


def test_what_compose_mounts_is_in_the_home_folder_or_made_by_runs() -> None:
    for service in compose()["services"].values():
        for source in mounts(service).values():
            assert source.startswith("~/") or (DOCKER / source).resolve() == ROOT / "out"


def home(path: Path) -> str:
    """The home folder of the user that a Dockerfile makes and becomes."""
    match = re.search(r"useradd --uid (\d+) --create-home .* (\w+)$", path.read_text(), re.MULTILINE)
    assert match is not None
    assert values(path, "USER")[-1] == match.group(1)
    return f"/home/{match.group(2)}"


def test_the_default_policy_of_a_robot_is_in_a_folder_that_compose_mounts() -> None:
    for name, service in compose()["services"].items():
        policy = re.search(r"policy:=\$\{POLICY:-(\w+)\}", " ".join(service.get("command", ())))
        if policy is None:
            continue
        settings = yaml.safe_load((ROOT / "config" / "policies" / f"{policy.group(1)}.yaml").read_text())
        checkpoint = settings["inference"]["checkpoint"]
        if checkpoint.startswith(("shipped:", "synthetic:")):
            continue
        folder = str(Path(checkpoint).parent)
        in_container = folder.replace("~", home(ROOT / service["build"]["dockerfile"]))
        assert mounts(service).get(in_container) == folder, f"{name} looks in {in_container}"


def test_no_mount_hides_what_an_image_ships() -> None:
    for name, service in compose()["services"].items():
        assert [target for target in mounts(service) if target.startswith("/opt/mobile_vla")] == [], name


def test_the_systemd_example_starts_a_service_that_compose_has() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DOCKER / "mobile-vla.service")
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    for key in ("ExecStart", "ExecStop"):
        command = shlex.split(unit["Service"][key])
        assert command[-1] in compose()["services"]
        assert (ROOT / command[command.index("-f") + 1]).is_file()
    grace = int(compose()["x-graph"]["stop_grace_period"].removesuffix("s"))
    assert int(unit["Service"]["TimeoutStopSec"]) > grace


@pytest.fixture
def container(tmp_path: Path) -> dict[str, str]:
    """An environment like the one in the image, with stand-ins for ROS and for the built workspace."""
    for name, line in (
        ("ros/setup.bash", "export FROM_ROS=1"),
        ("install/local_setup.bash", "export FROM_WORKSPACE=$FROM_ROS"),
    ):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(f"{line}\n")
    return {
        "PATH": os.environ["PATH"],
        "ROS_DISTRO": "humble",
        "ROS_ROOT": str(tmp_path / "ros"),
        "MOBILE_VLA_INSTALL": str(tmp_path / "install"),
        "MOBILE_VLA_VENV": str(tmp_path / "venv"),
    }


def enter(container: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DOCKER / "entrypoint.sh"), *command], env=container, capture_output=True, text=True, check=False
    )


def test_the_entry_point_sources_ros_then_the_workspace_and_becomes_the_command(container: dict[str, str]) -> None:
    result = enter(container, "sh", "-c", 'echo "$FROM_WORKSPACE $PATH"; exit 7')
    assert result.returncode == 7
    assert result.stdout.startswith(f"1 {container['MOBILE_VLA_VENV']}/bin:")


def test_the_entry_point_says_what_is_missing(container: dict[str, str]) -> None:
    shutil.rmtree(container["MOBILE_VLA_INSTALL"])
    result = enter(container, "true")
    assert result.returncode == 2
    assert "local_setup.bash is missing; build the image again" in result.stderr
