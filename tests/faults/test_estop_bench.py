"""`vla bench estop` against the real controller: every press stops it, and the figures have their shape."""

from __future__ import annotations

import json

import pytest

from mobile_vla_cli import main

BUSY_SLACK_MS = 40.0


def test_every_press_stops_the_robot(capsys: pytest.CaptureFixture[str]) -> None:
    """How fast is judged by the command itself, on a machine of its own; here the tests share it."""
    main(["bench", "estop", "--presses", "5", "--json"])
    printed = json.loads(capsys.readouterr().out)
    metrics = {metric["name"]: metric for metric in printed["figures"]}
    assert printed["command"] == "vla bench estop"
    for way in ("topic", "service"):
        assert metrics[f"{way}.presses_lost"]["value"] == 0
        assert metrics[f"{way}.stop_to_zero_ms"]["n"] == 5
        worst = metrics[f"{way}.stop_to_zero_worst_ms"]
        assert worst["value"] <= worst["target"] + BUSY_SLACK_MS
