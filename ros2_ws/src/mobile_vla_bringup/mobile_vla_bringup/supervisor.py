"""Keeps the processes of one graph alive: starts, restarts, reports, ends them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mobile_vla.errors import UserError
from mobile_vla_bringup.graph import Graph, NodeSpec
from mobile_vla_bringup.processes import NodeProcess, stop_all
from mobile_vla_ros.run_folder import RUN_FOLDER, begin_run, end_run

CANNOT_START = 2
RESTART_DELAY_S = 1.0
POLL_S = 0.2


@dataclass
class _Slot:
    spec: NodeSpec
    process: NodeProcess | None = None
    read: int = 0
    restart_at: float = 0.0
    restarts: int = 0
    partial: str = field(default="")


class Supervisor:
    """Owns the processes of a graph, as a context manager: leaving the block ends every one of them.

    A process that ends with code 2 was configured wrongly: the graph is given up with its sentence. Any other end
    is answered with a restart, when the graph says so; it finds what it left in `folder`/run, which is empty when a run
    begins and removed when it ends. `on_line(node, line)` gets everything the processes print.
    """

    def __init__(
        self, graph: Graph, environ: Mapping[str, str], folder: Path, on_line: Callable[[str, str], None]
    ) -> None:
        self._graph = graph
        self._environ = {**environ, RUN_FOLDER: str(folder / "run")}
        self._folder = folder
        self._on_line = on_line
        self._slots = [_Slot(spec) for spec in graph.nodes]

    def __enter__(self) -> Supervisor:
        begin_run(Path(self._environ[RUN_FOLDER]))
        for slot in self._slots:
            slot.process = self._start(slot.spec)
        return self

    def __exit__(self, *_: object) -> None:
        stop_all([slot.process for slot in self._slots if slot.process is not None], self._on_line)
        for slot in self._slots:
            self._forward_output(slot)
        end_run(Path(self._environ[RUN_FOLDER]))

    def poll(self) -> None:
        """Forward output, restart what ended. Raises `UserError` when a process cannot start at all."""
        for slot in self._slots:
            self._forward_output(slot)
            if slot.process is not None and slot.process.returncode is not None:
                self._ended(slot, slot.process.returncode)
            if slot.process is None and self._graph.respawn and time.monotonic() >= slot.restart_at:
                slot.process = self._start(slot.spec)

    def run_until(self, finished: Callable[[], bool]) -> None:
        """Poll until the caller says so."""
        while not finished():
            self.poll()
            time.sleep(POLL_S)

    def pid(self, name: str) -> int:
        """The process id of a running node."""
        process = next(slot.process for slot in self._slots if slot.spec.name == name)
        if process is None:
            raise UserError(f"{name} is not running")
        return process.pid

    def restarts(self) -> dict[str, int]:
        """How often each node had to be started again."""
        return {slot.spec.name: slot.restarts for slot in self._slots}

    def _start(self, spec: NodeSpec) -> NodeProcess:
        return NodeProcess.start(
            spec.kind.module,
            spec.name,
            spec.parameters(),
            namespace=self._graph.namespace,
            environ=self._environ,
            folder=self._folder,
        )

    def _ended(self, slot: _Slot, code: int) -> None:
        self._forward_output(slot)
        name = slot.spec.name
        if code == CANNOT_START:
            assert slot.process is not None
            lines = slot.process.output().strip().splitlines()
            raise UserError(f"{name} cannot start: {lines[-1] if lines else 'it said nothing'}")
        if not self._graph.respawn:
            raise UserError(f"{name} ended with code {code}; see {self._folder}/{name}.log")
        self._on_line(name, f"ended with code {code}; starting it again in {RESTART_DELAY_S:g} s")
        slot.process = None
        slot.restarts += 1
        slot.restart_at = time.monotonic() + RESTART_DELAY_S

    def _forward_output(self, slot: _Slot) -> None:
        if slot.process is None:
            return
        with slot.process.log.open("rb") as log:
            log.seek(slot.read)
            fresh = log.read()
        slot.read += len(fresh)
        *lines, slot.partial = (slot.partial + fresh.decode(errors="replace")).split("\n")
        for line in lines:
            self._on_line(slot.spec.name, line)
