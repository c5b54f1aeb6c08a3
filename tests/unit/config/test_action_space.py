from __future__ import annotations

import pytest

from mobile_vla.config.action_space import ACTION_SPACES, Velocity, spaces_of_base

PAIR = (0.5, -0.25)


@pytest.mark.parametrize(
    ("name", "twist"),
    [
        ("diff", Velocity(0.5, 0.0, -0.25)),
        ("omni", Velocity(0.5, -0.25, 0.0)),
        ("ackermann", Velocity(0.5, 0.0, -0.25)),
    ],
)
def test_two_numbers_become_a_motion_and_back(name: str, twist: Velocity) -> None:
    space = ACTION_SPACES[name]
    assert space.to_twist(PAIR) == twist
    assert space.from_twist(twist) == PAIR
    assert tuple(twist[index] for index in space.components) == PAIR


def test_the_axes_of_a_space_name_its_two_numbers() -> None:
    axes = {name: (space.axes, space.sideways) for name, space in ACTION_SPACES.items()}
    assert axes == {
        "diff": (("linear", "angular"), False),
        "omni": (("linear", "lateral"), True),
        "ackermann": (("linear", "angular"), False),
    }


@pytest.mark.parametrize(
    ("kind", "spaces"), [("diff", ["diff"]), ("omni", ["omni", "diff"]), ("ackermann", ["ackermann"])]
)
def test_a_base_can_do_its_own_space_first(kind: str, spaces: list[str]) -> None:
    assert spaces_of_base(kind) == spaces
