"""The recorder's first and last sentence."""

from __future__ import annotations

from pathlib import Path

from mobile_vla.bags.config import RecorderConfig
from mobile_vla_nodes.recorder_text import ending, plan

BAG = Path("recordings/lab")


def test_the_first_sentence_names_the_folder_of_the_bag() -> None:
    assert plan(RecorderConfig(name="lab")) == "recording into recordings/lab until the process ends"
    assert "recordings/vla_<date>_<time>" in plan(RecorderConfig())
    ring = plan(RecorderConfig(name="lab", continuous=False, ring_s=30.0))
    assert ring == "keeping the last 30 s in memory; the service recorder/save writes them into recordings/lab"


def test_the_last_sentence_counts_the_messages() -> None:
    assert ending(BAG, 7, {"/cmd_vel", "/diagnostics"}) == "bag complete: recordings/lab, 7 messages"


def test_a_bag_without_a_robot_says_that_it_is_empty() -> None:
    said = ending(BAG, 3, {"/diagnostics"})
    assert said.startswith("bag complete: recordings/lab, 3 messages; no message was recorded of a robot")
    assert ending(None, 0, ()).startswith("no message was recorded of a robot")
