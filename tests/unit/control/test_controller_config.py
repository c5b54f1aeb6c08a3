from __future__ import annotations

from typing import Any

import pytest

from mobile_vla.config import ConfigError, fields_of, from_mapping, with_values
from mobile_vla.control import ControllerConfig


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"limits.linear.velocity_mps": -0.5}, "velocity_mps must be > 0, got -0.5"),
        ({"limits.turn.jerk_radps3": 0.0}, "jerk_radps3 must be > 0, got 0"),
        ({"limits.linear.decel_mps2": float("nan")}, "finite"),
        ({"limits.handover.accel_share": 1.5}, "accel_share must be <= 1"),
        ({"teleop.joy.timeout_s": 0.1}, r"timeout_s must be >= 2.5 x period_s \(0.125 s\), got 0.1; raise"),
        ({"teleop.web.priority": 20}, "web.priority must differ from keyboard.priority, got 20"),
        ({"teleop.dwell_s": 0.1}, "dwell_s must be >= joy.timeout_s"),
        ({"staleness.action_max_s": 0.2}, "action_max_s must be >= action_min_s"),
        ({"staleness.action_min_s": 0.05}, "action_min_s must be >= 2.5 x the tick period"),
        ({"rate_hz": 5.0}, "action_min_s must be >= 2.5 x the tick period"),
        ({"range_guard.timeout_s": 0.01}, "range_guard.timeout_s must be >= 2.5 x the tick period"),
        ({"base.kind": "ackermann"}, "action.space must be ackermann for base.kind ackermann, got diff"),
        ({"action.space": "omni"}, "action.space must be diff for base.kind diff, got omni"),
        ({"action.linear_mps": 0.6}, r"action.linear_mps must be <= limits.linear.velocity_mps \(0.5\), got 0.6"),
        ({"action.turn_radps": 2.0}, "action.turn_radps must be <= limits.turn.velocity_radps"),
        ({"base.kind": "ackermann", "action.space": "ackermann", "action.steering_rad": 0.6}, "action.steering_rad"),
        ({"base.kind": "omni", "action.space": "omni", "action.lateral_mps": 0.6}, "action.lateral_mps"),
        (
            {"range_guard.use_scan": True, "range_guard.slow_ttc_s": 0.3},
            "slow_ttc_s must be >= 0.467 s, the time limits.linear",
        ),
        ({"estop.reset_delay_s": 0.1}, "reset_delay_s must be >= 0.5"),
        ({"output.zeros_s": 0.5}, "zeros_s must be >= 1"),
        ({"output.idle": "quiet"}, "idle must be one of hold_zero, silent"),
        ({"staleness.action_min": 0.3}, "did you mean 'action_min_s'"),
    ],
)
def test_wrong_settings_are_refused_with_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        with_values(ControllerConfig(), values)


@pytest.mark.parametrize(
    "values",
    [
        {"base.kind": "omni", "action.space": "omni"},
        {"base.kind": "omni"},
        {"base.kind": "ackermann", "action.space": "ackermann"},
        {"teleop.web.priority": 20, "teleop.web.enabled": False},
        {"action.lateral_mps": 5.0},
        {"range_guard.use_scan": True, "range_guard.slow_ttc_s": 0.5},
    ],
)
def test_settings_that_fit_together(values: dict[str, Any]) -> None:
    with_values(ControllerConfig(), values)


def test_one_changed_value_keeps_the_defaults_beside_it() -> None:
    config = from_mapping(
        ControllerConfig, {"teleop": {"joy": {"timeout_s": 0.3}}, "limits": {"lateral": {"jerk_mps3": 9.0}}}, "t"
    )
    assert config.teleop.joy.priority == 30
    assert config.limits.lateral.velocity_mps == 0.3


def test_geometry_is_fixed_while_the_node_runs() -> None:
    geometry = {"base.kind", "base.wheelbase_m", "base.ackermann_output", "action.space"}
    geometry |= {f"range_guard.{name}_m" for name in ("half_width", "front", "rear", "scan_x", "scan_y", "range_x")}
    geometry |= {"range_guard.scan_yaw_rad", "rate_hz"}
    live = {field.name: field.live for field in fields_of(ControllerConfig)}
    assert {name: live[name] for name in geometry} == dict.fromkeys(geometry, False)


def test_every_setting_says_what_it_is() -> None:
    for field in fields_of(ControllerConfig):
        assert len(field.help) > 10, field.name
