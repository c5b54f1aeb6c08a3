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
from mobile_vla_bench.faults.deeds import Deed, freeze, kill, restart, tell, thaw
from mobile_vla_bench.faults.fault import Fault, Word
from mobile_vla_bench.faults.rig import Rig, parameter_messages
from mobile_vla_bench.faults.scripted_inference import EXCEPTIONS
from mobile_vla_bench.faults.setup import Broken, Setup
from mobile_vla_bench.faults.sources import ACTION_S

FRAME_S = 0.1
FROZEN_S = HealthConfig().frozen_after_s
PAUSE_S = 2 * ControllerConfig().output.silence_s
SPARE_BYTES = 24_000_000
END_S = 5.0
BOOT_S = 12.0
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


def kill_node(name: str) -> Deed:
    """SIGKILL a node."""
    return lambda rig: rig.kill(name)


def signal_node(name: str, number: signal.Signals) -> Deed:
    """Send a signal to a node; the steady time just before."""

    def deed(rig: Rig) -> int:
        struck_ns = time.monotonic_ns()
        rig.processes[name].send(number)
        return struck_ns

    return deed


def launch(name: str) -> Deed:
    """Start a node again."""
    return lambda rig: rig.launch(name).pid


def fail_steps(rig: Rig) -> int:
    """From now on every step of the policy raises."""
    (rig.folder / EXCEPTIONS).touch()
    return time.monotonic_ns()


def restore_steps(rig: Rig) -> None:
    """The policy works again."""
    (rig.folder / EXCEPTIONS).unlink()


def take_memory(rig: Rig) -> int:
    """The inference process may have hardly more memory than it has now: the policy's next buffer is refused."""
    pid = rig.processes["inference"].pid
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    struck_ns = time.monotonic_ns()
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return struck_ns


