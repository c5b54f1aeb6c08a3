"""Robustness curves: the same rooms at every point, kept on disk, read as figures and as a page."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mobile_vla.config import with_values
from mobile_vla.control import ControllerConfig
from mobile_vla.engine.config import InferenceConfig
from mobile_vla.errors import UserError
from mobile_vla_bench.closed_loop import robustness
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob, Workers
from mobile_vla_bench.closed_loop.robustness import AXES, Point, Store, Value, count_points, points, settled, varied
from mobile_vla_bench.closed_loop.robustness_report import page_of, reach, report_of
from mobile_vla_cli.main import main
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.episode import ARRIVED, TIMED_OUT, EpisodeResult, Rules

JOB = BenchmarkJob("straight", episodes=2, rules=Rules(limit_s=1.0, control_rate_hz=10.0))


def results(*successes: bool) -> list[EpisodeResult]:
    return [
        EpisodeResult(seed, ARRIVED if success else TIMED_OUT, "", "", "red ball", "", "", 10.0, 4.0, 3.0, 0.4)
        for seed, success in enumerate(successes)
    ]


def group(axis: str, shares: dict[Value, int], usual: Value) -> list[Point]:
    """Points with so many successes among 20 rooms."""
    drives = {value: results(*[index < count for index in range(20)]) for value, count in shares.items()}
    return [Point(axis, value, drives[value], drives[usual], value == usual) for value in shares]


@pytest.mark.parametrize("name", [name for name in AXES if name != "precision"])
def test_every_axis_changes_the_job_and_holds_its_own_value(name: str) -> None:
    jobs = {value: varied(JOB, name, value) for value in robustness._values(JOB, name)}
    assert len(set(jobs.values())) == len(jobs) == count_points(JOB, [name])
    assert JOB in jobs.values()


def test_settings_land_where_they_belong() -> None:
    assert varied(JOB, "blur_px", 2.0).simulator.camera.blur_px == 2.0
    assert varied(JOB, "dropped_share", 0.4).rules.lost_share == 0.4
    assert varied(JOB, "latency_s", 0.2).rules.action_delay_s == 0.2


def test_the_axis_without_a_gate_drives_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gated = dataclasses.replace(JOB, gate=ControllerConfig())
    driven: list[BenchmarkJob] = []

    def run(self: Workers, job: BenchmarkJob, progress: object = None) -> list[EpisodeResult]:
        driven.append(job)
        return results(True)

    monkeypatch.setattr(Workers, "run", run)
    list(points(gated, ["latency_no_gate_s"], Store(tmp_path, Workers(1)), tmp_path))
    assert {job.gate for job in driven} == {None}
    driven.clear()
    list(points(gated, ["latency_s"], Store(tmp_path, Workers(1)), tmp_path))
    assert {job.gate for job in driven} == {gated.gate}


def test_rooms_are_paired_and_the_usual_point_is_driven_once(tmp_path: Path) -> None:
    store = Store(tmp_path, Workers(1))
    found = list(points(JOB, ["dropped_share", "blur_px"], store, tmp_path))
    assert {tuple(drive.seed for drive in point.results) for point in found} == {(1_000_000, 1_000_001)}
    assert [point.value for point in found if point.usual] == [0.0, 0.0]
    assert len(list(tmp_path.glob("*.json"))) == len(found) - 1
    assert store.reused == 0


def test_finished_points_are_not_driven_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(points(JOB, ["blur_px"], Store(tmp_path, Workers(1)), tmp_path))
    (tmp_path / next(tmp_path.glob("*.json")).name).unlink()
    driven: list[BenchmarkJob] = []
    run = Workers.run

    def counted(self: Workers, job: BenchmarkJob, progress: object = None) -> list[EpisodeResult]:
        driven.append(job)
        return run(self, job)

    monkeypatch.setattr(Workers, "run", counted)
    store = Store(tmp_path, Workers(1))
    assert list(points(JOB, ["blur_px"], store, tmp_path)) == first
    assert (len(driven), store.reused) == (1, len(first) - 1)
    other = dataclasses.replace(JOB, simulator=with_values(SimulatorConfig(), {"camera.pitch_down_deg": 9.0}))
    list(points(other, ["blur_px"], store, tmp_path))
    assert len(driven) == 1 + len(first)


def test_a_damaged_point_is_one_sentence(tmp_path: Path) -> None:
    list(points(JOB, ["blur_px"], Store(tmp_path, Workers(1)), tmp_path))
    damaged = next(tmp_path.glob("*.json"))
    damaged.write_text('{"results": [{"seed"')
    with pytest.raises(UserError, match=r"is damaged .* delete it"):
        list(points(JOB, ["blur_px"], Store(tmp_path, Workers(1)), tmp_path))


def test_another_checkpoint_is_another_job(tmp_path: Path) -> None:
    weights = tmp_path / "policy.safetensors"
    weights.write_bytes(b"one")
    job = dataclasses.replace(JOB, driver="policy", inference=InferenceConfig(checkpoint=str(weights)))
    before = robustness._fingerprint(job)
    assert robustness._fingerprint(job) == before
    weights.write_bytes(b"another")
    assert robustness._fingerprint(job) != before


def test_the_control_rate_starts_where_the_driver_decides() -> None:
    assert settled(dataclasses.replace(JOB, rules=Rules())).rules.control_rate_hz == 10.0
    assert settled(dataclasses.replace(JOB, rules=Rules(control_rate_hz=7.0))).rules.control_rate_hz == 7.0


def test_changes_are_counted_room_by_room() -> None:
    point = Point("blur_px", 2.0, results(True, False, False, True), results(True, True, False, False), usual=False)
    assert point.change.value == 0.0
    assert point.change.high > 0.5
    same = Point("blur_px", 2.0, results(True, False), results(True, False), usual=False)
    assert (same.change.low, same.change.high) == (0.0, 0.0)


def test_reach_ends_at_the_first_value_that_is_not_borne() -> None:
    latency = group("latency_s", {0.0: 18, 0.1: 17, 0.2: 16, 0.3: 10, 0.4: 18}, 0.0)
    assert reach(latency) == (None, 0.2)
    brightness = group("brightness", {0.4: 2, 0.7: 17, 1.0: 18, 1.4: 3}, 1.0)
    assert reach(brightness) == (0.7, 1.0)
    assert reach(group("noise_std", {0.0: 18, 5.0: 18}, 5.0)) == (0.0, None)


def test_metrics_and_page() -> None:
    found = [
        *group("latency_s", {0.0: 18, 0.1: 17, 0.2: 3}, 0.0),
        *group("precision", {"fp32": 18, "bf16": 18, "int8": 17}, "fp32"),
    ]
    report = report_of(found, "vla sim robustness", {"policy": "own"})
    metrics = {metric.name: metric for metric in report.metrics}
    assert metrics["success.latency_s.0.2"].value == pytest.approx(0.15)
    low, high = metrics["success.latency_s.0.2"].spread
    assert low < 0.15 < high
    assert metrics["borne_to.latency_s"].value == 0.1
    assert (metrics["lost.precision.bf16"].value, metrics["lost.precision.bf16"].met) == (0.0, True)
    assert (metrics["lost.precision.int8"].value, metrics["lost.precision.int8"].met) == (pytest.approx(0.05), False)
    page = page_of(found, report)
    assert page.count('<polygon class="band s3"') == 1
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "-0.05 (-0.15 to +0.05)" in page


def test_the_command_writes_both_reports_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sim", "robustness", "--driver", "expert", "--axes", "dropped_share", "--episodes", "1", "--json"]
    command += ["--workers", "1", "--limit-s", "2", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert first == json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert (tmp_path / "out" / "robustness.html").read_text().startswith("<!doctype html>")
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["figures"] == first["figures"]
    assert again["executed"]["points_from_an_earlier_run"] == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--axes", "weather", "--driver", "expert"], "--axes: unknown name 'weather'"),
        (["--axes", "precision", "--driver", "expert"], "the expert has no weights"),
        ([], "name one with --policy"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", "robustness", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
