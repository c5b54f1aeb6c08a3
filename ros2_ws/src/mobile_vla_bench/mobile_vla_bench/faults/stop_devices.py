"""Several stop devices on one topic: a short press in a flood, a lost device, a controller that is respawned."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mobile_vla_bench.faults.estop import discover_services, reset
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import restart, tell
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import PromiseBroken, Setup
from mobile_vla_ros.topics import RESET_ESTOP, TRIGGER_ESTOP

SHORT_PRESS_S = 0.005
SETTLE_S = 1.0
BOOT_TIMEOUT_S = 12.0
DEPARTURE_TIMEOUT_S = 15.0
"""A killed process leaves the graph when its lease ends: 4 s with the profiles in config/dds."""
ANSWER_TIMEOUT_S = 1.0
DELAY_S = 0.6
DEVICE, REPEATER, PANEL = "stop_device", "stop_repeater", "stop_panel"
DEVICES = Setup(actors=("policy", DEVICE, REPEATER))
SUPERVISED = Setup(actors=("policy", DEVICE, PANEL), supervised=("controller",))


def all_released(rig: Rig) -> None:
    """Every device of the set-up says that it is not pressed, again and again."""
    for role in (DEVICE, REPEATER, PANEL):
        if role in rig.setup.actors:
            rig.tell(role, "ok 0")
    discover_services(rig)


def released_once(rig: Rig) -> None:
    """Every device has said once that it is not pressed."""
    for role in (DEVICE, PANEL):
        rig.tell(role, "changes 0")
    discover_services(rig)


def released_as(behaviour: str) -> Callable[[Rig], None]:
    """The device offers the topic in another way than the contract has it."""

    def begin(rig: Rig) -> None:
        all_released(rig)
        rig.tell(DEVICE, f"{behaviour} 0")
        rig.spin(SETTLE_S)

    return begin


def press_briefly(rig: Rig) -> int:
    """Another device is pressed and released within 5 ms."""
    injected_ns = rig.press_estop(True)
    rig.spin(SHORT_PRESS_S)
    rig.press_estop(False)
    return injected_ns


def release_own(behaviour: str) -> Any:
    """Only the device's own release allows the reset."""

    def recover(rig: Rig) -> None:
        rig.spin(DELAY_S)
        answer = _reset_answer(rig)
        if answer.success or DEVICE not in answer.message:
            raise PromiseBroken(f"a reset while the device is pressed was answered {answer.message!r}")
        rig.tell(DEVICE, f"{behaviour} 0")
        rig.spin(0.2)
        reset(rig)

    return recover


def release_then_renew(rig: Rig) -> None:
    """The release is heard as the press was; then another writer, before this one's queue is full."""
    release_own("empty_first")(rig)
    released_as("empty_first")(rig)


def press_and_kill(rig: Rig) -> int:
    """A device is pressed and its process is killed; the others go on saying that they are not pressed."""
    injected_ns = rig.tell(DEVICE, "ok 1")
    rig.spin(0.1)
    rig.actors[DEVICE].kill()
    return injected_ns


def clear_lost_device(rig: Rig) -> None:
    """The reset is refused until a person repeats it, knowing which device is gone."""
    rig.until(
        lambda: "left the graph while pressed" in _reset_answer(rig).message,
        DEPARTURE_TIMEOUT_S,
        "the question about it",
    )
    rig.spin(DELAY_S)
    reset(rig)
    restart(DEVICE)(rig)
    rig.tell(DEVICE, "ok 0")
    rig.spin(SETTLE_S)


def boot_with_pressed_device(rig: Rig) -> int:
    """The controller is killed; while there is none, one device is pressed and another says later that it is not."""
    injected_ns = rig.kill("controller")
    rig.forget_controller()
    rig.tell(DEVICE, "changes 1")
    rig.tell(PANEL, "changes 1")
    rig.spin(0.1)
    rig.tell(PANEL, "changes 0")
    rig.until(lambda: rig.mode_is("estop"), BOOT_TIMEOUT_S, "the respawned controller's stop")
    return injected_ns


