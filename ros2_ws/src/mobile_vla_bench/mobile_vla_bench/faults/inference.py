"""The real inference process: killed, stopped, failing, out of memory."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path

from mobile_vla_bench.faults.camera import VISION
from mobile_vla_bench.faults.fault import Fault, FaultType
from mobile_vla_bench.faults.injections import (
    kill_node,
    launch,
    signal_node,
)
from mobile_vla_bench.faults.rig import Rig
from mobile_vla_bench.faults.scripted_inference import EXCEPTIONS
from mobile_vla_bench.faults.setup import Setup
from mobile_vla_bench.faults.sources import ACTION_S

SPARE_BYTES = 24_000_000
RESPAWNED = Setup(actors=("camera",), vision=True, supervised=("inference",))


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


FAULTS = (
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
