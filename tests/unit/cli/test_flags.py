"""Parsing of values on the command line."""

from __future__ import annotations

import argparse

import pytest

from mobile_vla.config import ConfigError
from mobile_vla.train.head.config import FitConfig
from mobile_vla_cli.flags import add_config_flags, config_from, overrides_from


@pytest.mark.parametrize(("text", "value"), [("3e-4", 3e-4), ("1E-3", 1e-3), ("0.002", 0.002), ("3.0e-4", 3e-4)])
def test_a_rate_may_be_written_as_a_power_of_ten(text: str, value: float) -> None:
    parser = argparse.ArgumentParser()
    add_config_flags(parser, FitConfig, "fit")
    assert config_from(parser.parse_args(["--rate", text]), FitConfig).rate == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e3", 1000.0), ("e5", "e5"), ("1e", "1e"), ("12", 12), ("true", True), ("yes", "yes"), ("1:30", "1:30")],
)
def test_what_is_set_keeps_its_type(text: str, value: object) -> None:
    args = argparse.Namespace(overrides=[f"node.name={text}"])
    found = overrides_from(args)["node"]["name"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0640", '"0640" is another number to other readers'),
        ("010", "write it in decimal"),
        ("1_0", "write it in decimal"),
        ("0x20", "write it in decimal"),
        ("9" * 5000, "the text is 5000 characters long"),
        ("9" * 4000, "an integer of 4000 digits"),
        ("[" * 3000, "more than 20 levels of nesting"),
        ("!!int abc", "the tag 'tag:yaml.org,2002:int' is not read"),
        ("!!timestamp x", "the tag 'tag:yaml.org,2002:timestamp' is not read"),
        ("{", "not valid YAML at line 1"),
    ],
)
def test_what_a_settings_file_refuses_is_refused_after_set(text: str, reason: str) -> None:
    args = argparse.Namespace(overrides=[f"camera.width_px={text}"])
    with pytest.raises(ConfigError) as refused:
        overrides_from(args)
    assert str(refused.value).startswith("--set camera.width_px: ")
    assert reason in str(refused.value)


def test_a_date_after_set_is_a_text() -> None:
    args = argparse.Namespace(overrides=["controller.output.stamped=2024-13-45"])
    assert overrides_from(args) == {"controller": {"output.stamped": "2024-13-45"}}


def test_a_flag_of_a_configuration_is_read_like_a_settings_file() -> None:
    parser = argparse.ArgumentParser()
    add_config_flags(parser, FitConfig, "fit")
    with pytest.raises(ConfigError, match="--rate: an integer of 4000 digits"):
        config_from(parser.parse_args(["--rate", "9" * 4000]), FitConfig)


def test_a_parameter_that_is_set_twice_is_refused() -> None:
    args = argparse.Namespace(overrides=["controller.rate_hz=30", "camera.rate_hz=20", "controller.rate_hz=50"])
    with pytest.raises(ConfigError) as refused:
        overrides_from(args)
    assert str(refused.value) == "--set controller.rate_hz is given twice; remove one of them, none is preferred"
