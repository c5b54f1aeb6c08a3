"""Gamepad states to commands: deadman, turbo, buttons, and detection of a lost or frozen pad.

A driver goes on repeating the last state of a pad that is gone, so that a message alone proves nothing: the stamp has
to advance and, while driving, the values have to change now and then. A motion command carries the time at which the
pad last spoke, so that the controller's timeout counts from the pad, not from this process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.clock import Now, Rejected, Rejections, to_ns
from mobile_vla.teleop.config import GamepadConfig
from mobile_vla.teleop.mapping import PadAxis, PadMapping

RELEASE_ZEROS_NS = 250_000_000
_FULL = 1.01


class PadAction(Enum):
    """What a button asks of the controller or the recorder."""

    ESTOP = "estop"
    RESET_ESTOP = "reset_estop"
    ARM = "arm"
    SAVE = "save"


class PadCommand(NamedTuple):
    """One command and its stamp: the pad's last word for motion, now for a zero. `released` gives control back."""

    velocity: Velocity
    stamp_ns: int
    released: bool = False


class Pad:
    """Callbacks offer states, the timer asks for the command. Deadman and sticks must be seen at rest first."""

    def __init__(self, config: GamepadConfig, mapping: PadMapping) -> None:
        self.mapping = mapping
        self.in_control = False
        self.rejections = Rejections()
        self._axes: tuple[float, ...] = ()
        self._buttons: tuple[bool, ...] = ()
        self._pressed: set[str] = set()
        self._stamp_ns = 0
        self._alive: Now | None = None
        self._changed_ns = 0
        self._released = False
        self._rested: set[str] = set()
        self._zeros_until_ns: int | None = None
        self._lost = ""
        self._refusal = ""
        self.configure(config)

    def configure(self, config: GamepadConfig) -> None:
        """Use other settings from now on."""
        self._config = config
        self._timeout_ns = to_ns(config.timeout_s)
        self._frozen_ns = to_ns(config.frozen_s)

    def offer(self, axes: Sequence[float], buttons: Sequence[int], stamp_ns: int, now: Now) -> list[PadAction]:
        """Take a state of the pad; what its buttons ask for. A state that cannot be used is counted and ignored.

        The emergency stop is heard even in a state that is otherwise refused.
        """
        first = not self._buttons
        pressed = {name for name, number in self.mapping.buttons.used().items() if _is_down(buttons, number)}
        fresh = pressed - self._pressed
        actions = [PadAction.ESTOP] if "estop" in fresh else []
        try:
            self._check(axes, buttons, stamp_ns)
        except Rejected as error:
            self.rejections.add(error)
            self._refusal = str(error)
            self._pressed = (self._pressed - {"estop"}) | (pressed & {"estop"})
            return actions
        self._pressed, self._refusal = pressed, ""
        if self._is_silent(now) and not self.in_control:
            self._forget()
        state = (tuple(axes), tuple(bool(button) for button in buttons))
        if state != (self._axes, self._buttons):
            self._axes, self._buttons = state
            self._changed_ns = now.steady_ns
        self._alive = now
        self._rested |= {name for name, axis in self.mapping.axes().items() if self._share(axis) == 0.0}
        if "deadman" not in pressed:
            self._released = True
            if self._lost:
                self._lost = ""
                self._zeros_until_ns = now.steady_ns + RELEASE_ZEROS_NS
        if "hand_back" in fresh and "deadman" not in pressed and self.in_control:
            self._zeros_until_ns = now.steady_ns + RELEASE_ZEROS_NS
        if not first:
            actions += [
                action for action in (PadAction.RESET_ESTOP, PadAction.ARM, PadAction.SAVE) if action.value in fresh
            ]
        return actions

    def keep_alive(self, now: Now) -> None:
        """The pad is connected and has nothing new to say: how a device without a driver's repeats shows its life.

        After a gap longer than the timeout, in which this process did not run, only a new state does.
        """
        if not self._is_silent(now):
            self._alive = now

    def disconnect(self) -> None:
        """The device was unplugged."""
        self._alive = None
        if not self.in_control:
            self._forget()

    def command(self, now: Now) -> PadCommand | None:
        """What to publish now; None: be silent. A pad that is lost falls silent without a release."""
        if "deadman" in self._pressed and self._released:
            dead = self._lost_reason(now)
            if dead:
                self._lose_control(dead)
                return None
            self.in_control = True
            self._zeros_until_ns = None
            assert self._alive is not None
            velocity = self._velocity()
            return PadCommand(velocity, now.ros_ns if velocity == STILL else self._alive.ros_ns)
        if self.in_control and self._zeros_until_ns is None and not self._config.keep_control:
            self._zeros_until_ns = now.steady_ns + RELEASE_ZEROS_NS
        if self._zeros_until_ns is not None and now.steady_ns >= self._zeros_until_ns:
            self._zeros_until_ns = None
            self.in_control = False
        if self._zeros_until_ns is not None:
            return PadCommand(STILL, now.ros_ns, released=True)
        return PadCommand(STILL, now.ros_ns) if self.in_control else None

    def error(self, now: Now) -> str:
        """What is wrong with the pad, in words; empty when it can drive."""
        if self._lost:
            return f"{self._lost}; release the deadman button"
        dead = self._lost_reason(now)
        if dead:
            return self._refusal or dead
        if not self._released:
            return "the deadman button was held from the start; release it once"
        unrested = [
            f"{name} (axis {axis.axis})" for name, axis in self.mapping.axes().items() if name not in self._rested
        ]
        if unrested:
            return (
                f"{', '.join(unrested)} has never been at rest; release the sticks, or choose the mapping of this pad"
            )
        return ""

    def _check(self, axes: Sequence[float], buttons: Sequence[int], stamp_ns: int) -> None:
        mapping = self.mapping
        if not len(axes) or not len(buttons):
            raise Rejected(
                "joy.empty",
                f"the pad sent {len(axes)} axes and {len(buttons)} buttons; is it connected and its driver right?",
            )
        if mapping.axis_count and len(axes) != mapping.axis_count:
            raise Rejected(
                "joy.wrong_pad",
                f"the pad has {len(axes)} axes, its mapping {mapping.axis_count}; choose the mapping of this pad",
            )
        for name, axis in mapping.axes().items():
            if axis.axis >= len(axes):
                raise Rejected(
                    "joy.missing_axis",
                    f"the pad has {len(axes)} axes, {name} needs axis {axis.axis}; choose the mapping of this pad",
                )
            value = axes[axis.axis]
            if not math.isfinite(value) or abs(value) > _FULL:
                raise Rejected("joy.bad_value", f"axis {axis.axis} says {value}; it must be from -1 to 1")
        for name, number in mapping.buttons.used().items():
            if number >= len(buttons):
                raise Rejected(
                    "joy.missing_button",
                    f"the pad has {len(buttons)} buttons, {name} needs button {number}; choose the mapping of this pad",
                )
        last_ns, self._stamp_ns = self._stamp_ns, stamp_ns
        if stamp_ns <= 0:
            raise Rejected("joy.zero_stamp", f"the pad's stamp is {stamp_ns} ns; its driver must stamp its messages")
        if stamp_ns == last_ns:
            raise Rejected("joy.repeated", "the pad's stamp does not advance: its driver repeats an old state")
        if stamp_ns < last_ns:
            raise Rejected("joy.out_of_order", f"the pad's stamp went back {(last_ns - stamp_ns) / 1e9:.3f} s")

    def _is_silent(self, now: Now) -> bool:
        return self._alive is None or now.steady_ns - self._alive.steady_ns > self._timeout_ns

    def _forget(self) -> None:
        """A pad that comes or comes back must show deadman and sticks at rest first."""
        self._released = False
        self._rested.clear()

    def _lost_reason(self, now: Now) -> str:
        if self._alive is None:
            return "no gamepad says anything"
        silent_ns = now.steady_ns - self._alive.steady_ns
        if self._is_silent(now):
            return (
                f"the gamepad has said nothing new for {silent_ns / 1e9:.1f} s (timeout_s {self._config.timeout_s:g})"
            )
        unchanged_ns = now.steady_ns - self._changed_ns
        if 0 < self._frozen_ns < unchanged_ns and "deadman" in self._pressed and self._velocity() != STILL:
            return f"the gamepad's values have not changed for {unchanged_ns / 1e9:.1f} s: it is frozen"
        return ""

    def _lose_control(self, dead: str) -> None:
        """Let go without a word: the controller holds the robot until the deadman was seen released."""
        self.in_control = False
        self._lost = dead
        self._forget()

    def _velocity(self) -> Velocity:
        config, axes = self._config, self.mapping.axes()
        shares = {name: self._share(axis) for name, axis in axes.items()}
        if len(self._rested) < len(axes):
            return STILL
        boost = config.turbo if "turbo" in self._pressed else 1.0
        return Velocity(
            shares["forward"] * config.linear_mps * boost,
            shares.get("left", 0.0) * config.lateral_mps * boost,
            shares["turn"] * config.turn_radps,
        )

    def _share(self, axis: PadAxis) -> float:
        """The stick's deflection beyond its dead zone, from -1 to 1, without a jump at the zone's edge."""
        value, zone = self._axes[axis.axis], self.mapping.dead_zone
        beyond = min(max(abs(value) - zone, 0.0) / (1.0 - zone), 1.0)
        share = math.copysign(beyond, -value if axis.inverted else value)
        return share or 0.0


def _is_down(buttons: Sequence[int], number: int) -> bool:
    return number < len(buttons) and bool(buttons[number])
