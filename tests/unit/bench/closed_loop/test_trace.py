"""Drives written down moment by moment: the same drive as the benchmark's, with what happened in it."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from mobile_vla.control import ControllerConfig
from mobile_vla.engine.config import InferenceConfig
from mobile_vla_bench.closed_loop import benchmark
from mobile_vla_bench.closed_loop import trace as module
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob, Workers
from mobile_vla_bench.closed_loop.trace import Trace, csv_of, traces
from mobile_vla_bench.closed_loop.trace_report import in_words, page_of
from mobile_vla_cli.main import main
from mobile_vla_sim.drivers import ActionScale
from mobile_vla_sim.episode import ARRIVED, Rules
from mobile_vla_sim.expert import Expert
from mobile_vla_sim.suites import FIRST_BENCHMARK_SEED as FIRST

JOB = BenchmarkJob("straight", episodes=2, rules=Rules(limit_s=3.0), gate=ControllerConfig())


@pytest.fixture(scope="module")
def arrival() -> Trace:
    """The expert's first drive of the standard suite."""
    job = BenchmarkJob("expert", rules=Rules(limit_s=60.0), gate=ControllerConfig())
    return next(traces(job, [FIRST]))


def test_a_traced_drive_is_the_drive_of_the_benchmark() -> None:
    assert [trace.result for trace in traces(JOB, [FIRST, FIRST + 1])] == Workers(1).run(JOB)


def test_every_decision_is_written_down_with_what_the_expert_would_do(arrival: Trace) -> None:
    moments = arrival.moments
    assert arrival.result.outcome == ARRIVED
    assert len(moments) == pytest.approx(arrival.result.time_s * 10.0, abs=1.0)
    assert all((one.action_first, one.action_second) == (one.expert_first, one.expert_second) for one in moments)
    assert moments[-1].goal_in_view
    assert moments[-1].goal_distance_m < 0.57
    assert {"stands", "drives"} <= {one.doing for one in moments}
    assert arrival.seconds(True for _ in moments) == pytest.approx(arrival.result.time_s, abs=0.1)


def test_what_the_gate_said_belongs_to_the_decision_before_it() -> None:
    (trace,) = traces(JOB, [FIRST])
    assert trace.moments[0].gate == "no_action"
    assert trace.moments[1].gate == "handover"
    assert all(one.gate for one in trace.moments)
    (free,) = traces(dataclasses.replace(JOB, gate=None), [FIRST])
    assert {one.gate for one in free.moments} == {""}


def test_the_expert_is_asked_and_does_not_drive() -> None:
    (trace,) = traces(JOB, [FIRST])
    assert {(one.action_first, one.action_second) for one in trace.moments} == {(1.0, 0.0)}
    assert (1.0, 0.0) not in {(one.expert_first, one.expert_second) for one in trace.moments}


def test_the_expert_that_is_asked_remembers_as_long_as_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = SimpleNamespace(
        card=SimpleNamespace(window=20, control_rate_hz=10.0, action_space="diff"),
        reset=lambda: None,
        step=lambda frame, instruction: SimpleNamespace(action=(0.0, 0.0)),
    )
    remembered = []

    def made(scale: ActionScale, remembers_s: float) -> Expert:
        remembered.append(remembers_s)
        return Expert(scale, remembers_s)

    monkeypatch.setattr("mobile_vla.engine.open_policy", lambda config: policy)
    monkeypatch.setattr(benchmark, "_opened", {})
    monkeypatch.setattr(module, "Expert", made)
    of_policy = dataclasses.replace(JOB, driver="policy", inference=InferenceConfig(allow_untrained=True))
    for job in (of_policy, dataclasses.replace(of_policy, driver="teacher"), JOB):
        assert len(list(traces(job, [FIRST]))) == 1
    assert remembered == [2.0, 2.0, math.inf]


def test_a_drive_is_a_table_of_metrics(arrival: Trace) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_of(arrival))))
    assert len(rows) == len(arrival.moments)
    assert {row["goal_in_view"] for row in rows} == {"true", "false"}
    assert float(rows[-1]["goal_distance_m"]) == pytest.approx(arrival.moments[-1].goal_distance_m, abs=1e-3)


