"""Cameras that stop, freeze, slow down or send wrong pictures, before the real inference process."""

from __future__ import annotations

from mobile_vla.camera.config import HealthConfig
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import (
    kill,
    pause,
    restart,
    resume,
    tell,
)
from mobile_vla_bench.faults.setup import Setup
from mobile_vla_bench.faults.sources import ACTION_S

FRAME_S = 0.1
FROZEN_S = HealthConfig().frozen_after_s
VISION = Setup(actors=("camera",), vision=True)


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

FAULTS = (*PICTURES, *CAMERA)
