"""Stops, takeovers and gamepads: what people do, and what their devices do to them."""

from __future__ import annotations

import time
from collections.abc import Callable

from std_srvs.srv import SetBool

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.deeds import freeze, kill, restart, show_neutral, tell, thaw
from mobile_vla_bench.faults.fault import Fault, Word
from mobile_vla_bench.faults.judge import LimitJudge, from_rest
from mobile_vla_bench.faults.rig import Rig, parameter_messages
from mobile_vla_bench.faults.setup import Broken, Setup
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
MOST_HAND_BACKS = 5
HANDOVER_S = DEFAULTS.limits.handover.duration_s
GAMEPAD = Setup(actors=("policy", "joy"), gamepad=True, driver="joy")
FREEZING = Setup(
    actors=("policy", "joy"), gamepad=True, driver="joy", parameters={"gamepad": {"frozen_s": PAD_FROZEN_S}}
)


def stop_by_service(rig: Rig) -> int:
    """The e-stop service; a reset right after it must be refused."""
    sent_ns, _ = rig.call(TRIGGER_ESTOP)
    _refuses_reset(rig, "right after the stop")
    return sent_ns


def stop_by_device(rig: Rig) -> int:
    """A stop device is pressed."""
    return rig.press_estop(True)


def reset(rig: Rig) -> None:
    """Release the latch once the delay is over; nothing may move until somebody arms."""
    rig.until(lambda: rig.call(RESET_ESTOP)[1].success, RESET_WITHIN_S, "the reset of the emergency stop")
    rig.spin(STILL_S)
    if rig.moving or not rig.mode_is("disarmed"):
        raise Broken(f"the reset restarted motion (state: {rig.state_words()})")


def release_device(rig: Rig) -> None:
    """A reset is refused while the device is pressed, and works after it."""
    _refuses_reset(rig, "while the device was pressed")
    rig.press_estop(False)
    rig.spin(0.1)
    reset(rig)


def disarm(rig: Rig) -> int:
    """The operator disarms."""
    sent_ns, _ = rig.call(ARM, SetBool.Request(data=False))
    return sent_ns


def know_the_services(rig: Rig) -> None:
    """Let the controller discover this process's clients before the clock runs, as those of a standing panel are."""
    for service in (TRIGGER_ESTOP, RESET_ESTOP, ARM):
        rig.client(service)
    rig.spin(DISCOVERY_S)


def hand_back(rig: Rig) -> None:
    """The person gives control back: autonomy returns after the dwell, within the hand-over limits.

    On a busy machine an action may come too late during the hand-over. The robot then brakes, which the hand-over set
    does not limit; such a hand-over shows nothing, so the person takes over and gives back once more.
    """
    for _ in range(MOST_HAND_BACKS):
        if _handed_back_undisturbed(rig):
            return
        taken_ns = rig.tell("pad", "ok 0 0")
        rig.until(lambda: "joy" in rig.said(taken_ns) and not rig.moving, STANDING_S, "standing")  # noqa: B023
    raise Broken(f"autonomy was interrupted in each of {MOST_HAND_BACKS} hand-overs (state: {rig.state_words()})")


def _handed_back_undisturbed(rig: Rig) -> bool:
    """Judge one hand-over by the controller's stamps; false where something interrupted it."""
    before = len(rig.samples)
    released_ns = rig.tell("pad", "release")
    rig.until(lambda: "autonomy" in rig.said(released_ns), 5.0, "autonomy after the hand-back")
    resumed_ns = next(when for when, words in rig.states if when >= released_ns and "autonomy" in words)
    if (resumed_ns - released_ns) / 1e9 < DEFAULTS.teleop.dwell_s - EARLY_S:
        raise Broken(f"autonomy came back {(resumed_ns - released_ns) / 1e9:.2f} s after the release")
    rig.spin(HANDOVER_S + EARLY_S)
    if any("autonomy" not in words for when, words in rig.states if when >= resumed_ns):
        return False
    judge = LimitJudge(_tighter(rig.promised))
    for sample in from_rest(rig.samples[before:], HANDOVER_S - EARLY_S):
        judge.take(sample)
    if judge.violations:
        raise Broken(f"hand-back beyond the hand-over limits: {judge.violations[0]}")
    return True


