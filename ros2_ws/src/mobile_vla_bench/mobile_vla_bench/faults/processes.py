"""Processes and pictures: the camera, the real inference process, the controller itself, parameters, shutdown."""

from __future__ import annotations

import math
import resource
import signal
import time
from pathlib import Path

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterValue

from mobile_vla.camera.config import HealthConfig
from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import Injection, kill, pause, restart, resume, tell
from mobile_vla_bench.faults.rig import Rig, parameter_messages
from mobile_vla_bench.faults.scripted_inference import EXCEPTIONS
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bench.faults.sources import ACTION_S

FRAME_S = 0.1
FROZEN_S = HealthConfig().frozen_after_s
PAUSE_S = 2 * ControllerConfig().output.silence_s
SPARE_BYTES = 24_000_000
END_TIMEOUT_S = 5.0
BOOT_TIMEOUT_S = 12.0
VISION = Setup(actors=("camera",), vision=True)
RESPAWNED = Setup(actors=("camera",), vision=True, supervised=("inference",))
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


def kill_node(name: str) -> Injection:
    """SIGKILL a node."""
    return lambda rig: rig.kill(name)


def signal_node(name: str, number: signal.Signals) -> Injection:
    """Send a signal to a node; the steady time just before."""

    def inject(rig: Rig) -> int:
        injected_ns = time.monotonic_ns()
        rig.processes[name].send(number)
        return injected_ns

    return inject


def launch(name: str) -> Injection:
    """Start a node again."""
    return lambda rig: rig.launch(name).pid


def fail_steps(rig: Rig) -> int:
    """From now on every step of the policy raises."""
    (rig.folder / EXCEPTIONS).touch()
    return time.monotonic_ns()


def restore_steps(rig: Rig) -> None:
    """The policy works again."""
    (rig.folder / EXCEPTIONS).unlink()


def limit_memory(rig: Rig) -> int:
    """The inference process may have hardly more memory than it has now: the policy's next buffer is refused."""
    pid = rig.processes["inference"].pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    injected_ns = time.monotonic_ns()
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return injected_ns


def lift_memory_limit(rig: Rig) -> None:
    """All of it again; a process that did not survive is started again."""
    process = rig.processes["inference"]
    if process.returncode is not None:
        rig.launch("inference")
        return
    resource.prlimit(process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


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


_PICTURES = (
    ("frozen", FaultType.STUCK, "identical frames with fresh stamps", FROZEN_S + ACTION_S, "camera frozen"),
    ("black", FaultType.GARBAGE, "black frames", ACTION_S, "black frame"),
    ("other_encoding", FaultType.WRONG, "the encoding changes mid-stream", ACTION_S, "mid-stream"),
    ("smaller", FaultType.WRONG, "the resolution changes mid-stream", ACTION_S, "mid-stream"),
    ("zero_stamp", FaultType.WRONG, "frames with stamp zero", ACTION_S, "s old"),
    ("negative_stamp", FaultType.WRONG, "frames with a stamp before zero", ACTION_S, "s old"),
    ("future_stamp", FaultType.WRONG, "frames from the future", ACTION_S, "future"),
)
PICTURES = tuple(
    Fault(
        name=f"camera_{behaviour}",
        type=fault_type,
        title=title,
        setup=VISION,
        inject=tell("camera", behaviour),
        recover=tell("camera", "ok"),
        detection_s=detection_s + FRAME_S,
        expect=("stale_action", "image_unhealthy"),
        evidence=("inference", reported),
        quick=behaviour in ("frozen", "black"),
    )
    for behaviour, fault_type, title, detection_s, reported in _PICTURES
)

CAMERA = (
    Fault(
        name="camera_killed",
        type=FaultType.OFF,
        title="SIGKILL to the camera",
        setup=VISION,
        inject=kill("camera"),
        recover=restart("camera"),
        detection_s=ACTION_S,
        expect=("stale_action",),
        evidence=("inference", "no camera frames"),
    ),
    Fault(
        name="camera_stopped",
        type=FaultType.STUCK,
        title="SIGSTOP to the camera",
        setup=VISION,
        inject=pause("camera"),
        recover=resume("camera"),
        detection_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="camera_slow",
        type=FaultType.SLOW,
        title="a tenth of the frame rate: brakes between two frames",
        setup=VISION,
        inject=tell("camera", "slow"),
        recover=tell("camera", "ok"),
        detection_s=ACTION_S,
        expect=("stale_action",),
        stays_stopped=False,
    ),
)

INFERENCE = (
    Fault(
        name="inference_killed",
        type=FaultType.OFF,
        title="SIGKILL to the inference process",
        setup=VISION,
        inject=kill_node("inference"),
        recover=launch("inference"),
        detection_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="inference_stopped",
        type=FaultType.STUCK,
        title="SIGSTOP to the inference process",
        setup=VISION,
        inject=signal_node("inference", signal.SIGSTOP),
        recover=signal_node("inference", signal.SIGCONT),
        detection_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="inference_exceptions",
        type=FaultType.GARBAGE,
        title="every step of the policy raises",
        setup=VISION,
        inject=fail_steps,
        recover=restore_steps,
        detection_s=ACTION_S,
        expect=("stale_action", "policy_not_ready"),
        evidence=("inference", "a kernel failed"),
        quick=True,
    ),
    Fault(
        name="inference_out_of_memory",
        type=FaultType.GARBAGE,
        title="the inference process gets no more memory",
        setup=VISION,
        inject=limit_memory,
        recover=lift_memory_limit,
        detection_s=ACTION_S,
        expect=("stale_action", "policy_not_ready"),
        evidence=("inference", "allocate"),
    ),
    Fault(
        name="inference_respawned",
        type=FaultType.OFF,
        title="the inference process is killed; the supervisor starts another, autonomy goes on by itself",
        setup=RESPAWNED,
        inject=kill_node("inference"),
        detection_s=ACTION_S,
        expect=("stale_action",),
    ),
)

CONTROLLER = (
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

FAULTS = (*PICTURES, *CAMERA, *INFERENCE, *CONTROLLER)
