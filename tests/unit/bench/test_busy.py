"""Busy processes are there while they are wanted, and only then; and the commands say how many there were."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobile_vla.figures import FigureReport
from mobile_vla_bench import graph_bench
from mobile_vla_bench.busy import busy_cores
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

    def bench_graph(stream: Any, policy: str, folder: Path, say: Callable[[str], None]) -> FigureReport:
        during.append(len(children() - before))
        return FigureReport("vla bench graph", {})

    monkeypatch.setattr(graph_bench, "bench_graph", bench_graph)
    main(["bench", "graph", "--json", *flags])
    assert json.loads(capsys.readouterr().out)["executed"]["busy_processes"] == expected
    assert during == [expected]