def stop_and_kill(rig: Rig) -> int:
    """Emergency stop by service, and the controller is killed."""
    injected_ns, _ = rig.call(TRIGGER_ESTOP)
    rig.until(lambda: rig.mode_is("estop"), ANSWER_TIMEOUT_S, "the stop")
    rig.kill("controller")
    rig.forget_controller()
    rig.until(rig.operator.state_values, BOOT_TIMEOUT_S, "the respawned controller's first word")
    if not rig.mode_is("estop"):
        raise PromiseBroken(f"the respawned controller was not stopped (state: {rig.state_text()})")
    return injected_ns


def reset_after_boot(rig: Rig) -> None:
    """Release what is pressed; a request to the killed controller is never answered, so it is asked again."""
    rig.tell(DEVICE, "changes 0")
    rig.spin(DELAY_S)
    rig.until(lambda: _reset_answer(rig).success, BOOT_TIMEOUT_S, "the reset of the emergency stop")
    rig.until(lambda: rig.mode_is("disarmed"), ANSWER_TIMEOUT_S, "the word that it is disarmed")


def _reset_answer(rig: Rig) -> Any:
    end_s = time.monotonic() + BOOT_TIMEOUT_S
    while True:
        try:
            return rig.call(RESET_ESTOP, timeout_s=ANSWER_TIMEOUT_S)[1]
        except PromiseBroken:
            if time.monotonic() > end_s:
                raise


FAULTS = (
    Fault(
        name="estop_short_press",
        type=FaultType.OFF,
        title="a press of 5 ms beside two other stop devices, one of which says 200 times a second that it is released",
        setup=DEVICES,
        inject=press_briefly,
        recover=reset,
        prepare=all_released,
        detection_s=0.0,
        expect=("estop",),
        latched=True,
        abrupt_stop=True,
        quick=True,
    ),
    Fault(
        name="estop_one_of_several",
        type=FaultType.OFF,
        title="one stop device is pressed, another says 200 times a second that it is released",
        setup=DEVICES,
        inject=tell(DEVICE, "ok 1"),
        recover=release_own("ok"),
        prepare=all_released,
        detection_s=0.0,
        expect=("estop",),
        evidence=("controller", "estop_cause=stop input /stop_device_stand_in"),
        latched=True,
        abrupt_stop=True,
    ),
    Fault(
        name="estop_volatile",
        type=FaultType.OFF,
        title="a stop device that publishes volatile, as ROS tools do",
        setup=DEVICES,
        inject=tell(DEVICE, "volatile 1"),
        recover=release_own("volatile"),
        prepare=released_as("volatile"),
        detection_s=0.0,
        expect=("estop",),
        latched=True,
        abrupt_stop=True,
    ),
    Fault(
        name="estop_after_empty",
        type=FaultType.GARBAGE,
        title="a stop device sends a message without a byte, for which the middleware waits, and is pressed",
        setup=DEVICES,
        inject=tell(DEVICE, "empty_first 1"),
        recover=release_then_renew,
        prepare=released_as("empty_first"),
        detection_s=0.0,
        expect=("estop",),
        latched=True,
        abrupt_stop=True,
    ),
    Fault(
        name="estop_device_killed",
        type=FaultType.OFF,
        title="SIGKILL to a stop device that is pressed: a reset must be asked for twice",
        setup=DEVICES,
        inject=press_and_kill,
        recover=clear_lost_device,
        prepare=all_released,
        detection_s=0.0,
        expect=("estop",),
        latched=True,
        abrupt_stop=True,
        max_repeats=5,
    ),
    Fault(
        name="estop_pressed_at_boot",
        type=FaultType.OFF,
        title="a stop device is pressed while the controller is respawned, another says later that it is released",
        setup=SUPERVISED,
        inject=boot_with_pressed_device,
        recover=reset_after_boot,
        prepare=released_once,
        detection_s=None,
        expect=("estop",),
        latched=True,
        silence_allowed=True,
        max_repeats=10,
    ),
    Fault(
        name="estop_controller_killed",
        type=FaultType.OFF,
        title="SIGKILL to the controller while a stop is latched: the next one boots with it",
        setup=SUPERVISED,
        inject=stop_and_kill,
        recover=reset_after_boot,
        prepare=released_once,
        detection_s=None,
        expect=("estop",),
        latched=True,
        abrupt_stop=True,
        silence_allowed=True,
        max_repeats=10,
    ),
)
