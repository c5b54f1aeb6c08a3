"""The controller itself: ended by signals, killed, paused, given wrong parameters."""

from __future__ import annotations

import math
import signal
import time

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue

from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import (
    Injection,
)
from mobile_vla_bench.faults.observer import parameter_messages
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import PromiseBroken, Setup

PAUSE_S = 2 * ControllerConfig().output.silence_s
END_TIMEOUT_S = 5.0
BOOT_TIMEOUT_S = 12.0
SUPERVISED = Setup(supervised=("controller",))
UNKNOWN_TYPE = 99
BAD_PARAMETERS = {
    "limits.linear.velocity_mps": 1e9,
    "limits.linear.accel_mps2": -1.0,
    "limits.linear.decel_mps2": 1e-6,
    "limits.turn.velocity_radps": math.nan,
    "staleness.action_min_s": 0.01,
    "teleop.joy.timeout_s": 0.01,
    "teleop.keyboard.priority": 30,
    "action.linear_mps": 5.0,
    "output.idle": "whatever",
    "rate_hz": 1000.0,
}
RAISED_PARAMETERS = {
    "limits.linear.velocity_mps": 0.6,
    "limits.linear.reverse_mps": 0.3,
    "limits.turn.velocity_radps": 1.1,
    "range_guard.unseen_mps": 0.2,
}
"""Each beyond what the battery starts its controllers with, and within what the configuration accepts."""


def shut_down(number: signal.Signals) -> Injection:
    """Ask the controller to end while it drives, twice as launchers do; it must end well, with a zero as last word."""

    def inject(rig: Rig) -> int:
        process = rig.processes["controller"]
        injected_ns = time.monotonic_ns()
        process.send(number)
        process.send(number)
        rig.until(lambda: process.returncode is not None, END_TIMEOUT_S, "the controller's end")
        rig.spin(0.1)
        if rig.moving:
            raise PromiseBroken("the last command before the end moves the robot")
        if process.returncode != 0:
            raise PromiseBroken(f"the controller ended with code {process.returncode}")
        return injected_ns

    return inject


def start_controller(rig: Rig) -> None:
    """Another controller process; it boots disarmed."""
    rig.forget_controller()
    rig.launch("controller")
    rig.until(lambda: rig.mode_is("disarmed"), BOOT_TIMEOUT_S, "the new controller's first word")


def pause_controller(rig: Rig) -> int:
    """SIGSTOP while driving, for longer than a base waits, then SIGCONT; the steady time just before that."""
    process = rig.processes["controller"]
    process.send(signal.SIGSTOP)
    rig.spin(PAUSE_S)
    before = len(rig.samples)
    injected_ns = time.monotonic_ns()
    process.send(signal.SIGCONT)
    rig.until(lambda: len(rig.samples) > before, END_TIMEOUT_S, "a command after the pause")
    if rig.samples[before].moving:
        raise PromiseBroken("the first command after the pause moves the robot")
    rig.judge.restart()
    return injected_ns


def kill_controller(rig: Rig) -> int:
    """SIGKILL while driving. Until the supervisor has another one up only the base's own watchdog can stop it."""
    injected_ns = rig.kill("controller")
    rig.spin(0.1)
    rig.forget_controller()
    before = len(rig.samples)
    rig.until(lambda: rig.mode_is("disarmed"), BOOT_TIMEOUT_S, "the respawned controller's first word")
    if any(sample.moving for sample in rig.samples[before:]):
        raise PromiseBroken("the respawned controller moved the robot before anybody armed it")
    return injected_ns


def set_invalid_parameters(rig: Rig) -> int:
    """Parameters out of range: each refused with a sentence."""
    injected_ns = time.monotonic_ns()
    for name, value in BAD_PARAMETERS.items():
        (result,) = rig.set_parameters(parameter_messages({name: value}))
        if result.successful or not result.reason:
            raise PromiseBroken(f"{name}={value} was {'accepted' if result.successful else 'refused without a reason'}")
    return injected_ns


def raise_limits(rig: Rig) -> int:
    """Velocity limits beyond those of the start: each refused with the value at the start."""
    injected_ns = time.monotonic_ns()
    for name, value in RAISED_PARAMETERS.items():
        (result,) = rig.set_parameters(parameter_messages({name: value}))
        if result.successful or "was started with" not in result.reason:
            raise PromiseBroken(
                f"{name}={value} was {'accepted' if result.successful else f'refused: {result.reason}'}"
            )
    return injected_ns


def set_unknown_type(rig: Rig) -> int:
    """A parameter of a type that does not exist: refused, the controller lives on."""
    injected_ns = time.monotonic_ns()
    strange = ParameterMessage(name="rate_hz", value=ParameterValue(type=UNKNOWN_TYPE))
    (result,) = rig.set_parameters([strange])
    if result.successful or not result.reason:
        raise PromiseBroken(f"a parameter of type {UNKNOWN_TYPE} was not refused with a reason")
    return injected_ns


FAULTS = (
    Fault(
        name="sigint_while_moving",
        type=FaultType.OFF,
        title="SIGINT to the controller while it drives: a zero is its last word",
        inject=shut_down(signal.SIGINT),
        recover=start_controller,
        detection_s=0.0,
        abrupt_stop=True,
        silence_allowed=True,
        quick=True,
    ),
    *(
        Fault(
            name=f"{number.name.lower()}_while_moving",
            type=FaultType.OFF,
            title=f"{number.name} to the controller while it drives: a zero is its last word",
            inject=shut_down(number),
            recover=start_controller,
            detection_s=0.0,
            abrupt_stop=True,
            silence_allowed=True,
        )
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    ),
    Fault(
        name="controller_killed",
        type=FaultType.OFF,
        title="SIGKILL to the controller while it drives: the next one boots disarmed (the stop itself is the base's)",
        setup=SUPERVISED,
        inject=kill_controller,
        detection_s=None,
        expect=("disarmed",),
        latched=True,
        silence_allowed=True,
        max_repeats=10,
    ),
    Fault(
        name="controller_paused",
        type=FaultType.STUCK,
        title=f"SIGSTOP to the controller while it drives, SIGCONT after {PAUSE_S:g} s: it restarts from rest",
        inject=pause_controller,
        detection_s=0.0,
        expect=("policy_reset", "no_action", "stale_action"),
        stays_stopped=False,
        abrupt_stop=True,
        silence_allowed=True,
        quick=True,
    ),
    Fault(
        name="parameter_out_of_range",
        type=FaultType.WRONG,
        title=f"{len(BAD_PARAMETERS)} impossible parameters at run time, each refused; driving goes on",
        inject=set_invalid_parameters,
        detection_s=None,
        keeps_driving=True,
        quick=True,
    ),
    Fault(
        name="parameter_raises_limit",
        type=FaultType.WRONG,
        title=f"{len(RAISED_PARAMETERS)} velocity limits raised at run time, each refused; driving goes on",
        inject=raise_limits,
        detection_s=None,
        keeps_driving=True,
    ),
    Fault(
        name="parameter_of_unknown_type",
        type=FaultType.GARBAGE,
        title=f"a parameter of type {UNKNOWN_TYPE} at run time: refused, and driving goes on",
        inject=set_unknown_type,
        detection_s=None,
        keeps_driving=True,
        evidence=("controller", "failed.service controller/set_parameters"),
        quick=True,
    ),
)