def give_memory(rig: Rig) -> None:
    """All of it again; a process that did not survive is started again."""
    process = rig.processes["inference"]
    if process.returncode is not None:
        rig.launch("inference")
        return
    resource.prlimit(process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def shut_down(number: signal.Signals) -> Deed:
    """Ask the controller to end while it drives, twice as launchers do; it must end well, with a zero as last word."""

    def deed(rig: Rig) -> int:
        process = rig.processes["controller"]
        struck_ns = time.monotonic_ns()
        process.send(number)
        process.send(number)
        rig.until(lambda: process.returncode is not None, END_S, "the controller's end")
        rig.spin(0.1)
        if rig.moving:
            raise Broken("the last command before the end moves the robot")
        if process.returncode != 0:
            raise Broken(f"the controller ended with code {process.returncode}")
        return struck_ns

    return deed


def start_controller(rig: Rig) -> None:
    """Another controller process; it boots disarmed."""
    rig.forget_controller()
    rig.launch("controller")
    rig.until(lambda: rig.mode_is("disarmed"), BOOT_S, "the new controller's first word")


def pause_controller(rig: Rig) -> int:
    """SIGSTOP while driving, for longer than a base waits, then SIGCONT; the steady time just before that."""
    process = rig.processes["controller"]
    process.send(signal.SIGSTOP)
    rig.spin(PAUSE_S)
    before = len(rig.samples)
    struck_ns = time.monotonic_ns()
    process.send(signal.SIGCONT)
    rig.until(lambda: len(rig.samples) > before, END_S, "a command after the pause")
    if rig.samples[before].moving:
        raise Broken("the first command after the pause moves the robot")
    rig.judge.restart()
    return struck_ns


def kill_controller(rig: Rig) -> int:
    """SIGKILL while driving. Until the supervisor has another one up only the base's own watchdog can stop it."""
    struck_ns = rig.kill("controller")
    rig.spin(0.1)
    rig.forget_controller()
    before = len(rig.samples)
    rig.until(lambda: rig.mode_is("disarmed"), BOOT_S, "the respawned controller's first word")
    if any(sample.moving for sample in rig.samples[before:]):
        raise Broken("the respawned controller moved the robot before anybody armed it")
    return struck_ns


def set_nonsense(rig: Rig) -> int:
    """Parameters out of range: each refused with a sentence."""
    struck_ns = time.monotonic_ns()
    for name, value in BAD_PARAMETERS.items():
        (result,) = rig.set_parameters(parameter_messages({name: value}))
        if result.successful or not result.reason:
            raise Broken(f"{name}={value} was {'accepted' if result.successful else 'refused without a reason'}")
    return struck_ns


def raise_limits(rig: Rig) -> int:
    """Velocity limits beyond those of the start: each refused with the value at the start."""
    struck_ns = time.monotonic_ns()
    for name, value in RAISED_PARAMETERS.items():
        (result,) = rig.set_parameters(parameter_messages({name: value}))
        if result.successful or "was started with" not in result.reason:
            raise Broken(f"{name}={value} was {'accepted' if result.successful else f'refused: {result.reason}'}")
    return struck_ns


def set_unknown_type(rig: Rig) -> int:
    """A parameter of a type that does not exist: refused, the controller lives on."""
    struck_ns = time.monotonic_ns()
    strange = ParameterMessage(name="rate_hz", value=ParameterValue(type=UNKNOWN_TYPE))
    (result,) = rig.set_parameters([strange])
    if result.successful or not result.reason:
        raise Broken(f"a parameter of type {UNKNOWN_TYPE} was not refused with a reason")
    return struck_ns


_PICTURES = (
    ("frozen", Word.STUCK, "identical frames with fresh stamps", FROZEN_S + ACTION_S, "camera frozen"),
    ("black", Word.GARBAGE, "black frames", ACTION_S, "black frame"),
    ("other_encoding", Word.WRONG, "the encoding changes mid-stream", ACTION_S, "mid-stream"),
    ("smaller", Word.WRONG, "the resolution changes mid-stream", ACTION_S, "mid-stream"),
    ("zero_stamp", Word.WRONG, "frames with stamp zero", ACTION_S, "s old"),
    ("negative_stamp", Word.WRONG, "frames with a stamp before zero", ACTION_S, "s old"),
    ("future_stamp", Word.WRONG, "frames from the future", ACTION_S, "future"),
)
PICTURES = tuple(
    Fault(
        name=f"camera_{behaviour}",
        word=word,
        what=what,
        setup=VISION,
        strike=tell("camera", behaviour),
        heal=tell("camera", "ok"),
        notice_s=notice_s + FRAME_S,
        expect=("stale_action", "image_unhealthy"),
        evidence=("inference", said),
        quick=behaviour in ("frozen", "black"),
    )
    for behaviour, word, what, notice_s, said in _PICTURES
)

CAMERA = (
    Fault(
        name="camera_killed",
        word=Word.OFF,
        what="SIGKILL to the camera",
        setup=VISION,
        strike=kill("camera"),
        heal=restart("camera"),
        notice_s=ACTION_S,
        expect=("stale_action",),
        evidence=("inference", "no camera frames"),
    ),
    Fault(
        name="camera_stopped",
        word=Word.STUCK,
        what="SIGSTOP to the camera",
        setup=VISION,
        strike=freeze("camera"),
        heal=thaw("camera"),
        notice_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="camera_slow",
        word=Word.SLOW,
        what="a tenth of the frame rate: brakes between two frames",
        setup=VISION,
        strike=tell("camera", "slow"),
        heal=tell("camera", "ok"),
        notice_s=ACTION_S,
        expect=("stale_action",),
        stays=False,
    ),
)

INFERENCE = (
    Fault(
        name="inference_killed",
        word=Word.OFF,
        what="SIGKILL to the inference process",
        setup=VISION,
        strike=kill_node("inference"),
        heal=launch("inference"),
        notice_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="inference_stopped",
        word=Word.STUCK,
        what="SIGSTOP to the inference process",
        setup=VISION,
        strike=signal_node("inference", signal.SIGSTOP),
        heal=signal_node("inference", signal.SIGCONT),
        notice_s=ACTION_S,
        expect=("stale_action",),
    ),
    Fault(
        name="inference_exceptions",
        word=Word.GARBAGE,
        what="every step of the policy raises",
        setup=VISION,
        strike=fail_steps,
        heal=restore_steps,
        notice_s=ACTION_S,
        expect=("stale_action", "policy_not_ready"),
        evidence=("inference", "a kernel failed"),
        quick=True,
    ),
    Fault(
        name="inference_out_of_memory",
        word=Word.GARBAGE,
        what="the inference process gets no more memory",
        setup=VISION,
        strike=take_memory,
        heal=give_memory,
        notice_s=ACTION_S,
        expect=("stale_action", "policy_not_ready"),
        evidence=("inference", "allocate"),
    ),
    Fault(
        name="inference_respawned",
        word=Word.OFF,
        what="the inference process is killed; the supervisor starts another, autonomy goes on by itself",
        setup=RESPAWNED,
        strike=kill_node("inference"),
        notice_s=ACTION_S,
        expect=("stale_action",),
    ),
)

CONTROLLER = (
    Fault(
        name="sigint_while_moving",
        word=Word.OFF,
        what="SIGINT to the controller while it drives: a zero is its last word",
        strike=shut_down(signal.SIGINT),
        heal=start_controller,
        notice_s=0.0,
        abrupt=True,
        silence_allowed=True,
        quick=True,
    ),
    *(
        Fault(
            name=f"{number.name.lower()}_while_moving",
            word=Word.OFF,
            what=f"{number.name} to the controller while it drives: a zero is its last word",
            strike=shut_down(number),
            heal=start_controller,
            notice_s=0.0,
            abrupt=True,
            silence_allowed=True,
        )
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    ),
    Fault(
        name="controller_killed",
        word=Word.OFF,
        what="SIGKILL to the controller while it drives: the next one boots disarmed (the stop itself is the base's)",
        setup=SUPERVISED,
        strike=kill_controller,
        notice_s=None,
        expect=("disarmed",),
        latched=True,
        silence_allowed=True,
        most_repeats=10,
    ),
    Fault(
        name="controller_paused",
        word=Word.STUCK,
        what=f"SIGSTOP to the controller while it drives, SIGCONT after {PAUSE_S:g} s: it restarts from rest",
        strike=pause_controller,
        notice_s=0.0,
        expect=("policy_reset", "no_action", "stale_action"),
        stays=False,
        abrupt=True,
        silence_allowed=True,
        quick=True,
    ),
    Fault(
        name="parameter_out_of_range",
        word=Word.WRONG,
        what=f"{len(BAD_PARAMETERS)} impossible parameters at run time, each refused; driving goes on",
        strike=set_nonsense,
        notice_s=None,
        keeps_driving=True,
        quick=True,
    ),
    Fault(
        name="parameter_raises_limit",
        word=Word.WRONG,
        what=f"{len(RAISED_PARAMETERS)} velocity limits raised at run time, each refused; driving goes on",
        strike=raise_limits,
        notice_s=None,
        keeps_driving=True,
    ),
    Fault(
        name="parameter_of_unknown_type",
        word=Word.GARBAGE,
        what=f"a parameter of type {UNKNOWN_TYPE} at run time: refused, and driving goes on",
        strike=set_unknown_type,
        notice_s=None,
        keeps_driving=True,
        evidence=("controller", "failed.service controller/set_parameters"),
        quick=True,
    ),
)

FAULTS = (*PICTURES, *CAMERA, *INFERENCE, *CONTROLLER)
