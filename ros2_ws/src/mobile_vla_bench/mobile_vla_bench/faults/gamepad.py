"""Gamepads that are released, unplugged, frozen or killed, through the real gamepad node."""

from __future__ import annotations

from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import kill, pause, restart, resume, show_neutral, tell
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import Setup
from mobile_vla_bench.faults.sources import JOY_S

PAD_PERIOD_S = 0.05
PAD_TIMEOUT_S = 0.25
PAD_FROZEN_S = 1.0
STILL_S = 0.4
GAMEPAD = Setup(actors=("policy", "joy"), gamepad=True, driver="joy")
FREEZING = Setup(
    actors=("policy", "joy"), gamepad=True, driver="joy", parameters={"gamepad": {"frozen_s": PAD_FROZEN_S}}
)


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


FAULTS = (
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
