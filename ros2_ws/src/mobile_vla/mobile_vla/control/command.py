"""What the gate says: the command with its explanation, and answers to operators."""

from __future__ import annotations

from typing import NamedTuple

from mobile_vla.config.action_space import Velocity
from mobile_vla.control.modes import Mode


class Ages(NamedTuple):
    """Ages in seconds; None where nothing ever came. `action` counts from the camera stamp."""

    action: float | None
    teleop: float | None
    scan: float | None
    range: float | None
    odometry: float | None
    policy: float | None


class Command(NamedTuple):
    """One tick's result.

    `publish` is false only when the output may be silent. `linear_x`, `linear_y` in m/s, `angular_z` in rad/s (or rad,
    for an Ackermann base that takes the angle). `source` is `policy`, a teleop source or `none`; `reason` is a key of
    `modes.REASONS`. `target` is what was asked for before limits. `action_stamp_ns` is the image stamp of the action in
    use, 0 when none is.
    While `reset_policy` is not 0, the caller asks the policy to clear its recurrent state and answers with that number.
    """

    publish: bool
    linear_x: float
    linear_y: float
    angular_z: float
    mode: Mode
    source: str
    reason: str
    target: Velocity
    ages: Ages
    action_stamp_ns: int
    reset_policy: int


class Outcome(NamedTuple):
    """Answer to an operator: done or refused, and a sentence."""

    ok: bool
    message: str
