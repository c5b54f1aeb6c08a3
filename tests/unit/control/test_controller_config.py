from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_vla.config import ConfigError, changed_live, fields_of, from_mapping, to_mapping, with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.control.limits import AxisLimiter


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"limits.linear.velocity_mps": -0.5}, "velocity_mps must be >= 0.01, got -0.5; raise it"),
        ({"limits.turn.jerk_radps3": 0.0}, "jerk_radps3 must be >= 1, got 0; raise it"),
        ({"limits.linear.decel_mps2": float("nan")}, "finite"),
        ({"limits.handover.accel_share": 1.5}, "accel_share must be <= 1"),
        ({"teleop.joy.timeout_s": 0.1}, r"timeout_s must be >= 2.5 x period_s \(0.125 s\), got 0.1; raise"),
        ({"teleop.web.priority": 20}, "web.priority must differ from keyboard.priority, got 20"),
        ({"teleop.dwell_s": 0.1}, "dwell_s must be >= joy.timeout_s"),
        ({"staleness.action_max_s": 0.2}, "action_max_s must be >= action_min_s"),
        ({"staleness.action_min_s": 0.05}, "action_min_s must be >= 2.5 x the tick period"),
        ({"rate_hz": 5.0}, "action_min_s must be >= 2.5 x the tick period"),
        ({"range_guard.timeout_s": 0.11, "rate_hz": 20.0}, "range_guard.timeout_s must be >= 2.5 x the tick period"),
        ({"output.silence_s": 0.1, "rate_hz": 20.0}, "output.silence_s must be >= 2.5 x the tick period"),
        ({"staleness.future_s": 0.4}, r"future_s must be <= action_min_s \(0.3 s\), got 0.4; lower it"),
        ({"teleop.joy.frozen_s": 0.2}, r"joy.frozen_s must be 0 \(off\) or >= timeout_s \(0.25 s\), got 0.2"),
        (
            {"limits.linear.decel_mps2": 0.1, "limits.linear.velocity_mps": 0.8},
            r"linear.decel_mps2 \(0.1\) .*within braking_m \(2.5 m\) from 0.8 m/s, got 3.2 m; raise them, lower",
        ),
        ({"limits.lateral.decel_mps2": 0.1, "limits.lateral.reverse_mps": 0.8}, "lateral.decel_mps2"),
        ({"limits.linear.jerk_mps3": 0.5, "limits.linear.velocity_mps": 2.0}, "limits.linear.decel_mps2"),
        (
            {
                "limits.linear.velocity_mps": 2.0,
                "limits.handover.decel_share": 0.5,
                "limits.handover.velocity_share": 1.0,
            },
            "must stop the robot within braking_m",
        ),
        (
            {"limits.turn.velocity_radps": 4.0, "limits.turn.decel_radps2": 2.0},
            "must stop the turn within 3.14 rad from 4 rad/s, got 4.1 rad",
        ),
        (
            {"limits.steering.angle_rad": 1.0, "limits.steering.rate_radps": 0.3},
            "must straighten the wheels within 3 s from 1 rad, got 3.35 s",
        ),
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


def test_every_speed_rate_and_time_has_a_lower_and_an_upper_bound() -> None:
    unbounded = [
        field.name
        for field in fields_of(ControllerConfig)
        if field.type in (float, int) and (field.le is None or (field.ge is None and field.gt is None))
    ]
    assert unbounded == []


@pytest.mark.parametrize(
    "name",
    [
        field.name
        for field in fields_of(ControllerConfig)
        if field.name.startswith("limits.") and field.name.endswith(("mps2", "mps3", "radps2", "radps3", "rate_radps"))
    ],
)
@pytest.mark.parametrize("value", [1e-6, 0.0, -1.0, 1e9])
def test_no_rate_may_be_so_low_that_it_does_not_brake_nor_without_limit(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} must be [<>]= .*, got .*; (raise|lower) it"):
        with_values(ControllerConfig(), {name: value})


@given(st.floats(0.01, 10), st.floats(0.1, 50), st.floats(0.5, 10_000), st.floats(0.05, 1), st.floats(0.5, 1))
def test_whatever_is_accepted_brakes_within_the_stated_distance(
    velocity: float, decel: float, jerk: float, share: float, decel_share: float
) -> None:
    """From constant speed, stepped as the gate does; landing costs some ticks at the end, at nearly no speed."""
    values = {
        "limits.linear.velocity_mps": velocity,
        "limits.linear.decel_mps2": decel,
        "limits.linear.jerk_mps3": jerk,
    }
    values |= {"limits.handover.jerk_share": share, "limits.handover.decel_share": decel_share}
    values |= {"action.linear_mps": min(0.3, velocity)}
    try:
        config = with_values(ControllerConfig(), values)
    except ConfigError:
        return
    limiter = AxisLimiter(config.limits.linear.axis)
    limiter.velocity = velocity
    distance, period_s = 0.0, config.period_s
    for _ in range(round(60 / period_s)):
        distance += limiter.step(0.0, period_s, config.limits.linear.axis) * period_s
        if limiter.at_rest:
            break
    assert limiter.at_rest
    # The limiter begins one step of the jerk later than in continuous time, and ends softly.
    assert distance <= config.limits.braking_m + velocity * 6 * period_s


