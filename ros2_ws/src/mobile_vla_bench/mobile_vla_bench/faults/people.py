"""Stops, takeovers and gamepads: what people do, and what their devices do to them."""

from __future__ import annotations

import time
from collections.abc import Callable

from std_srvs.srv import SetBool

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import kill, pause, restart, resume, show_neutral, tell
from mobile_vla_bench.faults.judge import LimitJudge, from_rest
from mobile_vla_bench.faults.rig import Rig, parameter_messages
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bench.faults.sources import DEFAULTS, JOY_S
from mobile_vla_ros.topics import ARM, RESET_ESTOP, TRIGGER_ESTOP

PAD_PERIOD_S = 0.05
PAD_TIMEOUT_S = 0.25
PAD_FROZEN_S = 1.0
STILL_S = 0.4
DISCOVERY_S = 1.0
RESET_WITHIN_S = 2.0
STANDING_S = 2.0
AUTONOMY_BACK_S = JOY_S + 2 * DEFAULTS.teleop.dwell_s
EARLY_S = 0.1
MAX_HAND_BACKS = 5
HANDOVER_S = DEFAULTS.limits.handover.duration_s
GAMEPAD = Setup(actors=("policy", "joy"), gamepad=True, driver="joy")
FREEZING = Setup(
    actors=("policy", "joy"), gamepad=True, driver="joy", parameters={"gamepad": {"frozen_s": PAD_FROZEN_S}}
)


def stop_by_service(rig: Rig) -> int:
    """The e-stop service; a reset right after it must be refused."""
    sent_ns, _ = rig.call(TRIGGER_ESTOP)
    _check_reset_refused(rig, "right after the stop")
    return sent_ns


def stop_by_device(rig: Rig) -> int:
    """A stop device is pressed."""
    return rig.press_estop(True)


def reset(rig: Rig) -> None:
    """Release the latch once the delay is over; nothing may move until somebody arms."""
    rig.until(lambda: rig.call(RESET_ESTOP)[1].success, RESET_WITHIN_S, "the reset of the emergency stop")
    rig.spin(STILL_S)
    if rig.moving or not rig.mode_is("disarmed"):
        raise PromiseBroken(f"the reset restarted motion (state: {rig.state_text()})")


def release_device(rig: Rig) -> None:
    """A reset is refused while the device is pressed, and works after it."""
    _check_reset_refused(rig, "while the device was pressed")
    rig.press_estop(False)
    rig.spin(0.1)
    reset(rig)


def disarm(rig: Rig) -> int:
    """The operator disarms."""
    sent_ns, _ = rig.call(ARM, SetBool.Request(data=False))
    return sent_ns


def discover_services(rig: Rig) -> None:
    """Let the controller discover this process's clients before the clock runs, as those of a standing panel are."""
    for service in (TRIGGER_ESTOP, RESET_ESTOP, ARM):
        rig.client(service)
    rig.spin(DISCOVERY_S)


def hand_back(rig: Rig) -> None:
    """The person gives control back: autonomy returns after the dwell, within the hand-over limits.

    On a busy machine an action may come too late during the hand-over. The robot then brakes, which the hand-over set
    does not limit; such a hand-over shows nothing, so the person takes over and gives back once more.
    """
    for _ in range(MAX_HAND_BACKS):
        if _handed_back_undisturbed(rig):
            return
        taken_ns = rig.tell("pad", "ok 0 0")
        rig.until(lambda: "joy" in rig.reported(taken_ns) and not rig.moving, STANDING_S, "standing")  # noqa: B023
    raise PromiseBroken(f"autonomy was interrupted in each of {MAX_HAND_BACKS} hand-overs (state: {rig.state_text()})")


def _handed_back_undisturbed(rig: Rig) -> bool:
    """Judge one hand-over by the controller's stamps; false where something interrupted it."""
    before = len(rig.samples)
    released_ns = rig.tell("pad", "release")
    rig.until(lambda: "autonomy" in rig.reported(released_ns), 5.0, "autonomy after the hand-back")
    resumed_ns = next(when for when, words in rig.states if when >= released_ns and "autonomy" in words)
    if (resumed_ns - released_ns) / 1e9 < DEFAULTS.teleop.dwell_s - EARLY_S:
        raise PromiseBroken(f"autonomy came back {(resumed_ns - released_ns) / 1e9:.2f} s after the release")
    rig.spin(HANDOVER_S + EARLY_S)
    if any("autonomy" not in words for when, words in rig.states if when >= resumed_ns):
        return False
    judge = LimitJudge(_handover_limits(rig.promised))
    for sample in from_rest(rig.samples[before:], HANDOVER_S - EARLY_S):
        judge.take(sample)
    if judge.violations:
        raise PromiseBroken(f"hand-back beyond the hand-over limits: {judge.violations[0]}")
    return True


