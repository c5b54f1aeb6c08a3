"""Settings of the two teleop nodes. Speeds are requests: the controller's limits hold for people, too."""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.config.schema import Config, ConfigError, param
from mobile_vla.control.config_teleop import PERIODS_PER_TIMEOUT

JOY_PERIOD_S = 0.05
"""Joystick drivers repeat their state 20 times a second (`autorepeat_rate` of joy_node and joy_linux_node)."""


@dataclass(frozen=True, kw_only=True)
class KeyboardConfig(Config):
    """Driving from a terminal, where a key is known only by its repeats: hold to move, let go to stop."""

    linear_mps: float = param(0.2, "Speed of the forward and backward keys.", gt=0, le=5, live=True)
    lateral_mps: float = param(
        0.0, "Speed of the sideways keys (Shift and a turning key); 0: the base has none.", ge=0, le=5, live=True
    )
    turn_radps: float = param(
        0.6, "Speed of the turning keys; on an Ackermann base the steering angle in rad.", gt=0, le=10, live=True
    )
    period_s: float = param(0.1, "Time between messages while the keyboard has control.", gt=0, le=2)
    first_hold_s: float = param(
        0.7,
        "A key pressed once counts as held this long: longer than the terminal's delay before it repeats a key.",
        gt=0,
        le=2,
        live=True,
    )
    repeat_hold_s: float = param(
        0.25, "A repeating key counts as held this long: longer than the gap between repeats.", gt=0, le=1, live=True
    )
    disarm_on_exit: bool = param(
        True, "Ending the program while the keyboard has control disarms the robot.", live=True
    )
    frame_id: str = param("base_link", "Frame of the commands.")

    def cross_check(self) -> None:
        if self.first_hold_s < self.repeat_hold_s:
            raise ConfigError(
                f"first_hold_s must be >= repeat_hold_s ({self.repeat_hold_s:g} s), got {self.first_hold_s:g}; raise it"
            )


@dataclass(frozen=True, kw_only=True)
class GamepadConfig(Config):
    """Driving with a gamepad: the deadman button decides who has control."""

    mapping: str = param(
        "xbox", "Which axis and button does what: a name from config/teleop, or a path to a YAML file."
    )
    source: str = param(
        "topic", "Read the pad from a joy driver's topic, or from the kernel.", choices=("topic", "device")
    )
    device: str = param("", "Joystick device for source `device`; empty: the first of /dev/input/js*.")
    linear_mps: float = param(0.2, "Speed at full stick.", gt=0, le=5, live=True)
    lateral_mps: float = param(0.0, "Sideways speed at full stick; 0: the base has none.", ge=0, le=5, live=True)
    turn_radps: float = param(
        0.6, "Turning speed at full stick; on an Ackermann base the steering angle in rad.", gt=0, le=10, live=True
    )
    turbo: float = param(2.0, "Forward and sideways speed is multiplied by this under turbo.", ge=1, le=10, live=True)
    period_s: float = param(0.05, "Time between messages while the gamepad has control.", gt=0, le=2)
    timeout_s: float = param(
        0.25, "A pad that says nothing new for this long is gone. Drivers must repeat at 20 Hz.", gt=0, le=5, live=True
    )
    frozen_s: float = param(
        5.0,
        "A driving pad whose values have not changed at all for this long is frozen; 0 turns the check off.",
        ge=0,
        le=60,
        live=True,
    )
    keep_control: bool = param(
        False, "After the deadman is released keep control, with zeros, until the hand-back button.", live=True
    )
    frame_id: str = param("base_link", "Frame of the commands.")

    def cross_check(self) -> None:
        shortest = PERIODS_PER_TIMEOUT * JOY_PERIOD_S
        if self.timeout_s < shortest:
            raise ConfigError(
                f"timeout_s must be >= {PERIODS_PER_TIMEOUT:g} x the driver's period ({shortest:g} s), "
                f"got {self.timeout_s:g}; raise it"
            )
        if self.device and self.source != "device":
            raise ConfigError(f"device {self.device} is not read from source {self.source}; set source: device")
