"""A machine in trouble: no processor time, too many messages, a full disk, nowhere to log. The stop must still come."""

from __future__ import annotations

import resource
from contextlib import ExitStack

from mobile_vla_bench.busy import busy_cores
from mobile_vla_bench.faults.estop import reset, stop_by_device
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import pause, resume, tell
from mobile_vla_bench.faults.messages import DISCOVERY_S, MATCH_S
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bench.faults.sources import ACTION_S

BUSY_PROCESSES_PER_CORE = 2
SETTLE_S = 1.0
DISK_BYTES = 4096
UNWRITABLE = "/proc/mobile_vla_log"
DISK_ERROR_TIMEOUT_S = 15.0
RATE_WINDOW_S = 2.0
ALL_INPUTS = {"controller": {"range_guard.use_scan": True, "range_guard.use_range": True, "require.odometry": True}}
LEAST_RATE_HZ = 29.0


def load_processors(rig: Rig) -> None:
    """Two busy processes per core, until the rig is left."""
    busy = ExitStack()
    rig.on_leaving(busy.close)
    busy.enter_context(busy_cores(BUSY_PROCESSES_PER_CORE))
    rig.spin(SETTLE_S)


def begin_flood(rig: Rig) -> None:
    """Garbage at 1 kHz on every other input of the controller, from now on."""
    rig.tell("flood", "flood")
    rig.spin(SETTLE_S)


def fill_disk(rig: Rig) -> None:
    """The recorder's files cannot grow any more; it must say so."""
    resource.prlimit(rig.processes["recorder"].pid, resource.RLIMIT_FSIZE, (DISK_BYTES, resource.RLIM_INFINITY))
    rig.until(lambda: rig.evidence("recorder", "too large"), DISK_ERROR_TIMEOUT_S, "the recorder's complaint")


def release_device(rig: Rig) -> None:
    """Let the stop device go and reset."""
    rig.press_estop(False)
    rig.spin(0.2)
    reset(rig)


STARVED = (
    Fault(
        name="cpu_starved",
        type=FaultType.SLOW,
        title=f"{BUSY_PROCESSES_PER_CORE} busy processes per core, and then the policy hangs",
        inject=pause("policy"),
        recover=resume("policy"),
        prepare=load_processors,
        detection_s=ACTION_S,
        expect=("stale_action",),
        exclusive=True,
    ),
    Fault(
        name="cpu_starved_estop",
        type=FaultType.SLOW,
        title=f"{BUSY_PROCESSES_PER_CORE} busy processes per core, and then the emergency stop",
        inject=stop_by_device,
        recover=release_device,
        prepare=load_processors,
        detection_s=0.0,
        expect=("estop",),
        latched=True,
        abrupt_stop=True,
        exclusive=True,
        max_repeats=10,
    ),
)


def check_tick_rate(rig: Rig) -> None:
    """Commands at the configured rate, by their own stamps."""
    rate_hz = rig.tick_rate_hz(RATE_WINDOW_S)
    if rate_hz < LEAST_RATE_HZ:
        raise PromiseBroken(f"the tick came at {rate_hz:.1f} Hz during the flood, promised {LEAST_RATE_HZ:g}")


def begin_diagnostics(rig: Rig) -> None:
    """150 arrays of 200 statuses a second."""
    rig.tell("diagnostics_flood", "ok")
    rig.spin(SETTLE_S)


def silence_policy(rig: Rig) -> int:
    """The tick keeps its rate in the flood, and then the policy goes silent."""
    check_tick_rate(rig)
    return rig.tell("policy", "silent")


def flood_everything(rig: Rig) -> int:
    """1 kHz on every input at once; the tick keeps its rate."""
    injected_ns = rig.tell("everything", "flood")
    check_tick_rate(rig)
    return injected_ns


def end_flood_of_everything(rig: Rig) -> None:
    """Where the flood was too much to carry, messages of a stop device were lost: that has latched a stop."""
    rig.tell("everything", "ok")
    rig.spin(SETTLE_S)
    if rig.mode_is("estop"):
        reset(rig)


FLOODS = (
    Fault(
        name="flood_of_diagnostics",
        type=FaultType.GARBAGE,
        title="150 Hz of 200 statuses on /diagnostics: at least 29 ticks a second; and then the policy goes silent",
        setup=Setup(actors=("policy", "diagnostics_flood")),
        inject=silence_policy,
        recover=tell("policy", "ok"),
        prepare=begin_diagnostics,
        detection_s=ACTION_S,
        expect=("stale_action",),
        quick=True,
    ),
    Fault(
        name="flood_of_everything",
        type=FaultType.GARBAGE,
        title="1 kHz on every input of the controller at once: at least 29 ticks a second",
        setup=Setup(actors=("policy", "scan", "range", "odom", "everything"), parameters=ALL_INPUTS),
        inject=flood_everything,
        recover=end_flood_of_everything,
        detection_s=None,
        expect=("fault", "estop"),
    ),
    Fault(
        name="flood",
        type=FaultType.GARBAGE,
        title="1 kHz of garbage on teleop, scan, odometry, estop and diagnostics, and then the policy goes silent",
        setup=Setup(actors=("policy", "flood")),
        inject=tell("policy", "silent"),
        recover=tell("policy", "ok"),
        prepare=begin_flood,
        detection_s=ACTION_S,
        expect=("stale_action",),
        evidence=("controller", "ignored.web.not_finite"),
    ),
    Fault(
        name="flood_of_actions",
        type=FaultType.GARBAGE,
        title="1 kHz of NaN on the action topic itself: none of it moves the robot, and the second publisher is named",
        setup=Setup(actors=("policy", "action_flood")),
        inject=tell("action_flood", "flood"),
        recover=tell("action_flood", "withdrawn"),
        detection_s=MATCH_S + DISCOVERY_S,
        expect=("second_publisher",),
        evidence=("controller", "ignored.action.not_finite"),
    ),
)

STORAGE = (
    Fault(
        name="disk_full",
        type=FaultType.OFF,
        title="the disk takes nothing more while recording, and then the policy goes silent",
        setup=Setup(recorder=True),
        inject=tell("policy", "silent"),
        recover=tell("policy", "ok"),
        prepare=fill_disk,
        detection_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="log_unwritable",
        type=FaultType.OFF,
        title="the log directory cannot be made, and then the policy goes silent",
        setup=Setup(environ={"ROS_LOG_DIR": UNWRITABLE}),
        inject=tell("policy", "silent"),
        recover=tell("policy", "ok"),
        detection_s=ACTION_S,
        expect=("stale_action",),
    ),
)

FAULTS = (*STARVED, *FLOODS, *STORAGE)
