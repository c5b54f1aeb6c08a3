"""`vla sim bench --graph`: the benchmark's rooms through real processes, nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla_sim.suites import SUITES

VLA = [sys.executable, "-c", "import sys; from mobile_vla_cli import main; sys.exit(main())"]
pytestmark = pytest.mark.graph


MARK = "STARTED_BY_TEST"


def left_by(mark: str) -> list[str]:
    """Command lines of all processes that inherited the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environ.split(b"\0"):
            found.append(command.decode(errors="replace"))
    return found


def test_two_rooms_through_the_graph(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    command = [*VLA, "sim", "bench", "--policy", "untrained", "--graph", "--drivers", "policy,deaf", "--episodes", "2"]
    command += ["--limit-s", "4", "--json", "--html", str(page)]
    environ = {**os.environ, MARK: str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, env=environ)
    assert done.returncode == 1, done.stderr  # random weights miss the target, and that is said
    report = json.loads(done.stdout)
    metrics = {metric["name"]: metric for metric in report["figures"]}
    assert report["executed"]["through"].startswith("graph")
    assert report["executed"]["weights"] == "random"
    assert (metrics["episodes"]["value"], metrics["success"]["n"]) == (2, 2)
    assert metrics["camera_to_command_p50_ms"]["value"] > 0
    assert {"deaf_wrong_object", "collisions", "timed_out"} <= set(metrics)
    first = SUITES["standard"].first_seed
    assert report["executed"]["seeds"] == f"{first} to {first + 1}"
    assert str(first + 1) in page.read_text()
    assert left_by(str(tmp_path)) == []


def test_a_graph_that_cannot_start_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    scenario = tmp_path / "broken.yaml"
    scenario.write_text("objects: [")
    command = [*VLA, "sim", "bench", "--policy", "untrained", "--graph", "--episodes", "1"]
    command += ["--set", f"simulator.scenario={scenario}"]
    environ = {**os.environ, MARK: str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ)
    assert done.returncode == 2
    assert "is not valid YAML" in done.stderr
    assert "Traceback" not in done.stderr
    assert left_by(str(tmp_path)) == []
