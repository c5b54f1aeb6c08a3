"""What the benchmark says: jobs for the drivers that were asked for, figures with targets, a page to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mobile_vla.evaluate import html
from mobile_vla.metrics import Metric, MetricReport
from mobile_vla_bench.closed_loop.benchmark import BenchmarkJob, Workers, step_times_ms
from mobile_vla_bench.closed_loop.estimates import Estimate
from mobile_vla_bench.closed_loop.summary import Ends, Summary, ends, stopped_somewhere, summarise
from mobile_vla_sim.episode import EpisodeResult

if TYPE_CHECKING:
    from mobile_vla.policy.interface import Policy

SUCCESS_TARGETS = {"standard": 0.85, "unseen": 0.60}
COLLISION_TARGET, EXPERT_TARGET, BLIND_TARGET, PARAPHRASE_GAP_TARGET = 0.05, 0.97, 0.10, 0.10
STEP_TARGET_MS = 15.0


@dataclasses.dataclass
class DriverOutcome:
    """One driver on one suite."""

    job: BenchmarkJob
    results: list[EpisodeResult]

    @property
    def summary(self) -> Summary:
        return summarise(self.results)


def run_all(
    job: BenchmarkJob,
    drivers: Sequence[str],
    workers: Workers,
    progress: Callable[[str, EpisodeResult], None] | None = None,
) -> dict[str, DriverOutcome]:
    """Every driver on the job's rooms; `paraphrase` is run on the standard wording, too, to have the difference."""
    outcomes: dict[str, DriverOutcome] = {}
    jobs = {name: dataclasses.replace(job, driver=name) for name in drivers}
    if job.suite == "paraphrase" and "policy" in drivers:
        jobs["policy, standard words"] = dataclasses.replace(job, driver="policy", suite="standard")
    for name, one in jobs.items():
        outcomes[name] = DriverOutcome(one, workers.run(one, _named(progress, name)))
    return outcomes


def in_short(report: MetricReport) -> MetricReport:
    """The report without its parts by colour, kind, object and wording: what fits on a screen."""
    return dataclasses.replace(report, metrics=[metric for metric in report.metrics if "." not in metric.name])


def report_of(outcomes: dict[str, DriverOutcome], command: str, executed: dict[str, Any]) -> MetricReport:
    """Figures in the one shape; targets where the suite has them."""
    metrics: list[Metric] = []
    suite = next(iter(outcomes.values())).job.suite
    if "policy" in outcomes:
        summary = outcomes["policy"].summary
        random = outcomes["random"].summary.success.value if "random" in outcomes else None
        beside = "" if random is None else f"random {random:.2f}"
        metrics += [
            _metric("success", summary.success, "higher", SUCCESS_TARGETS.get(suite), beside),
            _metric("spl", summary.spl, "higher"),
            _metric("collisions", summary.collisions, "lower", COLLISION_TARGET if suite == "standard" else None),
            _metric("stopped_at_other", summary.other_object, "lower"),
            _metric("timed_out", summary.timed_out, "lower"),
            _metric("time_to_goal_s", summary.time_s, "lower", unit="s"),
        ]
    if "policy, standard words" in outcomes:
        gap = outcomes["policy, standard words"].summary.success.value - outcomes["policy"].summary.success.value
        n = len(outcomes["policy"].results)
        metrics.append(Metric("paraphrase_gap", gap, "share", "lower", target=PARAPHRASE_GAP_TARGET, n=n))
    if "expert" in outcomes:
        expert = outcomes["expert"].summary
        metrics.append(_metric("expert_success", expert.success, "higher", EXPERT_TARGET))
        metrics.append(_metric("expert_collisions", expert.collisions, "lower", 0.0))
        metrics.append(_metric("expert_spl", expert.spl, "higher"))
    if "teacher" in outcomes:
        teacher = outcomes["teacher"].summary.success
        metrics.append(_metric("teacher_success", teacher, "higher"))
    for name in ("straight", "random"):
        if name in outcomes:
            metrics.append(_metric(f"{name}_success", outcomes[name].summary.success, "lower"))
    if "blind" in outcomes:
        metrics.append(_metric("blind_success", outcomes["blind"].summary.success, "lower", BLIND_TARGET))
    if "deaf" in outcomes:
        where = ends(outcomes["deaf"].results)
        metrics.append(_metric("deaf_wrong_object", where.at_told, "higher", None, "the other object that it was told"))
        metrics.append(_metric("deaf_success", where.at_goal, "lower", None, "the goal that it was not told"))
        metrics.append(_metric("deaf_neither", where.at_another, "lower"))
    if "absent" in outcomes:
        metrics.append(_metric("absent_stopped", stopped_somewhere(outcomes["absent"].results), "lower"))
    if "policy" in outcomes:
        metrics += [
            _metric(f"success.{group}.{name}", estimate, "higher")
            for group, shares in outcomes["policy"].summary.groups.items()
            for name, estimate in shares.items()
        ]
    episodes = len(next(iter(outcomes.values())).results)
    metrics.append(Metric("episodes", episodes, "per driver", "higher", n=episodes))
    return MetricReport(command, executed, metrics)


