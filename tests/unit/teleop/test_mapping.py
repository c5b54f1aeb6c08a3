"""Mapping files: the shipped ones are right in form, wrong ones are one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_yaml import HOSTILE

from mobile_vla.config import ConfigError
from mobile_vla.errors import UserError
from mobile_vla.resources import named_files
from mobile_vla.teleop.config import GamepadConfig, KeyboardConfig
from mobile_vla.teleop.mapping import load_mapping

GOOD = "forward: {axis: 1}\nturn: {axis: 3}\nbuttons: {deadman: 4, estop: 1}\n"


@pytest.mark.parametrize("name", sorted(named_files("teleop")))
def test_every_shipped_mapping(name: str) -> None:
    mapping = load_mapping(name)
    assert set(mapping.axes()) == {"forward", "left", "turn"}
    assert set(mapping.buttons.used()) == {"deadman", "turbo", "estop", "reset_estop", "arm", "hand_back", "save"}
    assert mapping.axis_count >= 6
    assert "On no hardware" in mapping.tried
    assert mapping.description


def test_all_common_pads_have_one() -> None:
    assert set(named_files("teleop")) >= {"xbox", "playstation", "f710", "switch_pro", "game_controller"}


def test_a_minimal_mapping(tmp_path: Path) -> None:
    path = tmp_path / "pad.yaml"
    path.write_text(GOOD)
    assert set(load_mapping(str(path)).axes()) == {"forward", "turn"}


def test_a_number_with_an_exponent_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "pad.yaml"
    path.write_text(GOOD + "dead_zone: 5e-2")
    assert load_mapping(str(path)).dead_zone == 5e-2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("turn: {axis: 3}\nbuttons: {deadman: 4, estop: 1}", "forward.axis is missing"),
        ("forward: {axis: 1}\nbuttons: {deadman: 4, estop: 1}", "turn.axis is missing"),
        ("forward: {axis: 1}\nturn: {axis: 3}\nbuttons: {estop: 1}", "buttons.deadman is missing"),
        ("forward: {axis: 1}\nturn: {axis: 3}\nbuttons: {deadman: 4}", "buttons.estop is missing"),
        (GOOD + "left: {axis: 1}", "left.axis must differ from forward.axis, got 1 for both"),
        (GOOD.replace("estop: 1", "estop: 4"), "buttons.estop must differ from buttons.deadman, got 4"),
        (GOOD + "axis_count: 3", "turn.axis must be < axis_count (3), got 3"),
        (GOOD.replace("axis: 1}", "axis: -2}"), "forward.axis must be >= -1, got -2"),
        (GOOD.replace("axis: 1}", "axis: one}"), "forward.axis must be a whole number, got 'one'"),
        (GOOD + "dead_zone: 0.9", "dead_zone must be <= 0.5, got 0.9"),
        (GOOD + "deadzone: 0.1", "unknown name 'deadzone' with value 0.1; did you mean 'dead_zone'?"),
        (GOOD.replace("axis: 3", "axes: 3"), "unknown name 'turn.axes' with value 3; did you mean 'axis'?"),
        ("- a", "must be a group of `name: value` lines, got ['a']"),
        ("", "must be a group of `name: value` lines, got None"),
        ("forward: {axis: 1", "is not valid YAML"),
        (GOOD + "turn: {axis: 5}", '"turn" was given in line 2 already'),
        ("\x00", "is not valid YAML"),
    ],
)
def test_wrong_mappings_are_one_sentence_with_the_file(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "pad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_mapping(str(path))
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_one_sentence_with_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pad.yaml"
    HOSTILE[kind](path)
    with pytest.raises(UserError) as caught:
        load_mapping(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_unknown_pads() -> None:
    with pytest.raises(UserError, match="unknown teleop 'xbx'; did you mean 'xbox'"):
        load_mapping("xbx")


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigError, match=r"timeout_s must be >= 2.5 x the driver's period \(0.125 s\), got 0.1"):
        GamepadConfig(timeout_s=0.1)
    with pytest.raises(ConfigError, match="set source: device"):
        GamepadConfig(device="/dev/input/js1")
    with pytest.raises(ConfigError, match=r"first_hold_s must be >= repeat_hold_s \(0.25 s\), got 0.2"):
        KeyboardConfig(first_hold_s=0.2)
