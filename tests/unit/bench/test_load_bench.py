from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mobile_vla_bench import load_bench
from mobile_vla_bench.load_bench import GB, LoadBenchPlan, bench_load
from mobile_vla_bench.memory_limit import LimitedRun
from mobile_vla_cli.main import main

ALIVE_ABOVE = {"synthesize": 0.6, "inspect": 0.3, "load": 0.6, "step": 0.9, "convert": 0.75, "naive": 13.0}


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Processes that die below a known limit, instead of real ones; every attempt is noted."""
    seen = []

    def run_limited(command: list[str], limit: int, mapped: int, timeout_s: float) -> LimitedRun:
        task = command[3]
        seen.append((task, limit / GB))
        if limit / GB > ALIVE_ABOVE[task]:
            return LimitedRun(True, {"seconds": 2.0, "anonymous": GB * 14 if task == "naive" else GB // 4}, "")
        return LimitedRun(False, {}, "killed for memory")

    monkeypatch.setattr(load_bench, "run_limited", run_limited)
    monkeypatch.setattr(load_bench, "_files", lambda plan, say: _tiny_files(plan.work))
    return seen


def test_the_metric_is_the_last_limit_that_was_survived(attempts, tmp_path: Path) -> None:
    report = bench_load(LoadBenchPlan("tiny", None, tmp_path, naive=True, quick=False), lambda text: None)
    found = {metric.name: metric.value for metric in report.metrics}
    assert found["synthesize_min_limit_gb"] == 0.7
    assert found["inspect_min_limit_gb"] == 0.4
    assert found["convert_min_limit_gb"] == 1.0
    assert found["load_bf16_min_limit_gb"] == found["load_int8_min_limit_gb"] == 1.0
    assert found["load_fp32_pth_min_limit_gb"] == 1.0
    assert found["naive_min_limit_gb"] == 14.0
    assert found["anon_after_load_gb"] == 0.25
    assert found["anon_after_load_naive_gb"] == 14.0
    assert found["load_s"] == 2.0
    assert [limit for task, limit in attempts if task == "naive"] == [16.0, 14.0, 12.0]
    assert report.executed["weights"] == "random"
    assert report.executed["attempts"]["convert_min_limit_gb"]["0.7 GB"] == "killed for memory"
    json.loads(report.to_json())


def test_quick_tries_the_promised_limits_only(attempts, tmp_path: Path) -> None:
    report = bench_load(LoadBenchPlan("tiny", None, tmp_path, naive=False, quick=True), lambda text: None)
    made = [("synthesize", 1.0), ("inspect", 1.0), ("convert", 1.0)]
    assert attempts == [*made, ("load", 2.0), ("load", 2.0), ("load", 1.0)]
    assert report.all_met  # a tiny file is held to no target


def test_failing_at_the_promised_limit_misses_the_target(attempts, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(ALIVE_ABOVE, "load", 5.0)
    report = bench_load(LoadBenchPlan("full", None, tmp_path, naive=False, quick=True), lambda text: None)
    unmet = {metric.name for metric in report.metrics if metric.met is False}
    assert {"load_bf16_min_limit_gb", "load_int8_min_limit_gb", "load_fp32_pth_min_limit_gb"} <= unmet
    assert "convert_min_limit_gb" not in unmet


def _tiny_files(folder: Path) -> dict[str, Path]:
    from mobile_vla.engine.synthetic import SyntheticSpec, synthesize

    path = folder / "p.pth"
    synthesize(path, SyntheticSpec("tiny", "reconstructed", training_container=True))
    return {"pth": path, "bf16": path, "int8": path, "made": folder / "made.pth"}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny file in the shape of a training script's."""
    return _tiny_files(tmp_path_factory.mktemp("generated"))["pth"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["load", "step", "convert", "inspect", "naive"])
def test_each_task_runs_as_a_process_of_its_own(generated: Path, tmp_path: Path, task: str) -> None:
    words = [sys.executable, "-m", "mobile_vla_bench.memory_task", task, str(generated)]
    words += [str(tmp_path / "o.safetensors"), "bf16"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout)
    assert facts["seconds"] > 0
    assert 100e6 < facts["anonymous"] < 2e9


@pytest.mark.slow
def test_the_generating_task_writes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "made.pth"
    words = [sys.executable, "-m", "mobile_vla_bench.memory_task", "synthesize", str(file), "tiny"]
    facts = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert facts["bytes_out"] == file.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--checkpoint", "p.safetensors"], "must be a .pth or .pt file"),
        (["--work", "/no/such/folder", "--no-naive"], "is not a folder"),
    ],
)
def test_wrong_words(arguments: list[str], sentence: str, capsys) -> None:
    assert main(["bench", "load", *arguments]) == 2
    assert sentence in capsys.readouterr().err