def test_limits_of_velocity_and_acceleration_are_not_raised_while_the_node_runs() -> None:
    """Braking limits may be raised: that shortens the way to standstill."""
    capped = {field.name for field in fields_of(ControllerConfig) if field.capped}
    linear = {f"limits.{axis}.{name}" for axis in ("linear", "lateral") for name in ("velocity_mps", "reverse_mps")}
    rates = {"limits.linear.accel_mps2", "limits.lateral.accel_mps2", "limits.turn.accel_radps2"}
    turning = {"limits.turn.velocity_radps", "limits.steering.angle_rad", "limits.steering.rate_radps"}
    assert capped == linear | rates | turning | {"range_guard.unseen_mps"}


@pytest.mark.parametrize("name", [field.name for field in fields_of(ControllerConfig) if field.capped])
def test_a_limit_is_not_raised_beyond_its_value_at_the_start(name: str) -> None:
    started = ControllerConfig()
    at_start = to_mapping(started)[name]
    assert isinstance(at_start, float)
    for value in (at_start * 1.001, 10.0):
        refused = rf"^{name} must be <= {at_start:g}, the value this node was started with, got {value:g}; set it in"
        with pytest.raises(ConfigError, match=refused):
            changed_live(started, started, {name: value})


FAST = {"action.linear_mps": 2.0, "limits.linear.velocity_mps": 2.0, "limits.linear.decel_mps2": 4.0}
FAST |= {"limits.linear.jerk_mps3": 60.0}


def test_the_way_driven_on_one_picture_is_bounded() -> None:
    assert ControllerConfig().blind_m == pytest.approx(0.3 * (1.0 + 1 / 30), rel=1e-9)  # only rounding of doubles
    with pytest.raises(ConfigError) as caught:
        with_values(ControllerConfig(), FAST)
    assert str(caught.value) == (
        "limits.blind_m must be >= 2.07 m, the way the policy drives on one picture (2 m/s x 1.03 s), got 1; lower "
        "action.linear_mps or staleness.action_max_s, use the range guard, or raise limits.blind_m where nobody can "
        "step into the way"
    )
    with_values(ControllerConfig(), {**FAST, "limits.blind_m": 2.1})
    with_values(ControllerConfig(), {**FAST, "staleness.action_max_s": 0.4})
    with pytest.raises(ConfigError, match="blind_m must be >= "):
        with_values(ControllerConfig(), {"staleness.action_max_s": 3.5})


def test_the_range_guard_covers_the_way_in_which_it_slows() -> None:
    guarded = {**FAST, "range_guard.use_scan": True}
    with_values(ControllerConfig(), guarded)
    with pytest.raises(ConfigError, match=r"blind_m must be >= 6\.07 m.*raise range_guard.slow_ttc_s"):
        with_values(ControllerConfig(), {**guarded, "staleness.action_max_s": 3.0})
    with pytest.raises(ConfigError, match="blind_m"):
        changed_live(
            with_values(ControllerConfig(), guarded),
            with_values(ControllerConfig(), guarded),
            {"range_guard.use_scan": False},
        )


def test_the_speed_of_the_policy_counts_both_axes_of_an_omnidirectional_base() -> None:
    omni = {"base.kind": "omni", "action.space": "omni", "action.linear_mps": 0.3, "action.lateral_mps": 0.3}
    assert with_values(ControllerConfig(), omni).policy_mps == pytest.approx(0.3 * math.sqrt(2), rel=1e-9)


def test_geometry_is_fixed_while_the_node_runs() -> None:
    geometry = {"base.kind", "base.wheelbase_m", "base.ackermann_output", "action.space"}
    geometry |= {f"range_guard.{name}_m" for name in ("half_width", "front", "rear", "scan_x", "scan_y", "range_x")}
    geometry |= {"range_guard.scan_yaw_rad", "rate_hz"}
    live = {field.name: field.live for field in fields_of(ControllerConfig)}
    assert {name: live[name] for name in geometry} == dict.fromkeys(geometry, False)


def test_every_setting_says_what_it_is() -> None:
    for field in fields_of(ControllerConfig):
        assert len(field.help) > 10, field.name
