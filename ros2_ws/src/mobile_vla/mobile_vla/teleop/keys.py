"""Hold-to-move over a terminal: bytes to keys, keys to a velocity.

A terminal sends a held key as one character, a pause (0.25 to 0.66 s), then repeats (10 to 40 a second); it never
says that a key was let go, and only the newest of several held keys repeats. So a key counts as held for a while
after each character, and a new direction replaces the one before. All times are steady-clock nanoseconds.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from mobile_vla.config.action_space import STILL, Velocity
from mobile_vla.control.clock import to_ns
from mobile_vla.teleop.config import KeyboardConfig

ESCAPE_NS = 100_000_000
GAP_NS = 500_000_000
AFTER_GAP_NS = 300_000_000
"""Keys that were typed while the process did not run are read within this time."""
SLOWEST, STEP = 0.1, 0.1
_ESCAPE = 0x1B
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}


class Direction(NamedTuple):
    """Shares of full speed."""

    forward: float = 0.0
    left: float = 0.0
    turn: float = 0.0


class KeyAction(Enum):
    """What a key asks of the program or the controller."""

    ESTOP = "emergency stop"
    RESET_ESTOP = "reset emergency stop"
    ARM = "arm or disarm"
    HAND_BACK = "hand back to autonomy"
    QUIT = "quit"


MOTIONS: dict[str, Direction] = {
    "w": Direction(forward=1),
    "s": Direction(forward=-1),
    "a": Direction(turn=1),
    "d": Direction(turn=-1),
    "A": Direction(left=1),
    "D": Direction(left=-1),
    "up": Direction(forward=1),
    "down": Direction(forward=-1),
    "left": Direction(turn=1),
    "right": Direction(turn=-1),
    "i": Direction(forward=1),
    ",": Direction(forward=-1),
    "j": Direction(turn=1),
    "l": Direction(turn=-1),
    "u": Direction(forward=1, turn=1),
    "o": Direction(forward=1, turn=-1),
    "m": Direction(forward=-1, turn=-1),
    ".": Direction(forward=-1, turn=1),
    "k": Direction(),
}
"""`m` and `.` drive backwards to the left and to the right, so they turn the other way round. `k` stands still."""

ACTIONS: dict[str, KeyAction] = {
    " ": KeyAction.ESTOP,
    "r": KeyAction.RESET_ESTOP,
    "e": KeyAction.ARM,
    "h": KeyAction.HAND_BACK,
    "q": KeyAction.QUIT,
}


class KeyDecoder:
    """Terminal bytes to key names. Escape sequences may arrive in pieces; unknown ones are dropped whole."""

    def __init__(self) -> None:
        self._sequence = ""
        self._begun_ns = 0

    def feed(self, data: bytes, now_ns: int) -> list[str]:
        """The keys in these bytes. A space counts wherever it stands, because it stops the robot."""
        if self._sequence and now_ns - self._begun_ns > ESCAPE_NS:
            self._sequence = ""
        keys = (self._next(byte, now_ns) for byte in data)
        return [key for key in keys if key]

    def _next(self, byte: int, now_ns: int) -> str:
        if byte == ord(" "):
            self._sequence = ""
            return " "
        if byte == _ESCAPE:
            self._sequence, self._begun_ns = "\x1b", now_ns
            return ""
        if not self._sequence:
            return chr(byte) if 0x20 < byte < 0x7F else ""
        self._sequence += chr(byte)
        introducer, final = self._sequence[1], self._sequence[-1]
        if introducer in "[O" and (len(self._sequence) == 2 or not "@" <= final <= "~"):
            return ""
        plain = introducer in "[O" and len(self._sequence) == 3
        self._sequence = ""
        return _ARROWS.get(final, "") if plain else ""


class KeyboardTeleop:
    """Who has taken over keeps control, with zeros, until the hand-back key."""

    def __init__(self, config: KeyboardConfig) -> None:
        self.in_control = False
        self.speed = 1.0
        self._direction = Direction()
        self._until_ns = 0
        self._action: KeyAction | None = None
        self._action_ns = 0
        self._running_ns: int | None = None
        self._ignored_until_ns = 0
        self.configure(config)

    def configure(self, config: KeyboardConfig) -> None:
        """Use other settings from the next key on."""
        self._config = config

    def running(self, now_ns: int) -> None:
        """Call it several times a second: what was typed while the process did not run must not move the robot."""
        if self._running_ns is not None and now_ns - self._running_ns > GAP_NS:
            self._ignored_until_ns = now_ns + AFTER_GAP_NS
            self._direction = Direction()
        self._running_ns = now_ns

    def press(self, key: str, now_ns: int) -> KeyAction | None:
        """One key character; what it asks for beyond motion."""
        if key in ("A", "D") and self._config.lateral_mps == 0:
            key = key.lower()
        if key not in MOTIONS and key not in ACTIONS:
            key = key.lower()  # caps lock
        if now_ns < self._ignored_until_ns and ACTIONS.get(key) not in (KeyAction.ESTOP, KeyAction.QUIT):
            return None
        if key in MOTIONS:
            self._move(MOTIONS[key], now_ns)
        elif key in ("+", "="):
            self.speed = min(1.0, round(self.speed + STEP, 1))
        elif key in ("-", "_"):
            self.speed = max(SLOWEST, round(self.speed - STEP, 1))
        action = ACTIONS.get(key)
        if action is KeyAction.ESTOP:
            self._move(Direction(), now_ns)
        elif action is KeyAction.HAND_BACK:
            self._direction = Direction()
            self.in_control = False
        return None if self._repeats(action, now_ns) else action

    def _repeats(self, action: KeyAction | None, now_ns: int) -> bool:
        """Whether an action's key is only being held. Stopping is never taken for a repetition."""
        held = action is self._action and now_ns - self._action_ns < to_ns(self._config.first_hold_s)
        self._action, self._action_ns = action, now_ns
        return held and action is not KeyAction.ESTOP

    def command(self, now_ns: int) -> Velocity | None:
        """What to publish now: None while the keyboard has no control."""
        if not self.in_control:
            return None
        if now_ns >= self._until_ns:
            self._direction = Direction()
            return STILL
        config, speed, direction = self._config, self.speed, self._direction
        return Velocity(
            direction.forward * speed * config.linear_mps,
            direction.left * speed * config.lateral_mps,
            direction.turn * speed * config.turn_radps,
        )

    def _move(self, direction: Direction, now_ns: int) -> None:
        repeats = direction == self._direction and now_ns < self._until_ns
        hold_s = self._config.repeat_hold_s if repeats else self._config.first_hold_s
        self._direction = direction
        self._until_ns = now_ns + to_ns(hold_s)
        self.in_control = True
