"""Values on the command line become numbers where a person means numbers."""

from __future__ import annotations

import argparse

import pytest

from mobile_vla.train.head.config import FitConfig
from mobile_vla_cli.flags import add_config_flags, config_from, overrides_from


@pytest.mark.parametrize(("text", "value"), [("3e-4", 3e-4), ("1E-3", 1e-3), ("0.002", 0.002), ("3.0e-4", 3e-4)])
def test_a_rate_may_be_written_as_a_power_of_ten(text: str, value: float) -> None:
    parser = argparse.ArgumentParser()
    add_config_flags(parser, FitConfig, "fit")
    assert config_from(parser.parse_args(["--rate", text]), FitConfig).rate == value


@pytest.mark.parametrize(
    ("text", "value"), [("1e3", 1000.0), ("e5", "e5"), ("1e", "1e"), ("12", 12), ("true", True), ("a: [", "a: [")]
)
def test_what_is_set_keeps_its_type(text: str, value: object) -> None:
    args = argparse.Namespace(overrides=[f"node.name={text}"])
    found = overrides_from(args)["node"]["name"]
    assert (found, type(found)) == (value, type(value))