def enable_pad(enabled: bool) -> Callable[[Rig], int]:
    """Listen to the pad, or no longer, by parameter; the steady time after the answer."""

    def inject(rig: Rig) -> int:
        (result,) = rig.set_parameters(parameter_messages({"teleop.joy.enabled": enabled}))
        if not result.successful:
            raise PromiseBroken(f"teleop.joy.enabled was refused: {result.reason}")
        return time.monotonic_ns()

    return inject


def enable_pad_again(rig: Rig) -> None:
    """Enabled again, and the person lets the stick go."""
    enable_pad(True)(rig)
    show_neutral("pad")(rig)


def kill_at_rest(role: str) -> Callable[[Rig], int]:
    """The person stops, keeps control, and is gone."""

    def inject(rig: Rig) -> int:
        rig.tell(role, "ok 0 0")
        rig.until(lambda: not rig.moving, STANDING_S, "standing")
        rig.spin(STILL_S)
        return rig.actors[role].kill()

    return inject


def hold_until_release(role: str) -> Callable[[Rig], None]:
    """Nothing moves however long nobody says a word; a release, and only that, hands back."""

    def recover(rig: Rig) -> None:
        rig.spin(AUTONOMY_BACK_S)
        if rig.moving or not rig.mode_is("hold"):
            raise PromiseBroken(f"the robot did not wait for the person (state: {rig.state_text()})")
        restart(role, neutral=True)(rig)
        released_ns = rig.tell(role, "release")
        rig.until(lambda: "autonomy" in rig.reported(released_ns), 5.0, "autonomy after the release")

    return recover


def kill_gamepad(rig: Rig) -> int:
    """SIGKILL to the gamepad process."""
    return rig.kill("gamepad")


def restart_gamepad(rig: Rig) -> None:
    """Another gamepad process, and a pad at rest."""
    rig.forget_evidence()
    rig.launch("gamepad")
    rig.tell("joy", "released 0 0")
    rig.until(lambda: rig.evidence("gamepad", "ready"), 10.0, "a ready gamepad")
    rig.tell("joy", "ok 0 1")  # the deadman with the stick at rest: the controller sees neutral
    rig.spin(STILL_S)


def _check_reset_refused(rig: Rig, when: str) -> None:
    _, answer = rig.call(RESET_ESTOP)
    if answer.success:
        raise PromiseBroken(f"the emergency stop was reset {when}")


def _handover_limits(config: ControllerConfig) -> ControllerConfig:
    """The hand-over set as plain limits."""
    shares, linear, turn = config.limits.handover, config.limits.linear, config.limits.turn
    return with_values(
        config,
        {
            "action.linear_mps": linear.velocity_mps * shares.velocity_share,
            "action.turn_radps": turn.velocity_radps * shares.velocity_share,
            "limits.linear.velocity_mps": linear.velocity_mps * shares.velocity_share,
            "limits.linear.accel_mps2": linear.accel_mps2 * shares.accel_share,
            "limits.linear.jerk_mps3": linear.jerk_mps3 * shares.jerk_share,
            "limits.turn.velocity_radps": turn.velocity_radps * shares.velocity_share,
            "limits.turn.accel_radps2": turn.accel_radps2 * shares.accel_share,
            "limits.turn.jerk_radps3": turn.jerk_radps3 * shares.jerk_share,
        },
    )


STOPS = (
    Fault(
        name="estop_service",
        type=FaultType.OFF,
        title="emergency stop by service",
        inject=stop_by_service,
        recover=reset,
        prepare=discover_services,
        detection_s=0.0,
        expect=("estop",),
        evidence=("controller", "emergency stop is latched"),
        latched=True,
        abrupt_stop=True,
        quick=True,
    ),
    Fault(
        name="estop_topic",
        type=FaultType.OFF,
        title="emergency stop by a device on the estop topic",
        inject=stop_by_device,
        recover=release_device,
        detection_s=0.0,
        expect=("estop",),
        evidence=("controller", "emergency stop is latched"),
        latched=True,
        abrupt_stop=True,
        quick=True,
    ),
    Fault(
        name="estop_cut_off",
        type=FaultType.GARBAGE,
        title="bytes on the estop topic that are no message: a device that cannot be understood may be pressed",
        inject=lambda rig: rig.send_malformed_estop(),
        recover=reset,
        detection_s=0.0,
        expect=("estop",),
        evidence=("controller", "failed.estop.Undecodable"),
        latched=True,
        abrupt_stop=True,
    ),
    Fault(
        name="disarm_while_driving",
        type=FaultType.OFF,
        title="the operator disarms a moving robot",
        inject=disarm,
        prepare=discover_services,
        detection_s=0.0,
        expect=("disarmed",),
        latched=True,
    ),
)

