"""Time-critical processes use no shared memory, so that a process that hangs while writing blocks no other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from retried import retried

from mobile_vla_bringup.processes import NodeProcess
from mobile_vla_bringup.shared_memory import SHARED_MEMORY
from mobile_vla_ros.qos import SENSOR
from mobile_vla_ros.topics import CMD_VEL, DIAGNOSTICS

FREEZES = 16
TRIES = 2
SHARED = "controller and observer share the machine's cores with everything else that runs"
FROZEN_S = 0.9
SILENCE_S = 0.7
"""Over shared memory one freeze in five silenced the commands for as long as it lasted; over UDP none of 80 did.

So shared memory fails both tries in 94 of 100 runs.
"""
ALONE = {"require.camera": False, "require.policy": False}
WRITER = """
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
rclpy.init()
node = rclpy.create_node("writer")
publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
message = DiagnosticArray(status=[DiagnosticStatus(name="writer")])
while True:
    publisher.publish(message)
"""


@pytest.mark.parametrize("name", ["controller", "gamepad"])
def test_udp_on_the_loopback_interface_is_all_it_uses(graph: Any, name: str) -> None:
    process = graph.start(f"mobile_vla_nodes.{name}", name)
    graph.wait(lambda: name in graph.node.get_node_names(), what="the node's name")
    assert not _shares_memory(process)
    addresses = _udp_addresses(process)
    assert {address for address in addresses if not address.startswith("239.")} == {"127.0.0.1"}


def test_everybody_else_shares_memory(graph: Any) -> None:
    """The look at the memory map can fail: another process of ours has what the controller must not have."""
    process = graph.start("mobile_vla_nodes.recorder", "recorder", {"out_dir": str(graph.tmp_path)})
    graph.wait(lambda: "recorder" in graph.node.get_node_names(), what="the node's name")
    assert _shares_memory(process)


def test_a_process_that_hangs_while_it_writes_does_not_silence_the_commands(graph: Any) -> None:
    arrivals: list[float] = []
    heard: set[str] = set()
    graph.node.create_subscription(
        CMD_VEL.type, CMD_VEL.name, lambda _: arrivals.append(time.monotonic()), CMD_VEL.requested
    )
    graph.node.create_subscription(DiagnosticArray, DIAGNOSTICS.name, lambda m: heard.add(m.status[0].name), SENSOR)
    graph.start("mobile_vla_nodes.controller", "controller", ALONE)
    log = graph.tmp_path / "writer.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", WRITER], env=graph.environ, stderr=output)
    writer = NodeProcess("writer", process, log)
    graph.processes.append(writer)  # killed once the observer, into whose memory it writes, is gone
    graph.wait(lambda: arrivals and "writer" in heard, what="commands and noise")

    def freeze() -> None:
        gaps = []
        for number in range(FREEZES):
            graph.spin(0.05 + 0.01 * number)
            begun = arrivals[-1]
            writer.send(signal.SIGSTOP)
            graph.spin(FROZEN_S)
            writer.send(signal.SIGCONT)
            times = [begun, *(arrival for arrival in arrivals if arrival > begun), time.monotonic()]
            gaps.append(max(after - before for before, after in pairwise(times)))
        assert max(gaps) < SILENCE_S, gaps

    retried(freeze, SHARED, TRIES)


def _shares_memory(process: NodeProcess) -> bool:
    """Whether the process has one of the middleware's segments (fastrtps_*, fastdds_*) in its address space."""
    return str(SHARED_MEMORY / "fast") in Path(f"/proc/{process.pid}/maps").read_text()


def _udp_addresses(process: NodeProcess) -> list[str]:
    """The addresses to which the process's UDP sockets are bound."""
    links = [entry.readlink().name for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
    sockets = {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    hexadecimal = [row[1].partition(":")[0] for row in rows if row[9] in sockets]
    return [".".join(str(part) for part in reversed(bytes.fromhex(address))) for address in hexadecimal]