def test_the_page_shows_the_room_and_its_course(arrival: Trace) -> None:
    page = page_of([arrival], "vla sim trace <here>")
    assert "vla sim trace &lt;here&gt;" in page
    for thing in arrival.scene.things:
        assert f">{thing.name}</text>" in page
    assert page.count("<title>crate</title>") == len(arrival.scene.blocks)
    assert "in view, " in page
    assert in_words(arrival).startswith(f"{FIRST}, {arrival.result.instruction}: arrived {arrival.result.goal} after")


def test_how_long_the_gate_stopped_the_robot_is_said(arrival: Trace) -> None:
    stopped = [one._replace(gate="range_stop") for one in arrival.moments[:7]]
    trace = dataclasses.replace(arrival, moments=[*stopped, *arrival.moments[7:]])
    assert in_words(trace).endswith("stopped by the gate 0.7 s")
    assert in_words(arrival).endswith("stopped by the gate 0.0 s")


def test_the_way_shows_where_the_goal_was_in_view(arrival: Trace) -> None:
    hidden = dataclasses.replace(arrival, moments=[one._replace(goal_in_view=False) for one in arrival.moments])
    nothing_drawn = "<title>goal in view</title></g>"
    assert nothing_drawn in page_of([hidden], "")
    assert nothing_drawn not in page_of([arrival], "")


def test_the_command_writes_a_table_per_room_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--rooms", f"{FIRST},{FIRST + 1}", "--limit-s", "1", "--no-gate", "--out", str(tmp_path / "why")]
    assert main(["sim", "trace", "--driver", "straight", *flags]) == 0
    names = sorted(path.name for path in (tmp_path / "why").iterdir())
    assert names == [f"{FIRST}.csv", f"{FIRST + 1}.csv", "index.html"]
    assert "drives: 2, kept: 2" in capsys.readouterr().out


def test_drives_that_arrive_are_left_out_where_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--rooms", str(FIRST), "--failures", "--out", str(tmp_path)]
    assert main(["sim", "trace", "--driver", "expert", *flags]) == 0
    assert "drives: 1, kept: 0" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--rooms", "3,red"], "--rooms: 'red' is not the number of a room"),
        (["--rooms", ""], "--rooms: '' is not the number of a room"),
        (["--episodes", "0"], "--episodes must be >= 1, got 0"),
        ([], "a policy is needed"),
    ],
)
def test_what_cannot_be_traced_is_one_sentence(
    flags: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", "trace", *flags, "--out", str(tmp_path / "why")]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "why").exists()


def test_a_folder_that_cannot_be_made_is_said_before_driving(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["sim", "trace", "--driver", "straight", "--out", str(tmp_path / "file" / "why")]) == 2
    assert "cannot be made (Not a directory); choose another folder" in " ".join(capsys.readouterr().err.split())


def test_a_table_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / f"{FIRST}.csv").mkdir()
    flags = ["--rooms", str(FIRST), "--limit-s", "1", "--driver", "straight", "--out", str(tmp_path)]
    assert main(["sim", "trace", *flags]) == 2
    assert "is a folder; name a file in it" in " ".join(capsys.readouterr().err.split())


def test_the_page_says_how_it_was_made(tmp_path: Path) -> None:
    rules = ["--limit-s", "1", "--no-gate", "--rate-hz", "5", "--set", "simulator.camera.blur_px=1.0"]
    rooms = ["--rooms", str(FIRST), "--driver", "straight", "--failures", "--out", str(tmp_path)]
    assert main(["sim", "trace", *rooms, *rules]) == 0
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    told = (
        "vla sim trace --suite standard --episodes 10 --rate-hz 5 --limit-s 1 --no-gate --set simulator.camera.blur_px"
    )
    assert f"{told}=1.0 --rooms {FIRST} --driver straight --failures --out {tmp_path}" in page
