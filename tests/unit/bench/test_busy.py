"""Busy processes are there while they are wanted, and only then; and the commands say how many there were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobile_vla.metrics import MetricReport
from mobile_vla_bench import graph_bench
from mobile_vla_bench.busy import busy_cores
from mobile_vla_bench.busy import main as main_of_busy
from mobile_vla_bench.faults import battery
from mobile_vla_cli import main

CORES = os.cpu_count() or 1


def children() -> set[str]:
    """The processes that this one has started and that still run."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def processor_s(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_one_for_each_core_until_the_end_of_the_block() -> None:
    before = children()
    with busy_cores(1) as number:
        burners = children() - before
        assert len(burners) == number == CORES
        end = time.monotonic() + 60
        while sum(map(processor_s, burners)) < 0.5 and time.monotonic() < end:
            time.sleep(0.05)
        assert sum(map(processor_s, burners)) >= 0.5
    assert children() == before


def test_they_end_when_the_block_fails() -> None:
    before = children()
    with pytest.raises(ZeroDivisionError), busy_cores(2):
        assert len(children() - before) == 2 * CORES
        raise ZeroDivisionError
    assert children() == before


def test_a_command_runs_beside_them_and_its_exit_code_is_kept() -> None:
    before = children()
    code = "import os, pathlib; print(pathlib.Path(f'/proc/{os.getppid()}/task/{os.getppid()}/children').read_text())"
    program = [sys.executable, "-m", "mobile_vla_bench.busy", sys.executable, "-c", f"{code}; raise SystemExit(3)"]
    result = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, len(result.stdout.split())) == (3, CORES + 1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in result.stdout.split())
    assert children() == before
    assert main_of_busy([]) == 2


def test_an_interrupt_ends_the_command_and_them() -> None:
    code = "import time; print('begun', flush=True); time.sleep(60)"
    program = [sys.executable, "-m", "mobile_vla_bench.busy", sys.executable, "-c", code]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"begun\n"
        started = Path(f"/proc/{busy.pid}/task/{busy.pid}/children").read_text().split()
        assert len(started) == CORES + 1
        os.killpg(busy.pid, signal.SIGINT)
        assert busy.wait(60) != 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


def test_none_is_none() -> None:
    before = children()
    with busy_cores(0) as number:
        assert (number, children()) == (0, before)


@pytest.mark.parametrize(("flags", "expected"), [([], 0), (["--load"], CORES)])
def test_the_battery_says_how_many(
    flags: list[str], expected: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, during = children(), []
    monkeypatch.setattr(battery, "run_battery", lambda *_, **__: during.append(len(children() - before)) or [])
    main(["faults", "--json", *flags])
    assert json.loads(capsys.readouterr().out)["executed"]["busy_processes"] == expected
    assert during == [expected]


@pytest.mark.parametrize(("flags", "expected"), [([], 0), (["--load"], CORES)])
def test_the_bench_says_how_many(
    flags: list[str], expected: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, during = children(), []

    def bench_graph(stream: Any, policy: str, folder: Path, say: Callable[[str], None]) -> MetricReport:
        during.append(len(children() - before))
        return MetricReport("vla bench graph", {})

    monkeypatch.setattr(graph_bench, "bench_graph", bench_graph)
    main(["bench", "graph", "--json", *flags])
    assert json.loads(capsys.readouterr().out)["executed"]["busy_processes"] == expected
    assert during == [expected]
