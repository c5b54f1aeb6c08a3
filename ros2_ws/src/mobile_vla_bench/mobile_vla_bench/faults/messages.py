"""Messages that lie: numbers, stamps, frames, types, qualities of service, clocks; and a second commander."""

from __future__ import annotations

from mobile_vla_bench.faults.deeds import show_neutral, tell
from mobile_vla_bench.faults.fault import Fault, Word
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
UNHEARD = {"wrong_type": "and read here as", "best_effort": "with another quality of service"}


def _evidence(kind: str, counter: str) -> str:
    return counter if counter.startswith("failed.") else f"ignored.{kind}.{counter}"


_ACTIONS = (
    ("nan", Word.GARBAGE, "NaN in an action", "not_finite"),
    ("inf", Word.GARBAGE, "infinity in an action", "not_finite"),
    ("huge", Word.GARBAGE, "1e300 in an action", "out_of_range"),
    ("zero_stamp", Word.WRONG, "actions with stamp zero", "zero_stamp"),
    ("negative_stamp", Word.WRONG, "actions with a stamp before zero", "zero_stamp"),
    ("cut_off", Word.GARBAGE, "actions that end in the middle", "failed./policy/action.Undecodable"),
    ("future_stamp", Word.WRONG, "actions stamped 5 s in the future", "future_stamp"),
    ("out_of_order", Word.WRONG, "actions whose stamps run backwards", "out_of_order"),
    ("wrong_frame", Word.WRONG, "actions for another action space", "wrong_space"),
    ("wrong_type", Word.WRONG, "policy/action offered with another message type", ""),
    ("best_effort", Word.WRONG, "policy/action offered with a quality of service that does not match", ""),
)
ACTIONS = tuple(
    Fault(
        name=f"policy_{behaviour}",
        word=word,
        what=what,
        strike=tell("policy", behaviour),
        heal=tell("policy", "ok"),
        notice_s=ACTION_S,
        expect=("stale_action" if counter else "incompatible_input",),
        evidence=("controller", _evidence("action", counter) if counter else UNHEARD[behaviour]),
        quick=behaviour in ("nan", "huge", "cut_off", "future_stamp", "out_of_order", "wrong_type"),
    )
    for behaviour, word, what, counter in _ACTIONS
)

_SENSORS = (
    ("scan", SCAN, RANGE_S, "range_timeout", "nan", Word.GARBAGE, "a scan of NaN", "scan.invalid"),
    ("scan", SCAN, RANGE_S, "range_timeout", "zero_stamp", Word.WRONG, "scans with stamp zero", "scan.zero_stamp"),
    ("scan", SCAN, RANGE_S, "range_timeout", "future_stamp", Word.WRONG, "scans from the future", "scan.future_stamp"),
    (
        "scan",
        SCAN,
        RANGE_S,
        "range_timeout",
        "out_of_order",
        Word.WRONG,
        "scan stamps run backwards",
        "scan.out_of_order",
    ),
    ("scan", SCAN, RANGE_S, "range_timeout", "two", Word.WRONG, "scans of two scanners in turn", "scan.changing"),
    ("scan", SCAN, RANGE_S, "range_timeout", "wrong_type", Word.WRONG, "scan offered with another message type", ""),
    ("range", RANGE, RANGE_S, "range_timeout", "nan", Word.GARBAGE, "a range of NaN", "range.invalid"),
    ("odom", ODOMETRY, ODOMETRY_S, "odometry_timeout", "nan", Word.GARBAGE, "odometry of NaN", "odometry.not_finite"),
    (
        "odom",
        ODOMETRY,
        ODOMETRY_S,
        "odometry_timeout",
        "zero_stamp",
        Word.WRONG,
        "odometry unstamped",
        "odometry.zero_stamp",
    ),
)
BLIND_AHEAD = Fault(
    name="scan_blind_ahead",
    word=Word.GARBAGE,
    what="the third of the beams that looks ahead turns NaN",
    setup=SCAN,
    strike=tell("scan", "blind_ahead"),
    heal=tell("scan", "ok"),
    notice_s=SCAN_S,
    expect=("range_unseen",),
    quick=True,
)
SENSORS = tuple(
    Fault(
        name=f"{role}_{behaviour}",
        word=word,
        what=what,
        setup=setup,
        strike=tell(role, behaviour),
        heal=tell(role, "ok"),
        notice_s=timeout_s,
        expect=(reason,),
        evidence=("controller", f"ignored.{counter}" if counter else UNHEARD[behaviour]),
        quick=(role, behaviour) == ("scan", "nan"),
    )
    for role, setup, timeout_s, reason, behaviour, word, what, counter in _SENSORS
)

