"""The controller's modes, the table of every change between them, and its reasons. The docs print these tables."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple


class Mode(str, Enum):
    """Who may move the robot."""

    DISARMED = "disarmed"
    HOLD = "hold"
    AUTONOMY = "autonomy"
    TELEOP = "teleop"
    FAULT = "fault"
    ESTOP = "estop"


MEANING: dict[Mode, str] = {
    Mode.DISARMED: "Boot state. Nothing moves the robot until it is armed.",
    Mode.HOLD: "Armed and standing: waiting until autonomy may drive.",
    Mode.AUTONOMY: "The policy drives.",
    Mode.TELEOP: "A person drives.",
    Mode.FAULT: "Armed and standing: something required is broken.",
    Mode.ESTOP: "Emergency stop, latched.",
}


class Situation(NamedTuple):
    """What the mode depends on, besides the mode before."""

    estop: bool
    armed: bool
    teleop: bool
    fault: bool
    blocks_teleop: bool
    ready: bool


class Change(NamedTuple):
    """One row: in one of `sources`, when `condition` names what holds, go to `target`. The first row that fits wins."""

    sources: tuple[Mode, ...]
    condition: str
    target: Mode
    why: str


_ARMED = (Mode.HOLD, Mode.AUTONOMY, Mode.TELEOP, Mode.FAULT)

CONDITIONS: dict[str, Callable[[Situation], bool]] = {
    "estop": lambda now: now.estop,
    "not estop": lambda now: not now.estop,
    "not armed": lambda now: not now.armed,
    "armed": lambda now: now.armed,
    "blocks teleop": lambda now: now.blocks_teleop,
    "teleop": lambda now: now.teleop,
    "fault": lambda now: now.fault,
    "ready": lambda now: now.ready,
    "otherwise": lambda _: True,
}

CHANGES: tuple[Change, ...] = (
    Change(
        (Mode.DISARMED, *_ARMED),
        "estop",
        Mode.ESTOP,
        "Emergency stop from a service, a topic or a button: from everywhere, at once.",
    ),
    Change((Mode.ESTOP,), "not estop", Mode.DISARMED, "An explicit reset; it does not restart motion."),
    Change(_ARMED, "not armed", Mode.DISARMED, "The operator disarms."),
    Change((Mode.DISARMED,), "armed", Mode.HOLD, "The operator arms, and everything required is alive."),
    Change(_ARMED, "blocks teleop", Mode.FAULT, "A fault that stops people, too."),
    Change(_ARMED, "teleop", Mode.TELEOP, "A person takes over, or goes on driving."),
    Change(_ARMED, "fault", Mode.FAULT, "A fault of something that autonomy needs."),
    Change((Mode.AUTONOMY,), "ready", Mode.AUTONOMY, "The policy goes on driving."),
    Change((Mode.HOLD,), "ready", Mode.AUTONOMY, "A fresh action, nobody holds a stick, and every wait is over."),
    Change(_ARMED, "otherwise", Mode.HOLD, "Nobody drives."),
)

REASONS: dict[str, str] = {
    "ok": "nothing limits the command",
    "limits": "velocity, acceleration or jerk limit",
    "handover": "tighter limits while autonomy takes over",
    "range_slow": "an obstacle ahead: slower",
    "range_stop": "an obstacle inside the stop zone",
    "range_unseen": "no valid beam covers the direction of motion: slower, or no motion where coverage was lost",
    "disarmed": "not armed",
    "estop": "emergency stop is latched",
    "no_action": "no action from an image newer than the last change of mode, person or instruction",
    "stale_action": "the newest action's image is too old",
    "policy_not_ready": "the policy says it is not ready",
    "image_unhealthy": "the camera picture is frozen, black or changed",
    "teleop_lost": "a teleop source vanished, froze or was disabled while it had control; release it or re-arm",
    "dwell": "waiting after the sticks became neutral",
    "not_at_rest": "waiting until the robot stands",
    "policy_reset": "waiting until the policy's recurrent state is reset",
    "range_timeout": "a configured range source sends nothing usable within its timeout",
    "odometry_timeout": "odometry sends nothing usable within its timeout",
    "incompatible_input": "an input is offered with another type or quality of service than the one read here",
    "second_publisher": "several nodes publish where one is meant to: commands, actions, a range source or odometry",
}


def next_mode(mode: Mode, situation: Situation) -> Mode:
    """The mode after one tick: at most one row applies."""
    for change in CHANGES:
        if mode in change.sources and CONDITIONS[change.condition](situation):
            return change.target
    return mode


def markdown() -> str:
    """The tables as the documentation shows them."""
    modes = [f"| `{mode.value}` | {text} |" for mode, text in MEANING.items()]
    changes = [
        f"| {', '.join(f'`{source.value}`' for source in change.sources)} | {change.condition} "
        f"| `{change.target.value}` | {change.why} |"
        for change in CHANGES
    ]
    reasons = [f"| `{code}` | {text} |" for code, text in REASONS.items()]
    first_fits = "The first row that fits wins."
    parts = (
        ["| mode | meaning |", "|---|---|", *modes, ""],
        [first_fits, "", "| from | when | to | why |", "|---|---|---|---|", *changes, ""],
        ["| reason | meaning |", "|---|---|", *reasons, ""],
    )
    return "\n".join(line for part in parts for line in part)
