from __future__ import annotations

import math

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.config_motion import Action, Base
from mobile_vla.control.decode import ON_PLANE, OffPlane, check_planar, check_teleop, decode_action, output_turn

DIFF = Action(space="diff", linear_mps=0.3, turn_radps=0.8)
OMNI = Action(space="omni", linear_mps=0.3, lateral_mps=0.2)
ACKERMANN = Action(space="ackermann", linear_mps=0.4, steering_rad=0.5)


@pytest.mark.parametrize(
    ("config", "action", "expected"),
    [
        (DIFF, (1.0, 0.0, -0.5), (0.3, 0.0, -0.4)),
        (DIFF, (-0.5, 0.0, 1.0), (-0.15, 0.0, 0.8)),
        (DIFF, (1.005, 0.0, -1.005), (0.3, 0.0, -0.8)),
        (OMNI, (0.5, -1.0, 0.0), (0.15, -0.2, 0.0)),
        (ACKERMANN, (0.5, 0.0, 0.2), (0.2, 0.0, 0.1)),
    ],
)
def test_scales_to_the_robot(config: Action, action: tuple[float, ...], expected: tuple[float, ...]) -> None:
    assert decode_action(config.space, Velocity(*action), config) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("config", "frame_id", "action", "code"),
    [
        (DIFF, "omni", (0.1, 0.0, 0.0), "action.wrong_space"),
        (DIFF, "", (0.1, 0.0, 0.0), "action.wrong_space"),
        (DIFF, "diff", (math.nan, 0.0, 0.0), "action.not_finite"),
        (DIFF, "diff", (0.1, math.nan, 0.0), "action.not_finite"),
        (DIFF, "diff", (0.1, 0.0, math.inf), "action.not_finite"),
        (DIFF, "diff", (1e300, 0.0, 0.0), "action.out_of_range"),
        (DIFF, "diff", (1.02, 0.0, 0.0), "action.out_of_range"),
        (DIFF, "diff", (0.1, 0.0, -1.02), "action.out_of_range"),
        (DIFF, "diff", (0.1, 0.001, 0.0), "action.out_of_range"),
        (OMNI, "omni", (0.1, 0.0, 0.1), "action.out_of_range"),
        (ACKERMANN, "ackermann", (0.1, 0.1, 0.1), "action.out_of_range"),
    ],
)
def test_refuses_what_it_must_not_use(config: Action, frame_id: str, action: tuple[float, ...], code: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode_action(frame_id, Velocity(*action), config)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("off_plane", "parts"),
    [
        (OffPlane(0.5, 0.0, 0.0), "linear_z 0.5"),
        (OffPlane(0.0, -0.1, 2.0), "angular_x -0.1, angular_y 2"),
        (OffPlane(0.0, math.nan, 0.0), "angular_x nan"),
    ],
)
def test_refuses_a_motion_off_the_ground_and_names_it(off_plane: OffPlane, parts: str) -> None:
    with pytest.raises(Rejected) as caught:
        check_planar("web", off_plane)
    assert (caught.value.code, str(caught.value)) == (
        "web.off_plane",
        f"web sets {parts}; a robot on the ground has no such motion",
    )
    check_planar("web", ON_PLANE)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -5.1])
@pytest.mark.parametrize("axis", [0, 2])
def test_refuses_what_no_person_means(value: float, axis: int) -> None:
    values = [0.0, 0.0, 0.0]
    values[axis] = value * 3
    with pytest.raises(Rejected):
        check_teleop("joy", Velocity(*values), ControllerConfig())


def test_a_person_may_ask_for_more_than_the_limit_and_the_limiter_cuts_it() -> None:
    assert check_teleop("joy", Velocity(4.9, 0.2, 9.0), ControllerConfig()) == Velocity(4.9, 0.0, 9.0)
    omni = with_values(ControllerConfig(), {"base.kind": "omni"})
    assert check_teleop("joy", Velocity(0.1, 0.2, 0.3), omni) == Velocity(0.1, 0.2, 0.3)


@pytest.mark.parametrize(("kind", "most"), [("diff", 10.0), ("omni", 10.0), ("ackermann", 5.0)])
def test_ten_times_the_limit_of_the_turning_axis_is_the_most_a_person_can_mean(kind: str, most: float) -> None:
    config = with_values(ControllerConfig(), {"base.kind": kind, "action.space": kind})
    for turn in (most, -most):
        assert check_teleop("joy", Velocity(0.0, 0.0, turn), config) == Velocity(0.0, 0.0, turn)
        with pytest.raises(Rejected, match=f"joy sent {turn * 1.01:g}, more than 10 times the limit") as caught:
            check_teleop("joy", Velocity(0.0, 0.0, turn * 1.01), config)
        assert caught.value.code == "joy.implausible"


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (Base(kind="diff"), 0.4),
        (Base(kind="ackermann", ackermann_output="angle"), 0.4),
        (Base(kind="ackermann", wheelbase_m=0.5), 2.0 * math.tan(0.4) / 0.5),
    ],
)
def test_angular_z(base: Base, expected: float) -> None:
    assert output_turn(2.0, 0.4, base) == pytest.approx(expected)