_PEOPLE = (
    ("nan", Word.GARBAGE, "NaN from the gamepad node", "joy.not_finite"),
    ("huge", Word.GARBAGE, "1e300 from the gamepad node", "joy.implausible"),
    ("zero_stamp", Word.WRONG, "teleop commands with stamp zero", "joy.zero_stamp"),
    ("future_stamp", Word.WRONG, "teleop commands from the future", "joy.future_stamp"),
    ("out_of_order", Word.WRONG, "teleop stamps run backwards", "joy.out_of_order"),
    ("wrong_type", Word.WRONG, "teleop/joy offered with another message type", ""),
)
PEOPLE = tuple(
    Fault(
        name=f"pad_{behaviour}",
        word=word,
        what=what,
        setup=PAD,
        strike=tell("pad", behaviour),
        heal=show_neutral("pad"),
        notice_s=JOY_S,
        expect=("teleop_lost",),
        evidence=("controller", f"ignored.{counter}" if counter else UNHEARD[behaviour]),
        latched=True,
        quick=behaviour == "nan",
    )
    for behaviour, word, what, counter in _PEOPLE
)

CLOCKS = (
    Fault(
        name="clock_back",
        word=Word.WRONG,
        what="the controller's ROS clock jumps back 10 s",
        setup=CLOCKED,
        strike=tell("clock", "back"),
        heal=tell("clock", "ok"),
        notice_s=ACTION_S,
        expect=("no_action", "stale_action"),
        evidence=("controller", "ignored.clock.set_back"),
        quick=True,
    ),
    Fault(
        name="clock_forward",
        word=Word.WRONG,
        what="the controller's ROS clock jumps forward 10 s",
        setup=CLOCKED,
        strike=tell("clock", "forward"),
        heal=tell("clock", "ok"),
        notice_s=ACTION_S,
        expect=("stale_action",),
        evidence=("controller", "ignored.action.too_old"),
    ),
    Fault(
        name="clock_paused",
        word=Word.STUCK,
        what="simulated time stands still",
        setup=CLOCKED,
        strike=tell("clock", "paused"),
        heal=tell("clock", "ok"),
        # The controller's time goes on for one step of /clock, as read at its ticks. A stamp ahead of it counts as new
        # when it is read: at the tick after its arrival.
        notice_s=ACTION_S + DEFAULTS.staleness.future_s + 2 * DEFAULTS.period_s,
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
        word=Word.WRONG,
        what="another node offers the command topic",
        setup=Setup(actors=("policy", "intruder")),
        strike=tell("intruder", "ok"),
        heal=tell("intruder", "withdrawn"),
        notice_s=WATCH_S + DISCOVERY_S,
        expect=("second_publisher",),
        evidence=("controller", "second_publisher"),
        quick=True,
    ),
    *(
        Fault(
            name=role,
            word=Word.WRONG,
            what=what,
            setup=Setup(actors=actors, parameters={"controller": values}),
            strike=tell(role, "ok"),
            heal=tell(role, "withdrawn"),
            notice_s=MATCH_S + DISCOVERY_S,
            expect=("second_publisher",),
            evidence=("controller", f"/{role}_stand_in"),
        )
        for role, actors, values, what in _SECOND
    ),
)

FAULTS = (*ACTIONS, *SENSORS, BLIND_AHEAD, *PEOPLE, *CLOCKS, *SECOND_PUBLISHER)
