"""Processes are started, restarted, given up with an error message, and always ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError
from mobile_vla_bringup import supervisor as supervisor_module
from mobile_vla_bringup.graph import Graph, NodeKind, NodeSpec
from mobile_vla_bringup.supervisor import Supervisor

RUNS = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
)
SEALS = """
import signal, tempfile, time
asked = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: asked.append(1))
print("up", flush=True)
while not asked:
    time.sleep(0.01)
with tempfile.TemporaryFile() as file:
    for _ in range(50):
        file.write(bytes(100_000))
        file.flush()
        time.sleep(0.05)
print("sealed", flush=True)
"""
ENDS = "print('bye', flush=True)\nraise SystemExit(3)\n"
REFUSES = "import sys\nsys.stderr.write('rate must be >= 5, got 1\\n')\nraise SystemExit(2)\n"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Supervisor, list[str]]]:
    monkeypatch.setattr(supervisor_module, "RESTART_DELAY_S", 0.0)

    def build(respawn: bool = True, **sources: str) -> tuple[Supervisor, list[str]]:
        for name, source in sources.items():
            (tmp_path / f"{name}_under_test.py").write_text(source)
        kinds = {name: NodeKind("p", name, f"{name}_under_test", InferenceConfig) for name in sources}
        graph = Graph(
            "", tuple(NodeSpec(name, kind, InferenceConfig()) for name, kind in kinds.items()), respawn=respawn
        )
        lines: list[str] = []
        environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return Supervisor(graph, environ, tmp_path / "logs", lambda name, line: lines.append(f"{name}: {line}")), lines

    return build


def poll_until(supervisor: Supervisor, condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        supervisor.poll()
        time.sleep(0.01)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_output_is_forwarded_and_every_process_ended(make: Any) -> None:
    supervisor, lines = make(one=RUNS, two=RUNS)
    with supervisor:
        poll_until(supervisor, lambda: {"one: up", "two: up"} <= set(lines))
        pids = [supervisor.pid("one"), supervisor.pid("two")]
    assert not any(alive(pid) for pid in pids)


def test_an_ended_process_is_started_again(make: Any) -> None:
    supervisor, lines = make(one=ENDS)
    with supervisor:
        poll_until(supervisor, lambda: lines.count("one: bye") >= 3)
    assert supervisor.restarts()["one"] >= 2
    assert any("ended with code 3" in line for line in lines)


def test_a_wrong_configuration_gives_the_graph_up(make: Any) -> None:
    supervisor, _ = make(one=RUNS, two=REFUSES)
    with pytest.raises(UserError, match="two cannot start: rate must be >= 5, got 1"), supervisor:
        pid = supervisor.pid("one")
        poll_until(supervisor, lambda: False)
    assert not alive(pid)


def test_without_respawn_an_end_is_an_error(make: Any) -> None:
    supervisor, _ = make(respawn=False, one=ENDS)
    with pytest.raises(UserError, match="one ended with code 3"), supervisor:
        poll_until(supervisor, lambda: False)


def test_a_process_that_ignores_the_first_signal_is_ended_too(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobile_vla_bringup.ending.SIGINT_PATIENCE_S", 0.2)
    supervisor, lines = make(one=STUBBORN)
    with supervisor:
        poll_until(supervisor, lambda: "one: up" in lines)
        pid = supervisor.pid("one")
    assert not alive(pid)


def test_a_process_that_still_writes_is_waited_for(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobile_vla_bringup.ending.SIGINT_PATIENCE_S", 1.0)
    supervisor, lines = make(one=SEALS)
    with supervisor:
        poll_until(supervisor, lambda: "one: up" in lines)
    assert lines == ["one: up", "one: still writing; it is waited for, at most 120 s in all", "one: sealed"]


def test_a_restarted_process_finds_what_it_left_and_another_run_does_not(make: Any) -> None:
    leaves = (
        "import os, pathlib\nfolder = pathlib.Path(os.environ['MOBILE_VLA_RUN_FOLDER'])\nfolder.mkdir(exist_ok=True)\n"
        "print(len(list(folder.iterdir())), flush=True)\n(folder / 'left.json').touch()\nraise SystemExit(3)\n"
    )
    for _ in range(2):
        supervisor, lines = make(one=leaves)
        with supervisor:
            poll_until(supervisor, lambda lines=lines: "one: 1" in lines)
        assert lines[0] == "one: 0"
        assert not (supervisor._folder / "run").exists()
