"""The figures of an evaluation in the one shape that every command prints."""

from __future__ import annotations

import math
from typing import Any

from mobile_vla.evaluate.results import BASELINES, AxisResult, Evaluation, PolicyResult
from mobile_vla.metrics import Metric, MetricReport, executed

_BETTER = {
    "mae": "lower",
    "rmse": "lower",
    "nrmse": "lower",
    "r2": "higher",
    "correlation": "higher",
    "direction_agreement": "higher",
    "within_tolerance": "higher",
}
_UNITLESS = ("nrmse", "r2", "correlation", "direction_agreement", "within_tolerance")


def metric_report(evaluation: Evaluation, command: str, descriptions: dict[str, dict[str, Any]]) -> MetricReport:
    """Per policy and axis every figure, with the baselines beside it under the same name and a suffix."""
    report = MetricReport(command, executed(**_what(evaluation, descriptions)))
    several = len(evaluation.results) > 1
    for result in evaluation.results:
        prefix = f"{result.name}." if several else ""
        for axis in result.axes:
            report.metrics += _axis(prefix, axis)
        report.metrics.append(Metric(f"{prefix}model_ms_per_frame", _known(result.model_ms), "ms"))
    for name, value, interval in evaluation.paired:
        first, second = (result.name for result in evaluation.results)
        report.metrics.append(
            Metric(
                f"{name}.mae_difference",
                _known(value),
                _unit(evaluation, name),
                "lower",
                f"{second} minus {first}",
                spread=tuple(interval) if interval else (),
            )
        )
    report.metrics.append(Metric("times_real_time", _known(evaluation.times_real_time), "x", "higher"))
    return report


def _axis(prefix: str, axis: AxisResult) -> list[Metric]:
    metrics = []
    for name, better in _BETTER.items():
        unit = "" if name in _UNITLESS else axis.unit
        interval = axis.intervals.get(name)
        metrics.append(
            Metric(
                f"{prefix}{axis.axis}.{name}",
                _known(getattr(axis.policy, name)),
                unit,
                better,  # type: ignore[arg-type]
                n=axis.policy.n,
                spread=tuple(interval) if interval else (),
            )
        )
        if axis.itself is not None:
            metrics.append(
                Metric(
                    f"{prefix}{axis.axis}.{name}.self",
                    _known(getattr(axis.itself.own, name)),
                    unit,
                    better,  # type: ignore[arg-type]
                    n=axis.itself.own.n,
                )
            )
            metrics.append(
                Metric(
                    f"{prefix}{axis.axis}.{name}.on_self_frames",
                    _known(getattr(axis.itself.same_frames, name)),
                    unit,
                    better,  # type: ignore[arg-type]
                    n=axis.itself.same_frames.n,
                )
            )
        metrics += [
            Metric(
                f"{prefix}{axis.axis}.{name}.baseline_{baseline}",
                _known(getattr(axis.baselines[baseline], name)),
                unit,
                better,  # type: ignore[arg-type]
                n=axis.policy.n,
            )
            for baseline in BASELINES
        ]
    more = {
        "best_lag_ms": (axis.lag_ms, "ms"),
        "flips_per_s": (axis.character.flips_per_s, "1/s"),
        "flips_per_s.recorded": (axis.recorded_character.flips_per_s, "1/s"),
        "jerk": (axis.character.jerk, f"{axis.unit}/s2"),
        "jerk.recorded": (axis.recorded_character.jerk, f"{axis.unit}/s2"),
        "saturation": (axis.character.saturation, ""),
        "saturation.recorded": (axis.recorded_character.saturation, ""),
        "mae_turning": (axis.turning_mae, axis.unit),
        "mae_straight": (axis.straight_mae, axis.unit),
    }
    if axis.itself is not None:
        more |= {
            "r2.self_lost_to_delay": (axis.itself.r2_lost_to_delay, ""),
            "r2.self_lost_to_gate": (axis.itself.r2_lost_to_gate, ""),
            "r2.against_own_actions": (axis.itself.reproduced.r2, ""),
        }
    metrics += [Metric(f"{prefix}{axis.axis}.{name}", _known(value), unit) for name, (value, unit) in more.items()]
    return metrics


def _what(evaluation: Evaluation, descriptions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    weights = {str(description.get("weights", "unknown")) for description in descriptions.values()}
    return {
        "weights": ", ".join(sorted(weights)),
        "policies": descriptions,
        "bags": [bag.path for bag in evaluation.bags],
        "frames": len(evaluation.columns.t),
        "episodes": len(evaluation.columns.episodes),
        "predictions": digest(evaluation.results),
        "undecodable": {bag.path: dict(bag.undecodable.skipped) for bag in evaluation.bags if bag.undecodable.skipped},
        "notes": evaluation.notes,
    }


def digest(results: list[PolicyResult]) -> str:
    """The same for the same predictions, bit by bit."""
    return results[0].digest if results else ""


def _unit(evaluation: Evaluation, axis: str) -> str:
    return next(one.unit for one in evaluation.results[0].axes if one.axis == axis)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
