"""Jobs, figures, the page and the command line of the closed-loop benchmark."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mobile_vla.config import with_values
from mobile_vla.errors import UserError
from mobile_vla.train.config import TinySize
from mobile_vla_bench.closed_loop import benchmark
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob, Workers, cores
from mobile_vla_bench.closed_loop.estimates import mean, share
from mobile_vla_bench.closed_loop.report import DriverOutcome, in_short, page_of, report_of
from mobile_vla_bench.closed_loop.summary import ends, stopped_somewhere, summarise, wording_of
from mobile_vla_cli import sim_bench
from mobile_vla_cli.main import main
from mobile_vla_sim.config import SimulatorConfig
from mobile_vla_sim.episode import ARRIVED, COLLIDED, OTHER, TIMED_OUT, EpisodeResult, Rules
from mobile_vla_sim.suites import FIRST_BENCHMARK_SEED, SUITES

SHORT = Rules(limit_s=3.0)


def result(
    seed: int = 0, outcome: str = ARRIVED, goal: str = "red ball", stopped_at: str = "", **more: Any
) -> EpisodeResult:
    values = {"instruction": "", "told": goal, "contact": "", "time_s": 10.0, "path_m": 4.0, "shortest_m": 3.0}
    values |= {"goal_distance_m": 0.4, **more}
    return EpisodeResult(seed=seed, outcome=outcome, goal=goal, stopped_at=stopped_at, **values)


def test_shares_have_wilson_intervals() -> None:
    low_high = share(8, 10)
    assert (low_high.low, low_high.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share(0, 20).low == 0.0
    assert share(0, 20).high == pytest.approx(0.1611, abs=1e-4)
    assert share(20, 20).high == 1.0
    with pytest.raises(ValueError, match="nothing"):
        share(0, 0)


def test_means_have_normal_intervals() -> None:
    estimate = mean([0.0, 1.0, 2.0, 3.0])
    assert estimate.value == 1.5
    assert estimate.high - estimate.value == pytest.approx(1.96 * 1.2910 / 2, abs=1e-3)


def test_a_summary_counts_outcomes_by_object_and_wording() -> None:
    results = [
        result(0, ARRIVED, "red ball", "red ball", instruction="go to the red ball"),
        result(1, COLLIDED, "red cube", contact="crate 2", instruction="go to the red block"),
        result(2, COLLIDED, "blue cube", contact="crate 1"),
        result(3, OTHER, "blue ball", "blue cube"),
    ]
    summary = summarise(results)
    assert (summary.success.value, summary.collisions.value, summary.other_object.value) == (0.25, 0.5, 0.25)
    assert summary.spl.value == pytest.approx(0.75 / 4)
    assert {name: value.value for name, value in summary.groups["kind"].items()} == {"ball": 0.5, "cube": 0.0}
    assert summary.groups["colour"]["red"].n == 2
    assert list(summary.groups["object"]) == ["blue ball", "blue cube", "red ball", "red cube"]
    assert summary.groups["wording"]["go to the COLOUR KIND"].value == 0.5
    assert summary.contacts == {"crate": 2}


@pytest.mark.parametrize(
    ("sentence", "wording"),
    [
        ("move to the sphere that is violet", "move to the KIND that is COLOUR"),
        ("scan for the cyan can", "scan for the COLOUR KIND"),
    ],
)
def test_the_wording_is_what_is_left_without_the_object(sentence: str, wording: str) -> None:
    assert wording_of(sentence) == wording


def test_the_ends_of_deaf_add_up() -> None:
    results = [
        result(0, OTHER, "red ball", "blue cube", told="blue cube"),
        result(1, OTHER, "red ball", "green cone", told="blue cube"),
        result(2, ARRIVED, "red ball", "red ball", told="blue cube"),
        result(3, COLLIDED, "red ball", "", told="blue cube"),
        result(4, TIMED_OUT, "red ball", "", told=""),
    ]
    where = ends(results)
    assert [share.value for share in where] == pytest.approx([0.2] * 5)
    assert stopped_somewhere(results).value == pytest.approx(0.6)


def test_the_only_object_of_a_room_counts_as_the_told_one() -> None:
    where = ends([result(0, ARRIVED, "red ball", "red ball", told="red ball")])
    assert (where.at_told.value, where.at_goal.value) == (1.0, 0.0)


def test_workers_do_not_change_results() -> None:
    job = BenchmarkJob("random", episodes=7, rules=SHORT)
    alone = Workers(1).run(job)
    with Workers(2) as workers:
        together = workers.run(job)
    assert alone == together
    assert [one.seed for one in alone] == list(range(1_000_000, 1_000_007))
    assert Workers(1).run(dataclasses.replace(job, first=5, episodes=2)) == alone[5:]


def test_workers_serve_one_job_after_the_other_and_say_when_one_fails() -> None:
    job = BenchmarkJob("straight", episodes=2, rules=Rules(limit_s=1.0))
    broken = dataclasses.replace(job, simulator=with_values(SimulatorConfig(), {"scenario": "nowhere"}))
    with Workers(2) as workers:
        with pytest.raises(UserError, match="unknown scenario 'nowhere'"):
            workers.run(broken)
        assert workers.run(job) == Workers(1).run(job)


def test_as_many_workers_as_cores_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 3, 5})
    assert cores() == 3


def test_suites_take_their_own_seeds_and_rooms() -> None:
    assert all(suite.first_seed >= FIRST_BENCHMARK_SEED for suite in SUITES.values())
    assert SUITES["paraphrase"].first_seed == SUITES["standard"].first_seed
    configs = [suite.config(SimulatorConfig()).room for suite in SUITES.values()]
    assert len(set(configs)) == len(SUITES)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"driver": "exprt"}, "did you mean 'expert'"),
        ({"driver": "policy"}, "needs a policy"),
        ({"driver": "expert", "suite": "standrd"}, "did you mean 'standard'"),
        ({"driver": "expert", "episodes": 0}, "--episodes must be >= 1"),
    ],
)
def test_a_job_that_cannot_run_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        BenchmarkJob(**values)


def test_a_policy_for_another_base_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobile_vla.engine.config import InferenceConfig

    class Omni:
        class card:  # noqa: N801
            action_space, untrained, control_rate_hz, window = "omni", True, 10.0, 1

    monkeypatch.setattr("mobile_vla.engine.open_policy", lambda config: Omni())
    monkeypatch.setattr(benchmark, "_opened", {})
    with pytest.raises(UserError, match="action space is omni and the robot takes diff"):
        Workers(1).run(BenchmarkJob("policy", episodes=1, inference=InferenceConfig(allow_untrained=True)))


def test_the_time_of_a_decision_is_measured_on_a_full_window() -> None:
    class Slow:
        asked, resets = 0, 0
        card = SimpleNamespace(window=2)

        def reset(self) -> None:
            self.resets += 1

        def step(self, picture: np.ndarray, instruction: str) -> SimpleNamespace:
            self.asked += 1
            return SimpleNamespace(timings_ms={"encode": float(self.asked), "head": 0.5})

    policy = Slow()
    assert benchmark.step_times_ms(policy, count=3) == [3.5, 4.5, 5.5]  # type: ignore[arg-type]
    assert policy.resets == 2


def test_the_expert_uses_the_window_of_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    from mobile_vla.engine.config import InferenceConfig

    remembered = []
    card = SimpleNamespace(window=15, control_rate_hz=10.0, action_space="diff")
    monkeypatch.setattr("mobile_vla.engine.open_policy", lambda config: SimpleNamespace(card=card))
    monkeypatch.setattr(benchmark, "_opened", {})
    monkeypatch.setattr(benchmark, "Expert", lambda scale, remembers_s=math.inf: remembered.append(remembers_s))
    for inference in (InferenceConfig(allow_untrained=True), None):
        benchmark.equipment(BenchmarkJob("teacher", inference=inference))
    benchmark.equipment(BenchmarkJob("expert"))
    assert remembered == [1.5, TinySize().memory_s, math.inf]


def outcomes() -> dict[str, DriverOutcome]:
    def of(driver: str, *results: EpisodeResult) -> DriverOutcome:
        return DriverOutcome(BenchmarkJob("expert"), list(results))

    return {
        "policy": of("policy", *(result(seed, ARRIVED if seed < 9 else COLLIDED) for seed in range(10))),
        "blind": of("blind", result(0, TIMED_OUT), result(1, TIMED_OUT)),
        "deaf": of("deaf", result(0, OTHER, "red ball", "blue cube", told="blue cube")),
        "absent": of("absent", result(0, TIMED_OUT)),
        "expert": of("expert", result(0), result(1)),
        "teacher": of("teacher", result(0), result(1, TIMED_OUT)),
        "random": of("random", result(0, COLLIDED)),
    }


def test_metrics_carry_targets_intervals_and_baselines() -> None:
    metrics = {metric.name: metric for metric in report_of(outcomes(), "vla sim bench", {}).metrics}
    assert (metrics["success"].value, metrics["success"].met) == (0.9, True)
    assert metrics["success"].baseline == "random 0.00"
    low, high = metrics["success"].spread
    assert low < 0.9 < high
    assert (metrics["collisions"].value, metrics["collisions"].met) == (0.1, False)
    assert metrics["blind_success"].met
    assert metrics["deaf_wrong_object"].value == 1.0
    assert (metrics["deaf_success"].value, metrics["deaf_neither"].value) == (0.0, 0.0)
    assert metrics["success.object.red ball"].value == 0.9
    assert metrics["absent_stopped"].value == 0.0
    assert metrics["expert_success"].met
    assert metrics["teacher_success"].value == 0.5
    assert metrics["episodes"].value == 10
    assert "success.object.red ball" not in {metric.name for metric in in_short(report_of(outcomes(), "", {})).metrics}


def test_the_page_shows_every_driver_and_no_outside_resource() -> None:
    made = outcomes()
    page = page_of(made, report_of(made, "vla sim bench", {"suite": "standard"}))
    assert all(name in page for name in made)
    assert "Told something else than the goal: where it went" in page
    assert "Success by how it was told" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_command_prints_metrics_and_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "bench.json", tmp_path / "bench.html"
    arguments = ["sim", "bench", "--drivers", "expert", "--episodes", "2", "--json"]
    assert main([*arguments, "--out", str(out), "--html", str(page)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(out.read_text())
    assert {metric["name"] for metric in printed["figures"]} >= {"expert_success", "expert_spl", "episodes"}
    assert printed["executed"]["seeds"] == "1000000 to 1000001"
    assert page.read_text().startswith("<!doctype html>")


def test_the_command_line_offers_every_driver() -> None:
    assert set(sim_bench.DRIVERS) == set(benchmark.DRIVERS)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--drivers", "exprt"], "did you mean 'expert'"),
        (["--suite", "nowhere", "--drivers", "expert"], "unknown suite 'nowhere'"),
        (["--episodes", "0"], "--episodes must be >= 1"),
        (["--drivers", "policy"], "name one with --policy"),
        (["--policy", "nobody"], "unknown policy 'nobody'"),
        (["--workers", "0"], "--workers must be >= 1"),
        (
            ["--html", "nowhere/page.html", "--drivers", "expert"],
            "page.html cannot be written: there is no folder",
        ),
        (["--graph", "--drivers", "blind", "--policy", "untrained"], "--drivers: unknown name 'blind'"),
        (["--graph", "--no-gate", "--policy", "untrained"], "--graph drives through the controller"),
        (["--graph"], "name one with --policy"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", "bench", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_settings_of_the_simulator_reach_the_episodes() -> None:
    slow = with_values(SimulatorConfig(), {"base.max_linear_mps": 0.05})
    fast_result, slow_result = (
        Workers(1).run(BenchmarkJob("straight", episodes=1, rules=SHORT, simulator=simulator))[0]
        for simulator in (SimulatorConfig(), slow)
    )
    assert slow_result.path_m < 0.2 < fast_result.path_m