def step_metric(policy: Policy) -> Metric:
    """How long this policy takes for a decision, with nothing else going on in this process."""
    return Metric.of_samples("model_step_ms", step_times_ms(policy), "ms", target=STEP_TARGET_MS)


def page_of(
    outcomes: dict[str, DriverOutcome],
    report: MetricReport,
) -> str:
    """The benchmark as one self-contained page."""
    suite = next(iter(outcomes.values())).job.suite
    parts = [html.section("Every driver on the same rooms", _driver_table(outcomes))]
    told: dict[str, Ends] = {name: ends(one.results) for name, one in outcomes.items() if name in ("deaf", "absent")}
    if told:
        parts.append(html.section("Told something else than the goal: where it went", _ends_table(told)))
    if "policy" in outcomes:
        summary = outcomes["policy"].summary
        tables = [
            html.table((name, "success", "95 %", "episodes"), [_row(key, value) for key, value in group.items()])
            for name, group in summary.groups.items()
        ]
        parts.append(html.section("Success by the goal's colour and kind", html.pair(*tables[:2])))
        parts.append(html.section("Success by object", tables[2]))
        parts.append(html.section("Success by how it was told", tables[3]))
        if summary.contacts:
            touched = html.table(
                ("touched", "episodes"), [(name, str(count)) for name, count in summary.contacts.items()]
            )
            parts.append(html.section("What was touched", touched))
    if "policy" in outcomes:
        parts.append(
            html.section("Episodes of the policy", html.details("show all", _episode_table(outcomes["policy"])))
        )
    parts.append(what_was_executed(report))
    return html.page(f"Closed-loop benchmark: {suite}", report.command, parts)


def what_was_executed(report: MetricReport) -> str:
    """The section that ends every page of figures."""
    facts = [(key, _in_words(value)) for key, value in report.executed.items()]
    return html.section("What was executed", html.table(("", ""), facts, text_columns=2))


def _in_words(fact: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in fact.items()) if isinstance(fact, dict) else str(fact)


def _driver_table(outcomes: dict[str, DriverOutcome]) -> str:
    rows = []
    for name, outcome in outcomes.items():
        summary = outcome.summary
        rows.append(
            (
                name,
                _with_interval(summary.success),
                f"{summary.spl.value:.2f}",
                _with_interval(summary.collisions),
                f"{summary.other_object.value:.2f}",
                f"{summary.timed_out.value:.2f}",
                f"{summary.time_s.value:.1f}",
                str(summary.success.n),
            )
        )
    heads = ("driver", "success", "SPL", "collisions", "other object", "timed out", "time to goal, s", "episodes")
    return html.table(heads, rows)


def _ends_table(told: dict[str, Ends]) -> str:
    heads = (
        "driver",
        "at the object it was told",
        "at the room's goal",
        "at another",
        "collided",
        "nowhere",
        "episodes",
    )
    rows = [
        (name, *(_with_interval(estimate) for estimate in where), str(where.collided.n)) for name, where in told.items()
    ]
    return html.table(heads, rows)


def _episode_table(outcome: DriverOutcome) -> str:
    rows = [
        (
            str(r.seed),
            r.instruction,
            r.outcome,
            r.stopped_at or r.contact,
            f"{r.time_s:.1f}",
            f"{r.path_m:.1f}",
            f"{r.spl:.2f}",
        )
        for r in outcome.results
    ]
    heads = ("seed", "instruction", "outcome", "where", "time, s", "path, m", "SPL")
    return html.table(heads, rows, text_columns=4)


def _row(name: str, estimate: Estimate) -> tuple[str, ...]:
    return name, f"{estimate.value:.2f}", f"{estimate.low:.2f} to {estimate.high:.2f}", str(estimate.n)


def _with_interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def _metric(
    name: str, estimate: Estimate, better: Any, target: float | None = None, baseline: str = "", *, unit: str = "share"
) -> Metric:
    interval = (estimate.low, estimate.high)
    return Metric(name, estimate.value, unit, better, baseline=baseline, target=target, n=estimate.n, spread=interval)


def _named(progress: Callable[[str, EpisodeResult], None] | None, name: str) -> Callable[[EpisodeResult], None] | None:
    return None if progress is None else lambda result: progress(name, result)