def enable_pad(enabled: bool) -> Callable[[Rig], int]:
    """Listen to the pad, or no longer, by parameter; the steady time after the answer."""

    def deed(rig: Rig) -> int:
        (result,) = rig.set_parameters(parameter_messages({"teleop.joy.enabled": enabled}))
        if not result.successful:
            raise Broken(f"teleop.joy.enabled was refused: {result.reason}")
        return time.monotonic_ns()

    return deed


def listen_to_the_pad_again(rig: Rig) -> None:
    """Enabled again, and the person lets the stick go."""
    enable_pad(True)(rig)
    show_neutral("pad")(rig)


def kill_at_rest(role: str) -> Callable[[Rig], int]:
    """The person stops, keeps control, and is gone."""

    def strike(rig: Rig) -> int:
        rig.tell(role, "ok 0 0")
        rig.until(lambda: not rig.moving, STANDING_S, "standing")
        rig.spin(STILL_S)
        return rig.actors[role].kill()

    return strike


def stay_then_release(role: str) -> Callable[[Rig], None]:
    """Nothing moves however long nobody says a word; a release, and only that, hands back."""

    def repair(rig: Rig) -> None:
        rig.spin(AUTONOMY_BACK_S)
        if rig.moving or not rig.mode_is("hold"):
            raise Broken(f"the robot did not wait for the person (state: {rig.state_words()})")
        restart(role, neutral=True)(rig)
        released_ns = rig.tell(role, "release")
        rig.until(lambda: "autonomy" in rig.said(released_ns), 5.0, "autonomy after the release")

    return repair


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


def _refuses_reset(rig: Rig, when: str) -> None:
    _, answer = rig.call(RESET_ESTOP)
    if answer.success:
        raise Broken(f"the emergency stop was reset {when}")


def _tighter(config: ControllerConfig) -> ControllerConfig:
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
        word=Word.OFF,
        what="emergency stop by service",
        strike=stop_by_service,
        heal=reset,
        ready=know_the_services,
        notice_s=0.0,
        expect=("estop",),
        evidence=("controller", "emergency stop is latched"),
        latched=True,
        abrupt=True,
        quick=True,
    ),
    Fault(
        name="estop_topic",
        word=Word.OFF,
        what="emergency stop by a device on the estop topic",
        strike=stop_by_device,
        heal=release_device,
        notice_s=0.0,
        expect=("estop",),
        evidence=("controller", "emergency stop is latched"),
        latched=True,
        abrupt=True,
        quick=True,
    ),
    Fault(
        name="estop_cut_off",
        word=Word.GARBAGE,
        what="bytes on the estop topic that are no message: a device that cannot be understood may be pressed",
        strike=lambda rig: rig.garble_estop(),
        heal=reset,
        notice_s=0.0,
        expect=("estop",),
        evidence=("controller", "failed.estop.Undecodable"),
        latched=True,
        abrupt=True,
    ),
    Fault(
        name="disarm_while_driving",
        word=Word.OFF,
        what="the operator disarms a moving robot",
        strike=disarm,
        ready=know_the_services,
        notice_s=0.0,
        expect=("disarmed",),
        latched=True,
    ),
)

