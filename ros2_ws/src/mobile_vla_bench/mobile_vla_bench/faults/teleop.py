"""A person takes over, disappears or is disabled, and gives control back."""

from __future__ import annotations

import time
from collections.abc import Callable

from mobile_vla.config import with_values
from mobile_vla.control.config import ControllerConfig
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import restart, show_neutral, tell
from mobile_vla_bench.faults.judge import LimitJudge, from_rest
from mobile_vla_bench.faults.observer import parameter_messages
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_bench.faults.sources import DEFAULTS, JOY_S

STILL_S = 0.4
STANDING_S = 2.0
DISCOVERED_S = 1.0
AUTONOMY_BACK_S = JOY_S + 2 * DEFAULTS.teleop.dwell_s
EARLY_S = 0.1
MAX_HAND_BACKS = 5
HANDOVER_S = DEFAULTS.limits.handover.duration_s


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


def deep_and_silent(rig: Rig) -> None:
    """The pad offers a queue of ten and says nothing; long enough for the controller to find it."""
    rig.tell("pad", "deep_silent")
    rig.spin(DISCOVERED_S)


def release_and_renew(rig: Rig) -> None:
    """The person gives back through an ordinary publisher; then the pad is as before."""
    show_neutral("pad")(rig)
    released_ns = rig.tell("pad", "release")
    rig.until(lambda: "autonomy" in rig.reported(released_ns), 5.0, "autonomy after the release")
    deep_and_silent(rig)


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
        name="joy_behind_empty",
        type=FaultType.GARBAGE,
        title="a pad sends a message without a byte, for which the middleware waits, before each command of its person",
        setup=Setup(actors=("policy", "pad")),
        inject=tell("pad", "empty_first 0 0"),
        recover=release_and_renew,
        detection_s=0.0,
        expect=("joy",),
        latched=True,
        prepare=deep_and_silent,
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

FAULTS = (*OVERRIDES, *DISABLED)
