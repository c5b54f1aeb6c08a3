"""Mapping files of gamepads: which axis and button does what. `config/teleop/<pad>.yaml`, validated before use."""

from __future__ import annotations

from dataclasses import dataclass

from mobile_vla.config import Config, ConfigError, from_mapping, param, section
from mobile_vla.config.sections import read_yaml
from mobile_vla.resources import named_file

MISSING = -1
HIGHEST = 127


@dataclass(frozen=True, kw_only=True)
class PadAxis(Config):
    """One stick axis. Drivers count left and up as positive; so does the robot."""

    axis: int = param(MISSING, "Number of the axis.", ge=MISSING, le=HIGHEST)
    inverted: bool = param(False, "The axis counts the other way round.")


@dataclass(frozen=True, kw_only=True)
class Buttons(Config):
    """Numbers of buttons; -1: none."""

    deadman: int = param(MISSING, "Held to drive.", ge=MISSING, le=HIGHEST)
    turbo: int = param(MISSING, "Held to drive faster.", ge=MISSING, le=HIGHEST)
    estop: int = param(MISSING, "Emergency stop.", ge=MISSING, le=HIGHEST)
    reset_estop: int = param(MISSING, "Resets the emergency stop.", ge=MISSING, le=HIGHEST)
    arm: int = param(MISSING, "Arms; disarms when armed.", ge=MISSING, le=HIGHEST)
    hand_back: int = param(MISSING, "Gives control back to autonomy.", ge=MISSING, le=HIGHEST)
    save: int = param(MISSING, "Saves the recorder's ring buffer.", ge=MISSING, le=HIGHEST)

    def used(self) -> dict[str, int]:
        """The buttons this pad has."""
        return {name: number for name, number in vars(self).items() if number != MISSING}


@dataclass(frozen=True, kw_only=True)
class PadMapping(Config):
    """One mapping file."""

    description: str = param("", "Pad and driver these numbers are for.")
    tried: str = param("", "On what this file was tried.")
    axis_count: int = param(0, "How many axes this pad has under this driver; 0: unknown.", ge=0, le=HIGHEST + 1)
    dead_zone: float = param(0.1, "Share of the stick's way around its rest that counts as rest.", ge=0.01, le=0.5)
    forward: PadAxis = section(PadAxis)
    left: PadAxis = section(PadAxis)
    turn: PadAxis = section(PadAxis)
    buttons: Buttons = section(Buttons)

    def axes(self) -> dict[str, PadAxis]:
        """The axes in use, by the direction they drive."""
        all_three = {"forward": self.forward, "left": self.left, "turn": self.turn}
        return {name: axis for name, axis in all_three.items() if axis.axis != MISSING}

    def cross_check(self) -> None:
        for name in ("forward", "turn"):
            if name not in self.axes():
                raise ConfigError(f"{name}.axis is missing; give the number of the axis that drives {name}")
        for name in ("deadman", "estop"):
            if name not in self.buttons.used():
                raise ConfigError(f"buttons.{name} is missing; give the number of the button")
        _all_different({f"{name}.axis": axis.axis for name, axis in self.axes().items()})
        _all_different({f"buttons.{name}": number for name, number in self.buttons.used().items()})
        for name, axis in self.axes().items():
            if 0 < self.axis_count <= axis.axis:
                raise ConfigError(
                    f"{name}.axis must be < axis_count ({self.axis_count}), got {axis.axis}; axes count from 0"
                )


def load_mapping(name: str) -> PadMapping:
    """A mapping by name or path; raises `ConfigError` with the file's name."""
    path = named_file("teleop", name)
    return from_mapping(PadMapping, read_yaml(path), str(path))


def _all_different(numbers: dict[str, int]) -> None:
    owners: dict[int, str] = {}
    for name, number in numbers.items():
        if number in owners:
            raise ConfigError(f"{name} must differ from {owners[number]}, got {number} for both; change one")
        owners[number] = name