OVERRIDES = (
    Fault(
        name="takeover_by_pad",
        word=Word.OFF,
        what="a person takes over and stops; then hands back",
        setup=Setup(actors=("policy", "pad"), parameters={"controller": {"limits.handover.duration_s": HANDOVER_S}}),
        strike=tell("pad", "ok 0 0"),
        heal=hand_back,
        notice_s=0.0,
        expect=("joy",),
        latched=True,
        quick=True,
    ),
    Fault(
        name="two_overrides",
        word=Word.WRONG,
        what="the keyboard drives while the gamepad says stop: the gamepad counts",
        setup=Setup(actors=("policy", "keyboard", "pad"), driver="keyboard"),
        strike=tell("pad", "ok 0 0"),
        heal=tell("pad", "release"),
        notice_s=0.0,
        expect=("joy",),
        latched=True,
    ),
    Fault(
        name="keyboard_killed_at_rest",
        word=Word.OFF,
        what="SIGKILL to a keyboard that has control and stands still: autonomy must not take over",
        setup=Setup(actors=("policy", "keyboard"), driver="keyboard"),
        strike=kill_at_rest("keyboard"),
        heal=stay_then_release("keyboard"),
        notice_s=None,
        expect=("teleop_lost",),
        latched=True,
        quick=True,
    ),
)

DISABLED = (
    Fault(
        name="pad_disabled_in_control",
        word=Word.WRONG,
        what="the pad that drives is disabled by parameter, its stick held: the robot holds",
        setup=Setup(actors=("policy", "pad"), driver="pad"),
        strike=enable_pad(False),
        heal=listen_to_the_pad_again,
        notice_s=0.0,
        expect=("teleop_lost",),
        latched=True,
    ),
)

PADS = (
    Fault(
        name="deadman_released",
        word=Word.OFF,
        what="the deadman button is released at full stick",
        setup=GAMEPAD,
        strike=tell("joy", "released"),
        heal=tell("joy", "released 0 0"),
        notice_s=PAD_PERIOD_S,
        expect=("dwell",),
    ),
    Fault(
        name="joy_killed",
        word=Word.OFF,
        what="the joystick driver dies with the button held (pad unplugged)",
        setup=GAMEPAD,
        strike=kill("joy"),
        heal=restart("joy", neutral=True),
        notice_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        latched=True,
    ),
    Fault(
        name="joy_stopped",
        word=Word.STUCK,
        what="the joystick driver hangs with the button held",
        setup=GAMEPAD,
        strike=freeze("joy"),
        heal=thaw("joy", neutral=True),
        notice_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        latched=True,
    ),
    Fault(
        name="joy_empty",
        word=Word.OFF,
        what="the driver of an unplugged pad sends empty arrays",
        setup=GAMEPAD,
        strike=tell("joy", "empty"),
        heal=show_neutral("joy"),
        notice_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "ignored.joy.empty"),
        latched=True,
    ),
    Fault(
        name="joy_negative_stamp",
        word=Word.WRONG,
        what="the joystick driver stamps before zero, with the button held",
        setup=GAMEPAD,
        strike=tell("joy", "negative_stamp"),
        heal=show_neutral("joy"),
        notice_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "ignored.joy."),
        latched=True,
    ),
    Fault(
        name="joy_repeats_old_state",
        word=Word.STUCK,
        what="the driver repeats the last state, stamp included, with the button held",
        setup=GAMEPAD,
        strike=tell("joy", "repeat"),
        heal=show_neutral("joy"),
        notice_s=PAD_TIMEOUT_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "ignored.joy.repeated"),
        latched=True,
    ),
    Fault(
        name="joy_frozen_fresh_stamps",
        word=Word.STUCK,
        what=f"the pad freezes, its driver stamps the old values anew (gamepad.frozen_s {PAD_FROZEN_S:g})",
        setup=FREEZING,
        strike=tell("joy", "frozen"),
        heal=show_neutral("joy"),
        notice_s=PAD_FROZEN_S + PAD_PERIOD_S + JOY_S,
        expect=("teleop_lost",),
        evidence=("gamepad", "frozen"),
        latched=True,
    ),
    Fault(
        name="gamepad_killed",
        word=Word.OFF,
        what="SIGKILL to the gamepad process with the button held",
        setup=GAMEPAD,
        strike=kill_gamepad,
        heal=restart_gamepad,
        notice_s=JOY_S,
        expect=("teleop_lost",),
        latched=True,
    ),
)

FAULTS = (*STOPS, *OVERRIDES, *DISABLED, *PADS)
