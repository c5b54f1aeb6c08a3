"""Running a graph as plain processes, where `ros2 launch` is missing.

Every process gets a session of its own, so that Ctrl-C in the terminal reaches only the runner, which then asks
each process once. A process also dies with its runner, however the runner ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from mobile_vla_bringup.ending import Ending, written_bytes
from mobile_vla_bringup.shared_memory import segments_of, sweep
from mobile_vla_ros.run_folder import RUN_FOLDER

POLL_S = 0.02
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class NodeProcess:
    """One node in one process; started by `start`, ended by `stop` or `kill`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    def start(
        cls,
        module: str,
        name: str,
        parameters: Mapping[str, Any],
        *,
        namespace: str = "",
        remappings: Sequence[tuple[str, str]] = (),
        environ: Mapping[str, str],
        folder: Path,
    ) -> NodeProcess:
        """Start `python -m module` under a node name; parameters, log and what it leaves behind are in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        label = "_".join(part for part in (namespace.strip("/").replace("/", "_"), name) if part)
        parameters_file = folder / f"{label}.params.yaml"
        parameters_file.write_text(yaml.safe_dump({"/**": {"ros__parameters": _nested(parameters)}}, sort_keys=False))
        command = [sys.executable, "-m", module, "--ros-args", "-r", f"__node:={name}"]
        if namespace:
            command += ["-r", f"__ns:=/{namespace.strip('/')}"]
        for source, target in remappings:
            command += ["-r", f"{source}:={target}"]
        if parameters:
            command += ["--params-file", str(parameters_file)]
        log = folder / f"{label}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env={RUN_FOLDER: str(folder / "run"), **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(_die_with_parent, os.getpid()),  # noqa: PLW1509  (one system call, no lock)
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, or None when it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> int:
        """As `stop_all` does; the exit code."""
        stop_all([self])
        return int(self._process.returncode)

    def kill(self) -> None:
        """SIGKILL, and removal of the shared memory that the process can no longer give back."""
        segments = segments_of(self.pid) if self.returncode is None else []
        self.send(signal.SIGKILL)
        self._process.wait()
        sweep(segments)


def stop_all(processes: Sequence[NodeProcess], say: Callable[[str, str], None] = lambda name, line: None) -> None:
    """Ask all at once, then see each to its end; whoever commands the base must come first in the sequence.

    `say(node, line)` gets a line about every process that is waited for because it still writes.
    """
    for process in processes:
        process.send(signal.SIGINT)
    asked_s = time.monotonic()
    ending = [Ending(process, asked_s, written_bytes(process.pid), say) for process in processes]
    while ending := [one for one in ending if not one.over(time.monotonic(), written_bytes(one.process.pid))]:
        time.sleep(POLL_S)


def _die_with_parent(parent: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, leaf = name.split(".")
        branch = nested
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[leaf] = list(value) if isinstance(value, tuple) else value
    return nested
