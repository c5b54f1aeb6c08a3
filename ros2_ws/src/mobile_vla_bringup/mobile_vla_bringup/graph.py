"""The graph as data: which nodes run, as what, with which settings. Two runners: `launch_runner`, `supervisor`.

A robot file, a policy file and a device file from config/ are laid over each other; the result is validated by the
configuration class of each node before anything starts.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mobile_vla.bags.bag_place import refuse_bag_place
from mobile_vla.bags.config import RecorderConfig
from mobile_vla.camera.calibration import load_calibration
from mobile_vla.camera.config import CameraConfig, DepthScanConfig
from mobile_vla.config import Config, ConfigError, from_mapping, param, to_mapping
from mobile_vla.config.namespace import check_namespace
from mobile_vla.config.sections import merged, read_sections
from mobile_vla.control.config import ControllerConfig
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.engine.named import card_beside, refuse_unreadable, refuse_untrained
from mobile_vla.errors import nearest
from mobile_vla.files import expanded
from mobile_vla.resources import SHIPPED_POLICY
from mobile_vla.teleop.config import GamepadConfig, KeyboardConfig
from mobile_vla.teleop.mapping import load_mapping


@dataclass(frozen=True)
class NodeKind:
    """One kind of node this project can start."""

    package: str
    executable: str
    module: str
    config: type[Config]


NODES_PACKAGE = "mobile_vla_nodes"
KINDS: dict[str, NodeKind] = {
    "controller": NodeKind(NODES_PACKAGE, "controller_node", "mobile_vla_nodes.controller", ControllerConfig),
    "inference": NodeKind(NODES_PACKAGE, "inference_node", "mobile_vla_nodes.inference", InferenceConfig),
    "camera": NodeKind(NODES_PACKAGE, "camera_node", "mobile_vla_nodes.camera", CameraConfig),
    "depth_scan": NodeKind(NODES_PACKAGE, "depth_scan_node", "mobile_vla_nodes.depth_scan", DepthScanConfig),
    "gamepad": NodeKind(NODES_PACKAGE, "gamepad_node", "mobile_vla_nodes.gamepad", GamepadConfig),
    "recorder": NodeKind(NODES_PACKAGE, "recorder_node", "mobile_vla_nodes.recorder", RecorderConfig),
}
"""In starting order: whoever commands the base comes first, and is stopped first."""
KEYBOARD = NodeKind(NODES_PACKAGE, "keyboard_node", "mobile_vla_nodes.keyboard", KeyboardConfig)
"""Needs a terminal of its own, so that no graph starts it: `vla teleop` does."""


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph. The node is named after its kind."""

    name: str
    kind: NodeKind
    config: Config

    def parameters(self) -> dict[str, Any]:
        """What differs from the defaults, as ROS parameters; floats stay floats."""
        defaults = to_mapping(self.kind.config())
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in to_mapping(self.config).items()
            if value != defaults[name]
        }


@dataclass(frozen=True)
class Graph:
    """Everything a runner needs."""

    namespace: str
    nodes: tuple[NodeSpec, ...]
    policy: str = ""
    """Name of the policy, as it was chosen."""
    respawn: bool = True

    def node(self, name: str) -> NodeSpec:
        return next(node for node in self.nodes if node.name == name)


@dataclass(frozen=True, kw_only=True)
class Choice(Config):
    """What a person chooses when starting the graph: the flags of `vla up` and the arguments of every launch file."""

    robot: str = param("sim", "robot: a name from config/robots, or a path to a YAML file")
    policy: str = param(
        "", "policy: a name from config/policies, or a path to a YAML file; empty: `small`, on a simulated robot only"
    )
    device: str = param("cpu", "computer: a name from config/devices, or a path to a YAML file")
    namespace: str = param("", "namespace of every node and topic, one per robot")
    instruction: str = param("", "the first instruction; empty: wait for one on the instruction topic")
    bag: str = param("", "record everything into this new folder; empty: do not record")
    respawn: bool = param(True, "start a process again when it ends unexpectedly")

    def cross_check(self) -> None:
        """Refuse a namespace that ends every node."""
        check_namespace(self.namespace)


