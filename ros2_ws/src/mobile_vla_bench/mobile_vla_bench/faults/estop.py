"""Emergency stop and disarming: by service, by a stop device, by bytes that are no message."""

from __future__ import annotations

from std_srvs.srv import SetBool

from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.setup import PromiseBroken
from mobile_vla_ros.topics import ARM, RESET_ESTOP, TRIGGER_ESTOP

STILL_S = 0.4
DISCOVERY_S = 1.0
RESET_WITHIN_S = 2.0


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


def _check_reset_refused(rig: Rig, when: str) -> None:
    _, answer = rig.call(RESET_ESTOP)
    if answer.success:
        raise PromiseBroken(f"the emergency stop was reset {when}")


FAULTS = (
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
