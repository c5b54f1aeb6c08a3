"""From the policy's normalised numbers to this robot's metres and radians, and from there to the command topic."""

from __future__ import annotations

import math
from typing import NamedTuple

from mobile_vla.config.action_space import ACTION_SPACES, Velocity
from mobile_vla.control.clock import Rejected
from mobile_vla.control.config import ControllerConfig
from mobile_vla.control.config_motion import Action, Base


class OffPlane(NamedTuple):
    """The components of a Twist besides those of a motion on the ground; all zero in a command that makes sense."""

    linear_z: float
    angular_x: float
    angular_y: float


ON_PLANE = OffPlane(0.0, 0.0, 0.0)
OVERSHOOT = 0.01
IMPLAUSIBLE = 10.0


def check_planar(sender: str, off_plane: OffPlane) -> None:
    """Raises `Rejected` for a command with components that a robot on the ground does not have."""
    if any(off_plane):
        parts = ", ".join(f"{name} {value:.6g}" for name, value in off_plane._asdict().items() if value)
        raise Rejected(f"{sender}.off_plane", f"{sender} sets {parts}; a robot on the ground has no such motion")


def decode_action(frame_id: str, action: Velocity, config: Action) -> Velocity:
    """A normalised action as a velocity of this robot.

    `frame_id` names the action space: `diff` = forward and turn, `omni` = forward and left, `ackermann` = forward and
    steering. Raises `Rejected` for another space, numbers that are not finite or beyond 1, and components the space
    does not have.
    """
    if frame_id != config.space:
        raise Rejected(
            "action.wrong_space",
            f"action is for space {frame_id[:40]!r}, this robot is configured for {config.space!r}",
        )
    space = ACTION_SPACES[config.space]
    for index, value in enumerate(action):
        if not math.isfinite(value):
            raise Rejected("action.not_finite", f"action has the component {value}; it must be a number in [-1, 1]")
        if abs(value) > (1.0 + OVERSHOOT if index in space.components else 0.0):
            raise Rejected(
                "action.out_of_range", f"action component {value:.6g} is outside what space {config.space!r} allows"
            )
    first, second = (min(max(value, -1.0), 1.0) for value in space.from_twist(action))
    full_first, full_second = config.full_scale
    return space.to_twist((first * full_first, second * full_second))


def check_teleop(source: str, velocity: Velocity, config: ControllerConfig) -> Velocity:
    """A person's command, with components the base lacks removed; raises `Rejected` for what no person means."""
    limits = config.limits
    turn = limits.steering.angle_rad if config.base.steers else limits.turn.velocity_radps
    plausible = (limits.linear.velocity_mps, limits.lateral.velocity_mps, turn)
    for value, limit in zip(velocity, plausible, strict=True):
        if not math.isfinite(value):
            raise Rejected(f"{source}.not_finite", f"{source} sent the component {value}; it must be a finite number")
        if abs(value) > IMPLAUSIBLE * limit:
            raise Rejected(
                f"{source}.implausible",
                f"{source} sent {value:.6g}, more than {IMPLAUSIBLE:g} times the limit {limit:g}",
            )
    return velocity if config.base.moves_sideways else Velocity(velocity.forward, 0.0, velocity.turn)


def output_turn(forward_mps: float, turn: float, base: Base) -> float:
    """angular.z of the command: the turning axis itself, or the yaw rate that a steering angle gives at this speed."""
    return forward_mps * math.tan(turn) / base.wheelbase_m if base.turns_by_steering else turn


def as_output(velocity: Velocity, base: Base) -> Velocity:
    """The command that a motion becomes: its turning axis as angular.z."""
    return velocity._replace(turn=output_turn(velocity.forward, velocity.turn, base))
