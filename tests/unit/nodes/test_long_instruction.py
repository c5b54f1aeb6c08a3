"""A sentence that is too long reaches no policy, ends no node and changes no motion; it is said once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from std_msgs.msg import String

from mobile_vla.config import ConfigError
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.policy.instruction import MAX_CHARACTERS
from mobile_vla_nodes.inference import InferenceNode


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


def test_a_parameter_is_bounded_too() -> None:
    InferenceConfig(instruction="x" * MAX_CHARACTERS)
    with pytest.raises(ConfigError, match="the instruction is 1001 characters long"):
        InferenceConfig(instruction="x" * (MAX_CHARACTERS + 1))
