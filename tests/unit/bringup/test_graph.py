"""The graph as data: files laid over each other, every mistake found before anything starts."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from rclpy.validate_full_topic_name import validate_full_topic_name

from mobile_vla.checkpoint.card_text import dump_card
from mobile_vla.checkpoint.sizes import synthetic_card
from mobile_vla.config import ConfigError
from mobile_vla.config.namespace import LONGEST_NAMESPACE
from mobile_vla.control.config import ControllerConfig
from mobile_vla.errors import UserError
from mobile_vla.resources import SHIPPED_POLICY, named_files
from mobile_vla_bringup.graph import Choice, all_kinds, describe
from mobile_vla_ros.topics import SERVICES, TOPICS


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the policy `own` names."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "mobile_vla" / "policy.safetensors"
    file.parent.mkdir()
    file.touch()
    return file


@pytest.mark.parametrize("robot", sorted(named_files("robots")))
@pytest.mark.usefixtures("own")
def test_every_robot_file_is_valid(robot: str) -> None:
    simulated = robot.startswith("sim")
    graph = describe(Choice(robot=robot, policy="" if simulated else "own"))
    names = [node.name for node in graph.nodes]
    expected = {"controller", "inference", "simulator" if simulated else "camera"}
    assert set(names) == expected | ({"depth_scan"} if robot.endswith("_depth") else set())
    assert names[0] == "controller"


@pytest.mark.parametrize("device", sorted(named_files("devices")))
def test_every_device_file_is_valid(device: str) -> None:
    describe(Choice(device=device))


@pytest.mark.parametrize("policy", sorted(named_files("policies")))
@pytest.mark.usefixtures("own")
def test_every_policy_file_is_valid(policy: str) -> None:
    describe(Choice(policy=policy))


@pytest.mark.parametrize("name", sorted(all_kinds()))
def test_module_and_executable_exist(name: str) -> None:
    kind = all_kinds()[name]
    module = importlib.import_module(kind.module)
    setup = Path(__file__).parents[3] / "ros2_ws" / "src" / kind.package / "setup.cfg"
    assert callable(module.main)
    assert f"{kind.executable} = {kind.module}:main" in setup.read_text()


def test_layers_and_overrides() -> None:
    graph = describe(Choice(instruction="go to the cup"), {"controller": {"rate_hz": 50.0}})
    assert graph.node("controller").parameters()["rate_hz"] == 50.0
    assert graph.node("inference").parameters()["instruction"] == "go to the cup"


def test_a_dotted_override_wins_over_a_group_of_the_robot_file() -> None:
    over = {"limits.linear.velocity_mps": 0.21, "range_guard.front_m": 0.13}
    controller = describe(Choice(robot="diff", policy="small"), {"controller": over}).node("controller").config
    assert isinstance(controller, ControllerConfig)
    linear, guard = controller.limits.linear, controller.range_guard
    assert (linear.velocity_mps, linear.reverse_mps, guard.front_m, guard.half_width_m) == (0.21, 0.1, 0.13, 0.15)


def test_a_value_given_twice_in_one_file_is_refused(tmp_path: Path) -> None:
    robot = tmp_path / "twice.yaml"
    robot.write_text("controller: {limits: {linear: {velocity_mps: 0.2}}, limits.linear.velocity_mps: 0.3}")
    with pytest.raises(ConfigError, match=r"twice\.yaml: .*is given twice; remove one of them"):
        describe(Choice(robot=str(robot), policy="small"))


@pytest.mark.parametrize(
    ("robot", "node", "reason"),
    [
        ("diff", "controler", "unknown node 'controler'; did you mean 'controller'?"),
        ("diff", "nope", "unknown node 'nope'; known: camera, controller,"),
        ("sim", "keyboard", "unknown node 'keyboard'"),
        ("diff", "simulator", "simulator is set and robot diff is not simulated"),
        ("sim", "camera", "camera is set and robot sim is simulated"),
    ],
)
def test_a_value_for_a_node_that_does_not_run_is_refused(robot: str, node: str, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        describe(Choice(robot=robot, policy="small"), {node: {"x": 1}})
    assert reason in str(refused.value)


@pytest.mark.parametrize("name", ["a b", "/../x", "\x1b[31m", "1robot", "a//b", "a\n"])
def test_a_namespace_that_ends_every_node_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"namespace (must be a name such as robot1|contains control characters)"):
        Choice(namespace=name)


@pytest.mark.parametrize("name", ["", "/", "robot1", "/fleet/robot_1/"])
def test_a_namespace_of_ros_is_accepted(name: str) -> None:
    Choice(namespace=name)


def test_every_topic_and_service_below_the_longest_namespace_has_a_name_that_ros_accepts() -> None:
    own = [entry.name for entry in (*TOPICS, *SERVICES) if not entry.name.startswith("/")]
    of_nodes = [f"{node}/set_parameters_atomically" for node in all_kinds()]  # the longest that rclpy gives a node
    for name in (*own, *of_nodes):
        full = f"/{'a' * LONGEST_NAMESPACE}/{name}"
        assert validate_full_topic_name(full, is_service=name not in own), full


@pytest.mark.parametrize(("node", "value"), [("gamepad", "mapping"), ("simulator", "scenario")])
def test_a_file_that_a_node_could_not_read_is_refused_before_anything_starts(
    node: str, value: str, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("nonsense: 1")
    with pytest.raises(UserError, match=r"bad\.yaml: unknown name 'nonsense'"):
        describe(Choice(), {node: {value: str(bad)}})
    with pytest.raises(UserError, match="nothing"):
        describe(Choice(), {node: {value: "nothing"}})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none.pth", r"checkpoint .*none\.pth does not exist; check the path"),
        ("folder", r"checkpoint .*folder is a directory, not a checkpoint; name one of its files: model\.safetensors"),
        ("pipe", r"checkpoint .*pipe is a pipe \(FIFO\), not a file"),
        ("shipped:smal", "unknown shipped policy 'smal'; did you mean 'small'"),
    ],
)
@pytest.mark.parametrize("robot", ["sim", "diff"])
def test_weights_that_are_not_there_are_refused_before_anything_starts(
    robot: str, name: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.safetensors").touch()
    os.mkfifo(tmp_path / "pipe")
    checkpoint = name if ":" in name else str(tmp_path / name)
    with pytest.raises(UserError, match=sentence):
        describe(Choice(robot=robot, policy="small"), {"inference": {"checkpoint": checkpoint}})


def test_a_card_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        describe(Choice(), {"inference": {"card": str(tmp_path / "none.yaml")}})


def test_a_calibration_that_cannot_be_used_is_refused_before_anything_starts(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("image_width: 640")
    for file, sentence in ((bad, r"bad\.yaml: image_height must be"), (tmp_path / "none.yaml", "no calibration file")):
        with pytest.raises(UserError, match=sentence):
            describe(Choice(robot="diff", policy="small"), {"camera": {"calibration_file": str(file)}})


def test_only_differences_become_parameters() -> None:
    assert "limits.linear.jerk_mps3" not in describe(Choice()).node("controller").parameters()


def test_gamepad_runs_when_the_robot_has_one() -> None:
    assert "gamepad" not in [node.name for node in describe(Choice()).nodes]
    graph = describe(Choice(), {"gamepad": {"mapping": "f710"}})
    assert graph.node("gamepad").parameters() == {"mapping": "f710"}


def test_depth_scan_runs_when_the_robot_has_a_depth_camera() -> None:
    assert "depth_scan" not in [node.name for node in describe(Choice()).nodes]
    guard = {"range_guard": {"stop_distance_m": 0.2}}
    graph = describe(Choice(), {"depth_scan": {"height_m": 0.4}, "controller": guard})
    assert graph.node("depth_scan").parameters() == {"height_m": 0.4}


def test_a_depth_camera_that_nobody_reads_or_that_loses_sight_of_low_things_is_refused() -> None:
    with pytest.raises(ConfigError, match="use_scan is false, so nothing reads its scan"):
        describe(Choice(robot="sim_depth"), {"controller": {"range_guard": {"use_scan": False}}})
    with pytest.raises(ConfigError, match=r"robot sim_depth stops 0\.19 m before the lens .* raise stop_distance_m"):
        describe(Choice(robot="sim_depth"), {"controller": {"range_guard": {"stop_distance_m": 0.15}}})


def test_recorder_runs_when_a_bag_is_asked_for(tmp_path: Path) -> None:
    recorder = describe(Choice(bag=str(tmp_path / "drive"))).node("recorder")
    assert recorder.parameters() == {"out_dir": str(tmp_path), "name": "drive"}


@pytest.mark.parametrize("policy", ["untrained"])
def test_untrained_policy_needs_a_simulated_robot(policy: str) -> None:
    with pytest.raises(ConfigError, match="may be untrained and this robot is not simulated"):
        describe(Choice(robot="diff", policy=policy))


@pytest.mark.parametrize("robot", ["sim", "diff"])
def test_a_synthetic_checkpoint_is_refused_where_it_is_not_allowed(robot: str) -> None:
    with pytest.raises(UserError, match=r"policy 'synthetic:tiny' is untrained \(random weights\)"):
        describe(Choice(robot=robot, policy="own"), {"inference": {"checkpoint": "synthetic:tiny"}})


@pytest.mark.usefixtures("own")
def test_allow_untrained_is_refused_on_a_robot() -> None:
    with pytest.raises(ConfigError, match="not simulated"):
        describe(Choice(robot="diff", policy="own"), {"inference": {"allow_untrained": True}})


@pytest.mark.parametrize("robot", ["sim", "diff"])
def test_an_untrained_card_is_refused_before_anything_starts(robot: str, tmp_path: Path) -> None:
    card = tmp_path / "policy.card.yaml"
    card.write_text(dump_card(synthetic_card("tiny", "tanh")))
    (tmp_path / "policy.pth").touch()
    own = {"inference": {"checkpoint": str(tmp_path / "policy.pth"), "card": str(card)}}
    with pytest.raises(UserError, match=r"policy 'synthetic-tiny-tanh' is untrained \(random weights\)"):
        describe(Choice(robot=robot, policy="own"), own)
    own["inference"]["allow_untrained"] = True
    if robot == "sim":
        describe(Choice(robot=robot, policy="own"), own)


def test_a_simulated_robot_follows_the_shipped_policy_and_another_must_be_told() -> None:
    graph = describe(Choice(robot="sim"))
    assert graph.policy == SHIPPED_POLICY
    assert graph.node("inference").config.checkpoint == f"shipped:{SHIPPED_POLICY}"
    with pytest.raises(ConfigError, match="no policy is named and robot diff is not simulated; name one"):
        describe(Choice(robot="diff"))


def test_a_policy_with_another_action_space_is_refused_before_anything_starts(tmp_path: Path) -> None:
    describe(Choice(robot="sim_omni"))
    omni = {"controller": {"action": {"space": "omni"}}}
    with pytest.raises(UserError, match="policy small gives diff actions and robot sim_omni takes omni"):
        describe(Choice(robot="sim_omni"), omni)
    describe(Choice(robot="sim_omni", policy="untrained"), omni)
    (tmp_path / "cardless.safetensors").touch()
    describe(Choice(robot="sim_omni"), {**omni, "inference": {"checkpoint": str(tmp_path / "cardless.safetensors")}})
    card = tmp_path / "broken.card.yaml"
    card.write_text("format: one")
    with pytest.raises(UserError, match=r"broken\.card\.yaml"):
        describe(Choice(), {"inference": {"card": str(card)}})


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"robot": "sin"}, "unknown robot 'sin'; did you mean 'sim'?"),
        ({"policy": "untraind"}, "unknown policy 'untraind'; did you mean 'untrained'?"),
        ({"device": "orin"}, "unknown device 'orin'"),
        ({"robot": "missing.yaml"}, "robot file missing.yaml does not exist"),
    ],
)
def test_unknown_names(choice: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        describe(Choice(**choice))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("controller: {rate_hz: 30", "is not valid YAML at line"),
        ("controller: {rate_hz: 30}\ncontroller: {rate_hz: 1}", 'line 2: "controller" was given in line 1 already'),
        ("- a\n- b", "must hold sections"),
        ("1: 2", "a section must have the name of a node (camera, controller, ...), got 1"),
        ("controler: {}", "unknown section 'controler'; did you mean 'controller'?"),
        ("controller: 3", "section controller must hold `name: value` lines"),
        ("controller: {rate: 3}", "controller: unknown name 'rate'"),
        ("\x00\x01", "is not valid YAML"),
    ],
)
def test_malformed_robot_files(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        describe(Choice(robot=str(path), policy="own"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("directory", "is a directory, not a file"),
        ("pipe", "is a pipe (FIFO), not a file"),
        ("loop", "is a link to itself"),
        ("dangling", "does not exist"),
    ],
)
def test_a_robot_file_that_is_no_file_is_named_as_what_it_is(tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / "robot.yaml"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name if kind == "loop" else "nowhere")
    with pytest.raises(UserError) as refused:
        describe(Choice(robot=str(path)))
    assert f"robot file {path} {reason}; name one of config/robots/" in str(refused.value)


def test_a_value_that_is_set_twice_is_named_with_its_node() -> None:
    twice = {"controller": {"limits": {"linear": {"velocity_mps": 0.3}}, "limits.linear.velocity_mps": 0.2}}
    with pytest.raises(ConfigError, match=r"^controller\.limits\.linear\.velocity_mps is given twice"):
        describe(Choice(), twice)
