"""What a person at the keyboard reads."""

from __future__ import annotations

import pytest

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.teleop.keyboard_text import HELP, farewell, live_line


def test_the_live_line_names_its_columns() -> None:
    line = live_line(("disarmed", "none", "disarmed"), STILL, in_control=False, speed=1.0)
    assert line == "mode disarmed, source none, reason disarmed | you: hands off | speed 100%"
    assert len(line) < 80


def test_the_live_line_without_a_controller_says_only_that() -> None:
    line = live_line(("no controller", "", ""), Velocity(0.2, 0.1, 0.0), in_control=True, speed=0.5)
    assert line == "no controller | you: +0.20 m/s left +0.10 +0.00 rad/s | speed 50%"


@pytest.mark.parametrize(
    ("in_control", "disarms", "words"),
    [(True, True, "disarming the robot"), (True, False, "handed back"), (False, True, "had no control")],
)
def test_quitting_says_what_becomes_of_the_robot(in_control: bool, disarms: bool, words: str) -> None:
    assert words in farewell(in_control=in_control, disarms=disarms)


def test_the_help_on_the_screen_has_the_sideways_keys() -> None:
    assert "Shift and a turning key" in HELP
