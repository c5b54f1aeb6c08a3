"""Every fault there is, by name."""

from __future__ import annotations

from mobile_vla_bench.faults import (
    camera,
    controller,
    estop,
    gamepad,
    inference,
    load,
    messages,
    sources,
    stop_devices,
    teleop,
)
from mobile_vla_bench.faults.fault import Fault

FAMILIES: dict[str, tuple[Fault, ...]] = {
    "sources": sources.FAULTS,
    "messages": messages.FAULTS,
    "estop": estop.FAULTS,
    "teleop": teleop.FAULTS,
    "gamepad": gamepad.FAULTS,
    "stop_devices": stop_devices.FAULTS,
    "camera": camera.FAULTS,
    "inference": inference.FAULTS,
    "controller": controller.FAULTS,
    "load": load.FAULTS,
}
FAULTS: dict[str, Fault] = {fault.name: fault for family in FAMILIES.values() for fault in family}
