"""Sources that vanish, hang, slow down or come and go."""

from __future__ import annotations

from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import kill, pause, restart, resume, tell
from mobile_vla_bench.faults.setup import Setup

DEFAULTS = ControllerConfig()
ACTION_S = DEFAULTS.staleness.action_min_s
RANGE_S = DEFAULTS.range_guard.timeout_s
ODOMETRY_S = DEFAULTS.staleness.odometry_s
JOY_S = DEFAULTS.teleop.joy.timeout_s
KEYBOARD_S = DEFAULTS.teleop.keyboard.timeout_s
WEB_S = DEFAULTS.teleop.web.timeout_s

SCAN = Setup(actors=("policy", "scan"), parameters={"controller": {"range_guard.use_scan": True}})
RANGE = Setup(actors=("policy", "range"), parameters={"controller": {"range_guard.use_range": True}})
ODOMETRY = Setup(actors=("policy", "odom"), parameters={"controller": {"require.odometry": True}})
PAD = Setup(actors=("policy", "pad"), driver="pad")
KEYBOARD = Setup(actors=("policy", "keyboard"), driver="keyboard")
WEB = Setup(actors=("policy", "web"), driver="web")

_SOURCES = (
    ("policy", Setup(), ACTION_S, "stale_action", False),
    ("scan", SCAN, RANGE_S, "range_timeout", False),
    ("range", RANGE, RANGE_S, "range_timeout", False),
    ("odom", ODOMETRY, ODOMETRY_S, "odometry_timeout", False),
    ("pad", PAD, JOY_S, "teleop_lost", True),
    ("keyboard", KEYBOARD, KEYBOARD_S, "teleop_lost", True),
    ("web", WEB, WEB_S, "teleop_lost", True),
)
_QUICK_KILLED = ("policy", "pad")
_QUICK_STOPPED = ("policy", "scan", "odom")

KILLED = tuple(
    Fault(
        name=f"{role}_killed",
        type=FaultType.OFF,
        title=f"SIGKILL to the process that sends {role}",
        setup=setup,
        inject=kill(role),
        recover=restart(role, neutral=latched),
        detection_s=timeout_s,
        expect=(reason,),
        latched=latched,
        quick=role in _QUICK_KILLED,
    )
    for role, setup, timeout_s, reason, latched in _SOURCES
)
STOPPED = tuple(
    Fault(
        name=f"{role}_stopped",
        type=FaultType.STUCK,
        title=f"SIGSTOP to the process that sends {role}",
        setup=setup,
        inject=pause(role),
        recover=resume(role, neutral=latched),
        detection_s=timeout_s,
        expect=(reason,),
        latched=latched,
        quick=role in _QUICK_STOPPED,
    )
    for role, setup, timeout_s, reason, latched in _SOURCES
)
SLOWED = tuple(
    Fault(
        name=f"{role}_slow",
        type=FaultType.SLOW,
        title=f"{role} at a tenth of its rate: brakes between two messages",
        setup=setup,
        inject=tell(role, "slow"),
        recover=tell(role, "ok"),
        detection_s=timeout_s,
        expect=(reason,),
        stays_stopped=False,
    )
    for role, setup, timeout_s, reason, latched in _SOURCES
    if not latched and role != "odom"
)
INTERMITTENT = (
    Fault(
        name="policy_intermittent",
        type=FaultType.INTERMITTENT,
        title="actions one second on, one second off",
        inject=tell("policy", "intermittent"),
        recover=tell("policy", "ok"),
        detection_s=ACTION_S,
        expect=("stale_action",),
        stays_stopped=False,
    ),
    Fault(
        name="policy_delayed",
        type=FaultType.DELAYED,
        title="actions arrive 1.5 s after their image",
        inject=tell("policy", "delayed"),
        recover=tell("policy", "ok"),
        detection_s=ACTION_S,
        expect=("stale_action",),
        evidence=("controller", "ignored.action.too_old"),
    ),
)

FAULTS = (*KILLED, *STOPPED, *SLOWED, *INTERMITTENT)
