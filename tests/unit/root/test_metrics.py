"""The one shape of every figure, and what exit codes follow from it."""

from __future__ import annotations

import json

import pytest

from mobile_vla.metrics import Metric, MetricReport, executed, rounded


@pytest.mark.parametrize(
    ("value", "better", "target", "met"),
    [
        (3.0, "lower", 3.0, True),
        (3.1, "lower", 3.0, False),
        (60.0, "higher", 60.0, True),
        (59.0, "higher", 60.0, False),
        (0.0, "equal", 0.0, True),
        (1.0, "equal", 0.0, False),
        (None, "lower", 3.0, False),
        (3.0, "lower", None, None),
    ],
)
def test_met(value: float | None, better: str, target: float | None, met: bool | None) -> None:
    assert Metric("f", value, "ms", better, target=target).met is met  # type: ignore[arg-type]


def test_samples_give_median_and_spread() -> None:
    metric = Metric.of_samples("f", [3.0, 1.0, 2.0], "ms")
    assert (metric.value, metric.n, metric.spread) == (2.0, 3, (1.0, 3.0, 3.0))


def test_report_shape() -> None:
    report = MetricReport("vla bench x", executed(weights="random"), [Metric("f", 1.0, "ms", target=2.0)])
    content = json.loads(report.to_json())
    assert list(content) == ["command", "executed", "figures"]
    assert {"weights", "versions", "commit", "load_average", "machine"} <= set(content["executed"])
    assert set(content["figures"][0]) == {"name", "value", "unit", "better", "baseline", "target", "met", "n", "spread"}
    assert report.all_met


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (0.0123456789, 0.01235),
        (271.94837, 271.9),
        (123456.789, 123457.0),
        (3.21e-6, 3.21e-6),
        (-1.23456e-7, -1.235e-7),
        (0.0, 0.0),
        (400, 400),
        (None, None),
        (float("inf"), float("inf")),
        ("0.123456", "0.123456"),
        ({"a": [1.234567, (2.345678,)]}, {"a": [1.235, [2.346]]}),
    ],
)
def test_measured_numbers_keep_four_digits(measured: object, shown: object) -> None:
    assert rounded(measured) == shown


def test_a_report_is_rounded_and_judged_before() -> None:
    metric = Metric("f", 2.99999, "ms", target=3.0, better="higher", spread=(1.23456789, 4.0))
    (written,) = MetricReport("vla bench x", executed(), [metric]).to_dict()["figures"]
    assert (written["value"], written["spread"], written["met"]) == (3.0, [1.235, 4.0], False)