OVERRIDES = (
    Fault(
        name="takeover_by_pad",
        type=FaultType.OFF,
        title="a person takes over and stops; then hands back",
        setup=Setup(actors=("policy", "pad"), parameters={"controller": {"limits.handover.duration_s": HANDOVER_S}}),
        inject=tell("pad", "ok 0 0"),
        recover=hand_back,
        detection_s=0.0,
        expect=("joy",),
        latched=True,
        quick=True,
    ),
    Fault(
        name="two_overrides",
        type=FaultType.WRONG,
        title="the keyboard drives while the gamepad says stop: the gamepad counts",
        setup=Setup(actors=("policy", "keyboard", "pad"), driver="keyboard"),
        inject=tell("pad", "ok 0 0"),
        recover=tell("pad", "release"),
        detection_s=0.0,
        expect=("joy",),
        latched=True,
    ),
    Fault(
        name="keyboard_killed_at_rest",
        type=FaultType.OFF,
        title="SIGKILL to a keyboard that has control and stands still: autonomy must not take over",
        setup=Setup(actors=("policy", "keyboard"), driver="keyboard"),
        inject=kill_at_rest("keyboard"),
        recover=hold_until_release("keyboard"),
        detection_s=None,
        expect=("teleop_lost",),
        latched=True,
        quick=True,
    ),
)

DISABLED = (
    Fault(
        name="pad_disabled_in_control",
        type=FaultType.WRONG,
        title="the pad that drives is disabled by parameter, its stick held: the robot holds",
        setup=Setup(actors=("policy", "pad"), driver="pad"),
        inject=enable_pad(False),
        recover=enable_pad_again,
        detection_s=0.0,
        expect=("teleop_lost",),
        latched=True,
    ),
)

PADS = (
    Fault(
        name="deadman_released",
        type=FaultType.OFF,
        title="the deadman button is released at full stick",
        setup=GAMEPAD,
        inject=tell("joy", "released"),
        recover=tell("joy", "released 0 0"),
        detection_s=PAD_PERIOD_S,
        expect=("dwell",),
    ),
    Fault(
        name="joy_killed",
        type=FaultType.OFF,
        title="the joystick driver dies with the button held (pad unplugged)",
        setup=GAMEPAD,
        inject=kill("joy"),
        recover=restart("joy", neutral=True),
        detection_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        latched=True,
    ),
    Fault(
        name="joy_stopped",
        type=FaultType.STUCK,
        title="the joystick driver hangs with the button held",
        setup=GAMEPAD,
        inject=pause("joy"),
        recover=resume("joy", neutral=True),
        detection_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        latched=True,
    ),
    Fault(
        name="joy_empty",
        type=FaultType.OFF,
        title="the driver of an unplugged pad sends empty arrays",
        setup=GAMEPAD,
        inject=tell("joy", "empty"),
        recover=show_neutral("joy"),
        detection_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "ignored.joy.empty"),
        latched=True,
    ),
    Fault(
        name="joy_negative_stamp",
        type=FaultType.WRONG,
        title="the joystick driver stamps before zero, with the button held",
        setup=GAMEPAD,
        inject=tell("joy", "negative_stamp"),
        recover=show_neutral("joy"),
        detection_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "ignored.joy."),
        latched=True,
    ),
    Fault(
        name="joy_repeats_old_state",
        type=FaultType.STUCK,
        title="the driver repeats the last state, stamp included, with the button held",
        setup=GAMEPAD,
        inject=tell("joy", "repeat"),
        recover=show_neutral("joy"),
        detection_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "ignored.joy.repeated"),
        latched=True,
    ),
    Fault(
        name="joy_frozen_fresh_stamps",
        type=FaultType.STUCK,
        title=f"the pad freezes, its driver stamps the old values anew (gamepad.frozen_s {PAD_FROZEN_S:g})",
        setup=FREEZING,
        inject=tell("joy", "frozen"),
        recover=show_neutral("joy"),
        detection_s=PAD_FROZEN_S + PAD_PERIOD_S + JOY_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "frozen"),
        latched=True,
    ),
    Fault(
        name="gamepad_killed",
        type=FaultType.OFF,
        title="SIGKILL to the gamepad process with the button held",
        setup=GAMEPAD,
        inject=kill_gamepad,
        recover=restart_gamepad,
        detection_s=JOY_S,
        expect=("teleop_lost",),
        latched=True,
    ),
)

FAULTS = (*STOPS, *OVERRIDES, *DISABLED, *PADS)