def describe(choice: Choice, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Graph:
    """The graph for a choice; `overrides` (section -> values) is laid over all files. Raises `ConfigError`."""
    kinds = dict(KINDS)
    robot = read_sections("robots", choice.robot, {*kinds, "simulator"})
    overrides = overrides or {}
    _refuse_unknown_nodes(overrides, kinds, choice.robot, robot)
    policy = choice.policy or _default_policy(choice.robot, robot)
    sections = merged(
        robot,
        read_sections("policies", policy, {"inference"}),
        read_sections("devices", choice.device, {"inference"}),
        {"inference": {"instruction": choice.instruction}} if choice.instruction else {},
        _recorder_section(choice.bag),
        {section: dict(values) for section, values in overrides.items()},
    )
    if "simulator" in sections:
        kinds["simulator"] = _simulator_kind()
    names = [name for name in (*KINDS, "simulator") if _runs(name, sections)]
    where = f"robot {choice.robot}, policy {policy}, device {choice.device}"
    nodes = tuple(
        NodeSpec(name, kinds[name], from_mapping(kinds[name].config, sections.get(name, {}), f"{where}: {name}"))
        for name in names
    )
    graph = Graph(choice.namespace.strip("/"), nodes, policy, respawn=choice.respawn)
    _refuse_unreadable_files(graph)
    _refuse_unfit_policy(graph, choice.robot)
    _check_low_obstacle_coverage(graph, choice.robot)
    if choice.bag:
        recorder = graph.node("recorder").config
        assert isinstance(recorder, RecorderConfig)
        refuse_bag_place(expanded(recorder.out_dir) / recorder.name, least_free_mb=recorder.min_free_mb)
    return graph


def node_configs(robot: str) -> dict[str, Config]:
    """What a robot's file says to every kind of node that a robot has; the simulator's section is not looked at."""
    sections = read_sections("robots", robot, {*KINDS, "simulator"})
    return {
        name: from_mapping(kind.config, sections.get(name, {}), f"robot {robot}: {name}")
        for name, kind in KINDS.items()
    }


def _refuse_unknown_nodes(
    overrides: Mapping[str, Any], kinds: Mapping[str, NodeKind], name: str, robot: Mapping[str, Any]
) -> None:
    """A value for a node that will not run would be ignored, and a lower limit with it."""
    for node in overrides:
        if node not in kinds and node != "simulator":
            raise ConfigError(f"unknown node '{node}'; {nearest(node, {*kinds, 'simulator'})}")
        if node == "simulator" and node not in robot:
            raise ConfigError(
                f"simulator is set and robot {name} is not simulated; name a simulated one, or leave it out"
            )
        if node == "camera" and "simulator" in robot:
            raise ConfigError(
                f"camera is set and robot {name} is simulated, so no camera node runs; set simulator.camera instead"
            )


def _default_policy(name: str, robot: Mapping[str, Any]) -> str:
    """The shipped policy for a simulated robot; a physical robot must be told which policy drives it."""
    if "simulator" not in robot:
        raise ConfigError(f"no policy is named and robot {name} is not simulated; name one, for instance policy own")
    return SHIPPED_POLICY


def _runs(name: str, sections: Mapping[str, Any]) -> bool:
    if name == "camera":
        return "camera" in sections and "simulator" not in sections
    return name in ("controller", "inference") or name in sections


def _recorder_section(bag: str) -> dict[str, dict[str, Any]]:
    if not bag:
        return {}
    path = expanded(bag)
    return {"recorder": {"out_dir": str(path.parent), "name": path.name}}


def _refuse_unreadable_files(graph: Graph) -> None:
    """Files that a node would refuse after everything has started: weights, mapping, calibration, scenario."""
    for node in graph.nodes:
        if isinstance(node.config, GamepadConfig):
            load_mapping(node.config.mapping)
        if isinstance(node.config, CameraConfig) and node.config.calibration_file:
            load_calibration(expanded(node.config.calibration_file), node.config.camera_name)
        if isinstance(node.config, InferenceConfig):
            refuse_unreadable(node.config.checkpoint, node.config.card)
        if node.name == "simulator" and node.config.scenario:  # type: ignore[attr-defined]  # an optional package's
            scenario = importlib.import_module("mobile_vla_sim.scenario")
            scenario.scene_for(node.config, node.config.seed)  # type: ignore[attr-defined]


def _refuse_unfit_policy(graph: Graph, robot: str) -> None:
    """The inference node would refuse an untrained policy, and the controller every action of another action space; a
    person should hear it before anything starts.
    """
    inference, controller = graph.node("inference").config, graph.node("controller").config
    assert isinstance(inference, InferenceConfig)
    assert isinstance(controller, ControllerConfig)
    simulated = any(node.name == "simulator" for node in graph.nodes)
    if inference.allow_untrained and not simulated:
        raise ConfigError(
            f"checkpoint {inference.checkpoint} may be untrained and this robot is not simulated; "
            "name a trained policy without allow_untrained, or use --robot sim"
        )
    card = card_beside(inference.checkpoint, inference.card)
    refuse_untrained(inference.checkpoint, card, allowed=inference.allow_untrained)
    if card is not None and card.action_space != controller.action.space:
        raise ConfigError(
            f"policy {graph.policy} gives {card.action_space} actions and robot {robot} takes "
            f"{controller.action.space}; name a policy for {controller.action.space}, or set "
            "controller.action.space where the base can do it"
        )


def _check_low_obstacle_coverage(graph: Graph, robot: str) -> None:
    """A depth camera guards only who reads its scan and stops before low things have left the picture."""
    depth = next((node.config for node in graph.nodes if node.name == "depth_scan"), None)
    if depth is None:
        return
    controller = graph.node("controller").config
    assert isinstance(depth, DepthScanConfig)
    assert isinstance(controller, ControllerConfig)
    guard = controller.range_guard
    if not guard.use_scan:
        raise ConfigError(
            f"robot {robot} has depth_scan and controller.range_guard.use_scan is false, so nothing reads its scan; "
            "set it to true"
        )
    stops_m = guard.stop_distance_m + guard.front_m - guard.scan_x_m
    if depth.low_things_from_m > stops_m + 1e-9:
        raise ConfigError(
            f"depth_scan.low_things_from_m is {depth.low_things_from_m:g} m and robot {robot} stops {stops_m:.3g} m "
            "before the lens (range_guard.stop_distance_m + front_m - scan_x_m), when low things may have left the "
            "picture; raise stop_distance_m"
        )


def blind_warning(graph: Graph) -> str:
    """What drives on one picture without a range guard, in a sentence; empty where one is configured."""
    config = next((node.config for node in graph.nodes if node.name == "controller"), None)
    if not isinstance(config, ControllerConfig) or config.range_guard.enabled:
        return ""
    return (
        f"warning: no range guard is configured: the robot drives up to {config.blind_m:.2f} m on one picture "
        f"({config.policy_mps:g} m/s x {config.staleness.action_max_s + config.period_s:.3g} s) before it brakes; use "
        "range_guard.use_scan or use_range, or lower action.linear_mps or staleness.action_max_s"
    )


def _simulator_kind() -> NodeKind:
    """The simulator is an optional package that a robot does not have, so it is found by name."""
    try:
        config = importlib.import_module("mobile_vla_sim.config").SimulatorConfig
    except ModuleNotFoundError as error:
        raise ConfigError(
            "this robot is simulated and the package mobile_vla_sim is not installed; install it"
        ) from error
    return NodeKind("mobile_vla_sim", "simulator_node", "mobile_vla_sim.node", config)


def all_kinds() -> dict[str, NodeKind]:
    """Every kind of node, keyboard and simulator included, for reference pages and checks."""
    return {**KINDS, "keyboard": KEYBOARD, "simulator": _simulator_kind()}
