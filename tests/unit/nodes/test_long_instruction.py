"""A sentence that is too long reaches no policy, ends no node and changes no motion; it is said once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from mobile_vla.bags.episodes import EpisodeMarker
from mobile_vla.config import ConfigError
from mobile_vla.config.instruction import MAX_CHARACTERS
from mobile_vla.engine.config import InferenceConfig
from mobile_vla_nodes.controller_inputs import ControllerInputs
from mobile_vla_nodes.inference import InferenceNode
from mobile_vla_nodes.recorder import RecorderNode


class Node(SimpleNamespace):
    """What the callback uses of the node."""

    def __init__(self) -> None:
        told: list[str] = []
        warned: list[str] = []
        logger = SimpleNamespace(warning=warned.append, info=lambda text: None)
        super().__init__(
            told=told,
            warned=warned,
            get_logger=lambda: logger,
            _worker=SimpleNamespace(instruct=told.append),
            _wanted_instruction="",
            _refused_instruction="",
        )

    def hear(self, text: str) -> None:
        node: Any = self
        InferenceNode._on_instruction(node, String(data=text))


def test_a_sentence_that_is_too_long_leaves_the_one_that_is_followed() -> None:
    node = Node()
    node.hear("go to the door")
    for length in (MAX_CHARACTERS + 1, 100_000):
        node.hear("x" * length)
    assert node.told == ["go to the door"]
    assert node._wanted_instruction == "go to the door"
    assert node.warned == ["the instruction is 1001 characters long, at most 1000 are followed; shorten it"]
    assert node._refused_instruction.startswith("the instruction is 100000 characters long")


def test_the_next_sentence_is_followed_again() -> None:
    node = Node()
    node.hear("x" * (MAX_CHARACTERS + 1))
    node.hear("x" * MAX_CHARACTERS)
    assert node.told == ["x" * MAX_CHARACTERS]
    assert node._refused_instruction == ""


def test_the_controller_goes_on_with_the_actions_it_has() -> None:
    changes: list[int] = []
    inputs: Any = SimpleNamespace(
        _instruction=None,
        refused_instruction="",
        _gate=SimpleNamespace(instruction_changed=changes.append),
        _now=lambda: 1,
    )

    def hear(text: str) -> None:
        ControllerInputs._on_instruction(inputs, String(data=text))

    hear("go to the door")
    hear("x" * (MAX_CHARACTERS + 1))
    assert changes == [1]
    assert inputs.refused_instruction.startswith("the instruction is 1001 characters long")
    hear("go to the door")
    assert changes == [1]
    assert inputs.refused_instruction == ""


def test_the_recorder_ends_no_episode_for_it() -> None:
    marks: list[Any] = []
    node: Any = SimpleNamespace(_episodes=EpisodeMarker(), _mark=marks.extend)
    node._episodes.on_mode("autonomy", 1)
    for text in ("go to the door", "x" * (MAX_CHARACTERS + 1)):
        RecorderNode._on_instruction(node, serialize_message(String(data=text)), 2)
    assert [(mark.begins, mark.instruction) for mark in marks] == [(False, ""), (True, "go to the door")]


def test_a_parameter_is_bounded_too() -> None:
    InferenceConfig(instruction="x" * MAX_CHARACTERS)
    with pytest.raises(ConfigError, match="the instruction is 1001 characters long"):
        InferenceConfig(instruction="x" * (MAX_CHARACTERS + 1))
