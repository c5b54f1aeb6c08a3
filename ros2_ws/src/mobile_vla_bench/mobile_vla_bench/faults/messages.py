"""Messages that lie: numbers, stamps, frames, types, qualities of service, clocks; and a second commander."""

from __future__ import annotations

from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import show_neutral, tell
from mobile_vla_bench.faults.setup import Setup
from mobile_vla_bench.faults.sources import (
    ACTION_S,
    DEFAULTS,
    JOY_S,
    ODOMETRY,
    ODOMETRY_S,
    PAD,
    RANGE,
    RANGE_S,
    SCAN,
)

WATCH_S = 0.5
SCAN_S = 0.1
MATCH_S = 2 * WATCH_S
DISCOVERY_S = 0.6
CLOCKED = Setup(actors=("clock", "policy"))
INCOMPATIBLE_INPUT = {"wrong_type": "and read here as", "best_effort": "with another quality of service"}


def _evidence(kind: str, counter: str) -> str:
    return counter if counter.startswith("failed.") else f"ignored.{kind}.{counter}"


_ACTIONS = (
    ("nan", FaultType.GARBAGE, "NaN in an action", "not_finite"),
    ("inf", FaultType.GARBAGE, "infinity in an action", "not_finite"),
    ("huge", FaultType.GARBAGE, "1e300 in an action", "out_of_range"),
    ("zero_stamp", FaultType.WRONG, "actions with stamp zero", "zero_stamp"),
    ("negative_stamp", FaultType.WRONG, "actions with a stamp before zero", "zero_stamp"),
    ("cut_off", FaultType.GARBAGE, "actions that end in the middle", "failed./policy/action.Undecodable"),
    ("future_stamp", FaultType.WRONG, "actions stamped 5 s in the future", "future_stamp"),
    ("out_of_order", FaultType.WRONG, "actions whose stamps run backwards", "out_of_order"),
    ("wrong_frame", FaultType.WRONG, "actions for another action space", "wrong_space"),
    ("wrong_type", FaultType.WRONG, "policy/action offered with another message type", ""),
    ("best_effort", FaultType.WRONG, "policy/action offered with a quality of service that does not match", ""),
)
ACTIONS = tuple(
    Fault(
        name=f"policy_{behaviour}",
        type=fault_type,
        title=title,
        inject=tell("policy", behaviour),
        recover=tell("policy", "ok"),
        detection_s=ACTION_S,
        expect=("stale_action" if counter else "incompatible_input",),
        evidence=("controller", _evidence("action", counter) if counter else INCOMPATIBLE_INPUT[behaviour]),
        quick=behaviour in ("nan", "huge", "cut_off", "future_stamp", "out_of_order", "wrong_type"),
    )
    for behaviour, fault_type, title, counter in _ACTIONS
)

_SENSORS = (
    ("scan", SCAN, RANGE_S, "range_timeout", "nan", FaultType.GARBAGE, "a scan of NaN", "scan.invalid"),
    ("scan", SCAN, RANGE_S, "range_timeout", "zero_stamp", FaultType.WRONG, "scans with stamp zero", "scan.zero_stamp"),
    (
        "scan",
        SCAN,
        RANGE_S,
        "range_timeout",
        "future_stamp",
        FaultType.WRONG,
        "scans from the future",
        "scan.future_stamp",
    ),
    (
        "scan",
        SCAN,
        RANGE_S,
        "range_timeout",
        "out_of_order",
        FaultType.WRONG,
        "scan stamps run backwards",
        "scan.out_of_order",
    ),
    ("scan", SCAN, RANGE_S, "range_timeout", "two", FaultType.WRONG, "scans of two scanners in turn", "scan.changing"),
    (
        "scan",
        SCAN,
        RANGE_S,
        "range_timeout",
        "wrong_type",
        FaultType.WRONG,
        "scan offered with another message type",
        "",
    ),
    ("range", RANGE, RANGE_S, "range_timeout", "nan", FaultType.GARBAGE, "a range of NaN", "range.invalid"),
    (
        "odom",
        ODOMETRY,
        ODOMETRY_S,
        "odometry_timeout",
        "nan",
        FaultType.GARBAGE,
        "odometry of NaN",
        "odometry.not_finite",
    ),
    (
        "odom",
        ODOMETRY,
        ODOMETRY_S,
        "odometry_timeout",
        "zero_stamp",
        FaultType.WRONG,
        "odometry unstamped",
        "odometry.zero_stamp",
    ),
)
BLIND_AHEAD = Fault(
    name="scan_blind_ahead",
    type=FaultType.GARBAGE,
    title="the third of the beams that looks ahead turns NaN",
    setup=SCAN,
    inject=tell("scan", "blind_ahead"),
    recover=tell("scan", "ok"),
    detection_s=SCAN_S,
    expect=("range_unseen",),
    quick=True,
)
SENSORS = tuple(
    Fault(
        name=f"{role}_{behaviour}",
        type=fault_type,
        title=title,
        setup=setup,
        inject=tell(role, behaviour),
        recover=tell(role, "ok"),
        detection_s=timeout_s,
        expect=(reason,),
        evidence=("controller", f"ignored.{counter}" if counter else INCOMPATIBLE_INPUT[behaviour]),
        quick=(role, behaviour) == ("scan", "nan"),
    )
    for role, setup, timeout_s, reason, behaviour, fault_type, title, counter in _SENSORS
)

