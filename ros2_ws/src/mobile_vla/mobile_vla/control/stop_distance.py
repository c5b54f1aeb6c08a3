"""How long the robot goes on after the world has changed, before it brakes: t_image + t_inference + t_gate + t_base.

How far, `limits.stopping_distance_m` says.
"""

from __future__ import annotations

from typing import NamedTuple

from mobile_vla.control.config import ControllerConfig


class Reaction(NamedTuple):
    """Where the time goes before braking begins, in seconds."""

    image_s: float
    inference_s: float
    gate_s: float
    base_s: float

    @property
    def total_s(self) -> float:
        """From the change in front of the camera to the base's answer."""
        return sum(self)


def reactions(config: ControllerConfig, image_max_age_s: float, base_s: float) -> tuple[Reaction, Reaction]:
    """The longest reaction with a fast policy, and with the slowest policy the controller accepts.

    An action drives the robot until its image is as old as the staleness limits allow: image and inference together
    never take longer than `action_min_s` where inference is fast, and never longer than `action_max_s`.
    """
    fast, slow = (
        Reaction(min(image_max_age_s, age_s), max(age_s - image_max_age_s, 0.0), config.period_s, base_s)
        for age_s in (config.staleness.action_min_s, config.staleness.action_max_s)
    )
    return fast, slow


def autonomous_speed_mps(config: ControllerConfig) -> float:
    """The highest forward speed the policy can ask for and get."""
    return min(config.action.linear_mps, config.limits.linear.velocity_mps)
