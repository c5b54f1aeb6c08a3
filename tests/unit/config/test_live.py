from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from mobile_vla.config import Config, ConfigError, changed_live, fields_of, param, section, with_values


@dataclass(frozen=True, kw_only=True)
class Axis(Config):
    speed_mps: float = param(0.5, "speed", ge=0.1, le=10, capped=True)
    timeout_s: float = param(1.0, "timeout", ge=0.1, live=True)
    width_m: float = param(0.3, "width", ge=0.1)


@dataclass(frozen=True, kw_only=True)
class Robot(Config):
    axis: Axis = section(Axis)

    def cross_check(self) -> None:
        if self.axis.speed_mps * self.axis.timeout_s > 2.0:
            raise ConfigError("speed_mps x timeout_s must be <= 2 m; lower one")


STARTED = with_values(Robot(), {"axis.speed_mps": 0.8})


def test_a_capped_value_is_lowered_and_raised_again_up_to_its_value_at_the_start() -> None:
    slow = changed_live(STARTED, STARTED, {"axis.speed_mps": 0.2})
    assert slow.axis.speed_mps == 0.2
    assert changed_live(STARTED, slow, {"axis.speed_mps": 0.8}) == STARTED


def test_a_capped_value_is_not_raised_beyond_its_value_at_the_start() -> None:
    slow = changed_live(STARTED, STARTED, {"axis.speed_mps": 0.2})
    for current in (STARTED, slow):
        with pytest.raises(ConfigError) as caught:
            changed_live(STARTED, current, {"axis.speed_mps": 0.9})
        assert str(caught.value) == (
            "axis.speed_mps must be <= 0.8, the value this node was started with, got 0.9; set it in the robot file "
            "(or with --set) and restart the node"
        )


def test_a_value_just_above_its_value_at_the_start_is_shown_with_every_digit() -> None:
    with pytest.raises(ConfigError, match=r"must be <= 0\.8, the value .* got 0\.80000001; set it"):
        changed_live(STARTED, STARTED, {"axis.speed_mps": 0.80000001})


def test_other_live_values_move_both_ways_and_fixed_ones_do_not() -> None:
    assert changed_live(STARTED, STARTED, {"axis.timeout_s": 2.0}).axis.timeout_s == 2.0
    with pytest.raises(ConfigError, match=r"axis\.width_m cannot be changed while the node runs; restart it with"):
        changed_live(STARTED, STARTED, {"axis.width_m": 0.2})


@pytest.mark.parametrize("value", ["fast", math.nan, True])
def test_what_is_no_speed_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="speed_mps must be a"):
        changed_live(STARTED, STARTED, {"axis.speed_mps": value})


def test_the_result_is_validated_as_a_whole() -> None:
    with pytest.raises(ConfigError, match="must be <= 2 m"):
        changed_live(STARTED, STARTED, {"axis.timeout_s": 5.0})


def test_a_capped_field_is_live() -> None:
    kinds = {field.name: (field.live, field.capped) for field in fields_of(Robot)}
    assert kinds == {"axis.speed_mps": (True, True), "axis.timeout_s": (True, False), "axis.width_m": (False, False)}