_PEOPLE = (
    ("nan", FaultType.GARBAGE, "NaN from the gamepad node", "joy.not_finite"),
    ("huge", FaultType.GARBAGE, "1e300 from the gamepad node", "joy.implausible"),
    ("zero_stamp", FaultType.WRONG, "teleop commands with stamp zero", "joy.zero_stamp"),
    ("future_stamp", FaultType.WRONG, "teleop commands from the future", "joy.future_stamp"),
    ("out_of_order", FaultType.WRONG, "teleop stamps run backwards", "joy.out_of_order"),
    ("wrong_type", FaultType.WRONG, "teleop/joy offered with another message type", ""),
)
PEOPLE = tuple(
    Fault(
        name=f"pad_{behaviour}",
        type=fault_type,
        title=title,
        setup=PAD,
        inject=tell("pad", behaviour),
        recover=show_neutral("pad"),
        detection_s=JOY_S,
        expect=("teleop_lost",),
        evidence=("controller", f"ignored.{counter}" if counter else INCOMPATIBLE_INPUT[behaviour]),
        latched=True,
        quick=behaviour == "nan",
    )
    for behaviour, fault_type, title, counter in _PEOPLE
)

CLOCKS = (
    Fault(
        name="clock_back",
        type=FaultType.WRONG,
        title="the controller's ROS clock jumps back 10 s",
        setup=CLOCKED,
        inject=tell("clock", "back"),
        recover=tell("clock", "ok"),
        detection_s=ACTION_S,
        expect=("no_action", "stale_action"),
        evidence=("controller", "ignored.clock.set_back"),
        quick=True,
    ),
    Fault(
        name="clock_forward",
        type=FaultType.WRONG,
        title="the controller's ROS clock jumps forward 10 s",
        setup=CLOCKED,
        inject=tell("clock", "forward"),
        recover=tell("clock", "ok"),
        detection_s=ACTION_S,
        expect=("stale_action",),
        evidence=("controller", "ignored.action.too_old"),
    ),
    Fault(
        name="clock_paused",
        type=FaultType.STUCK,
        title="simulated time stands still",
        setup=CLOCKED,
        inject=tell("clock", "paused"),
        recover=tell("clock", "ok"),
        # The controller's time goes on for one step of /clock, as read at its ticks. A stamp ahead of it counts as new
        # when it is read: at the tick after its arrival.
        detection_s=ACTION_S + DEFAULTS.staleness.future_s + 2 * DEFAULTS.period_s,
        expect=("stale_action",),
        evidence=("controller", "ignored.action.future_stamp"),
    ),
)

_SECOND: tuple[tuple[str, tuple[str, ...], dict[str, bool], str], ...] = (
    ("second_policy", ("policy", "second_policy"), {}, "another node offers policy/action"),
    ("second_scan", ("policy", "scan", "second_scan"), {"range_guard.use_scan": True}, "another node offers scan"),
)
SECOND_PUBLISHER = (
    Fault(
        name="second_publisher",
        type=FaultType.WRONG,
        title="another node offers the command topic",
        setup=Setup(actors=("policy", "intruder")),
        inject=tell("intruder", "ok"),
        recover=tell("intruder", "withdrawn"),
        detection_s=WATCH_S + DISCOVERY_S,
        expect=("second_publisher",),
        evidence=("controller", "second_publisher"),
        quick=True,
    ),
    *(
        Fault(
            name=role,
            type=FaultType.WRONG,
            title=title,
            setup=Setup(actors=actors, parameters={"controller": values}),
            inject=tell(role, "ok"),
            recover=tell(role, "withdrawn"),
            detection_s=MATCH_S + DISCOVERY_S,
            expect=("second_publisher",),
            evidence=("controller", f"/{role}_stand_in"),
        )
        for role, actors, values, title in _SECOND
    ),
)

FAULTS = (*ACTIONS, *SENSORS, BLIND_AHEAD, *PEOPLE, *CLOCKS, *SECOND_PUBLISHER)
